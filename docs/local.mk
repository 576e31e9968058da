# SPDX-License-Identifier: Apache-2.0
# The guides lie below $(docdir)/docs as they lie here, so that links between them and from the README hold in both.
dist_doc_DATA = LICENSE README.md
# So do the sources that the headers name as examples.
nobase_dist_doc_DATA = \
  plugins/priors/ioi.c \
  plugins/priors/ioi_lists.c \
  plugins/priors/ioi_lists.h \
  plugins/targets/gpt2.c \
  plugins/targets/llama.c
guidesdir = $(docdir)/docs
dist_guides_DATA = docs/architecture.md docs/dependencies.md docs/heatmap.png docs/report.md docs/results.md
bashcompletiondir = $(datadir)/bash-completion/completions
dist_bashcompletion_DATA = docs/completions/inversescope
EXTRA_DIST += quickstart .ci/run

# Pages that the program and the headers tell themselves. They are made by running the program that was built.
docs_sources = \
  docs/generate/ascii.awk \
  docs/generate/commands.awk \
  docs/generate/generate \
  docs/generate/headers.awk \
  docs/generate/members.awk \
  docs/generate/page.awk \
  docs/generate/prose.awk \
  docs/templates/conformance.md.in \
  docs/templates/inversescope-conf.5.in \
  docs/templates/inversescope-plugin.7.in \
  docs/templates/inversescope.1.in
EXTRA_DIST += $(docs_sources) docs/generate/lint.awk
docs_pages = \
  docs/conformance.md \
  docs/plugin-api.md \
  docs/plugin-backend.md \
  docs/plugin-feature.md \
  docs/plugin-kernel.md \
  docs/plugin-method.md \
  docs/plugin-prior.md \
  docs/plugin-target.md
docs_mans = docs/inversescope.1 docs/inversescope-conf.5 docs/inversescope-plugin.7
CLEANFILES += $(docs_pages) $(docs_mans) docs/generated.stamp

if ISC_CROSS
all-local:
	@echo "cross-compiling: the man pages and the pages docs/*.md about plugins are left out; a native build makes them"
else
nodist_guides_DATA = $(docs_pages)
nodist_man_MANS = $(docs_mans)
endif

docs/generated.stamp: $(docs_sources) $(pkginclude_HEADERS) inversescope$(EXEEXT) $(plugins_LTLIBRARIES)
	$(AM_V_GEN)ASAN_OPTIONS=detect_leaks=0 AWK='$(AWK)' \
	  $(SHELL) $(srcdir)/docs/generate/generate ./inversescope$(EXEEXT) $(srcdir) docs && touch $@
$(docs_pages) $(docs_mans): docs/generated.stamp
	@test -f $@ || { rm -f docs/generated.stamp; $(MAKE) $(AM_MAKEFLAGS) docs/generated.stamp; }
