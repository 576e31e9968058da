# SPDX-License-Identifier: Apache-2.0
#
# All that the Makefile of an InverseScope plugin needs (GNU make):
#
#   PLUGIN = prior_toy            # KIND_NAME: what is built is prior_toy.so
#   SOURCES = toy.c lists.c       # .c, .cc, .cpp or .cxx; $(PLUGIN).c when left out
#   include $(shell pkg-config --print-errors --variable=mk inversescope)
#
# Targets: all, check (tests/*, then `inversescope conform`), install, uninstall, clean.
# Settings: CC, CXX, CPPFLAGS, CFLAGS, CXXFLAGS, LDFLAGS, LIBS; PLUGINDIR and DESTDIR for install; V=1 to see commands.

ifeq ($(filter target_% prior_% kernel_% feature_% method_% backend_%,$(PLUGIN)),)
  $(error PLUGIN = "$(PLUGIN)", but must be KIND_NAME, where KIND is target, prior, kernel, feature, method or backend)
endif

PKG_CONFIG ?= pkg-config
INSTALL ?= install
SOURCES ?= $(PLUGIN).c
CFLAGS ?= -O2 -g
CXXFLAGS ?= -O2 -g

inversescope := $(shell $(PKG_CONFIG) --print-errors --cflags inversescope)
inversescope_libs := $(shell $(PKG_CONFIG) --libs inversescope)
inversescope_libdir := $(shell $(PKG_CONFIG) --variable=libdir inversescope)
inversescope_map := $(dir $(lastword $(MAKEFILE_LIST)))plugin.map
CHECKER ?= $(shell $(PKG_CONFIG) --variable=checker inversescope)
PLUGINDIR ?= $(shell $(PKG_CONFIG) --variable=plugindir inversescope)

module := $(PLUGIN).so
cases := $(wildcard $(PLUGIN).conform.cfg)
objects := $(addsuffix .o,$(basename $(SOURCES)))
test_sources := $(wildcard $(addprefix tests/*,.c .cc .cpp .cxx))
tests := $(addsuffix .test,$(basename $(test_sources)))
cxx := $(filter %.cc %.cpp %.cxx,$(SOURCES))

compile_flags := $(inversescope) -fPIC -fvisibility=hidden -Wall -Wextra
depend_flags = -MMD -MP -MT $@ -MF $(basename $@).d
compile_c = $(CC) -std=c17 $(compile_flags) $(depend_flags) $(CPPFLAGS) $(CFLAGS)
compile_cxx = $(CXX) -std=c++17 $(compile_flags) $(depend_flags) $(CPPFLAGS) $(CXXFLAGS)
module_flags = -shared -Wl,-z,defs -Wl,--version-script=$(inversescope_map)

quiet := $(if $(filter 1,$(V)),,@)
say = $(if $(filter 1,$(V)),@:,@printf '  %-8s %s\n')

.PHONY: all check check-tests check-conform install uninstall clean
.DEFAULT_GOAL := all

all: $(module)

$(module): $(objects) $(inversescope_map)
	$(say) LINK $@
	$(quiet)$(if $(cxx),$(CXX) $(CXXFLAGS),$(CC) $(CFLAGS)) $(module_flags) $(LDFLAGS) -o $@ $(objects) $(inversescope_libs) $(LIBS) -lm

%.o: %.c
	$(say) CC $@
	$(quiet)$(compile_c) -c -o $@ $<

define compile_cxx_rule
%.o: %.$(1)
	$$(say) CXX $$@
	$$(quiet)$$(compile_cxx) -c -o $$@ $$<

%.test: %.$(1)
	$$(say) CXXLD $$@
	$$(quiet)$$(compile_cxx) $$(LDFLAGS) -Wl,-rpath,$$(inversescope_libdir) -o $$@ $$< $$(inversescope_libs) -ldl -lm
endef
$(foreach suffix,cc cpp cxx,$(eval $(call compile_cxx_rule,$(suffix))))

%.test: %.c
	$(say) CCLD $@
	$(quiet)$(compile_c) $(LDFLAGS) -Wl,-rpath,$(inversescope_libdir) -o $@ $< $(inversescope_libs) -ldl -lm

check: check-tests check-conform

# A test is a program that ends with 0.
check-tests: $(module) $(tests)
	@for t in $(tests); do \
	  INVERSESCOPE_PLUGIN="$(CURDIR)/$(module)" INVERSESCOPE_PLUGIN_PATH="$(CURDIR)" "./$$t" || { echo "FAIL: $$t" >&2; exit 1; }; \
	  echo "PASS: $$t"; \
	done

# The checker finds $(PLUGIN).conform.cfg beside the plugin: the settings to check it with, where its defaults will not do.
check-conform: $(module)
	$(CHECKER) ./$(module)

install: all
	$(INSTALL) -d "$(DESTDIR)$(PLUGINDIR)"
	$(INSTALL) -m 755 $(module) "$(DESTDIR)$(PLUGINDIR)/$(module)"
	$(if $(cases),$(INSTALL) -m 644 $(cases) "$(DESTDIR)$(PLUGINDIR)/$(cases)")

uninstall:
	rm -f "$(DESTDIR)$(PLUGINDIR)/$(module)" "$(DESTDIR)$(PLUGINDIR)/$(PLUGIN).conform.cfg"

clean:
	rm -f $(module) $(objects) $(objects:.o=.d) $(tests) $(tests:.test=.d)

-include $(objects:.o=.d) $(tests:.test=.d)
