# SPDX-License-Identifier: Apache-2.0
# The CUDA backend without a GPU: its host's side as it is, and its kernels on the emulation, as a module that is never
# installed.
cuda_emulation_sources = \
  tests/cuda/emu/driver_emulation.cc \
  tests/cuda/emu/emulation.cc \
  tests/cuda/emu/emulation.h \
  tests/cuda/emu/kernels_attention.cc \
  tests/cuda/emu/kernels_each.cc \
  tests/cuda/emu/kernels_gemm.cc \
  tests/cuda/emu/kernels_half.cc \
  tests/cuda/emu/kernels_random.cc \
  tests/cuda/emu/kernels_rows.cc \
  tests/cuda/emu/kernels_train.cc \
  tests/cuda/emu/library_emulation.cc \
  tests/cuda/emu/library_emulation.h \
  tests/cuda/emu/streams.cc \
  tests/cuda/emu/streams.h
cuda_emulation_cppflags = $(AM_CPPFLAGS) -I$(top_srcdir)/kernels/cuda -I$(top_srcdir)/tests/cuda/emu
# Vectors are read through pointers to them, as nvcc allows.
cuda_emulation_cxxflags = $(ISC_CXXFLAGS) $(ISC_CXXWARNFLAGS) -O2 -fno-strict-aliasing
EXTRA_DIST += tests/cuda/device.sh tests/cuda/pack.sh tests/cuda/products.cfg
if HAVE_CUDA
check_LTLIBRARIES += tests/cuda/libdeclarations.la
endif
tests_cuda_libdeclarations_la_SOURCES = tests/cuda/declarations.c
tests_cuda_libdeclarations_la_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/kernels/cuda $(CUDA_CPPFLAGS)
if HAVE_CXX
check_LTLIBRARIES += tests/cuda/backend_cuda.la
check_PROGRAMS += tests/cuda/test_cuda tests/cuda/test_device tests/cuda/test_emulation tests/cuda/test_half \
  tests/cuda/test_later tests/cuda/test_library tests/cuda/test_stream tests/cuda/test_study tests/cuda/test_tensor
endif
tests_cuda_backend_cuda_la_SOURCES = $(cuda_host_sources) $(cuda_emulation_sources)
tests_cuda_backend_cuda_la_CPPFLAGS = $(cuda_emulation_cppflags)
tests_cuda_backend_cuda_la_CFLAGS = $(AM_CFLAGS)
tests_cuda_backend_cuda_la_CXXFLAGS = $(cuda_emulation_cxxflags) -fno-exceptions -fno-rtti
# Linked as C, for it needs nothing of C++'s library; libtool's way with C++ leaves the sanitizers' libraries out.
tests_cuda_backend_cuda_la_LINK = $(LIBTOOL) $(AM_V_lt) --tag=CC $(AM_LIBTOOLFLAGS) $(LIBTOOLFLAGS) --mode=link \
  $(CCLD) $(AM_CFLAGS) $(CFLAGS) $(tests_cuda_backend_cuda_la_LDFLAGS) $(LDFLAGS) -o $@
tests_cuda_backend_cuda_la_LDFLAGS = -module -rpath /nowhere $(ISC_PLUGIN_LDFLAGS)
tests_cuda_backend_cuda_la_LIBADD = libinversescope.la -lpthread -lm
tests_cuda_test_cuda_SOURCES = tests/cuda/test_cuda.c
tests_cuda_test_cuda_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/tests
tests_cuda_test_cuda_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
tests_cuda_test_cuda_LDADD = $(conform_ldadd)
tests_cuda_test_device_SOURCES = tests/cuda/test_device.c tests/cuda/emulated_device.h
tests_cuda_test_device_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/tests
tests_cuda_test_device_LDADD = $(LDADD) -ldl
tests_cuda_test_later_SOURCES = tests/cuda/test_later.c
tests_cuda_test_later_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/tests
tests_cuda_test_later_LDADD = $(LDADD) -ldl
tests_cuda_test_study_SOURCES = tests/cuda/test_study.c
tests_cuda_test_study_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/tests
tests_cuda_test_study_LDADD = $(run_ldadd)
tests_cuda_test_library_SOURCES = tests/cuda/test_library.c tests/cuda/emulated_device.h
tests_cuda_test_library_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/tests
tests_cuda_test_library_LDADD = $(LDADD) -ldl
tests_cuda_test_emulation_SOURCES = tests/cuda/test_emulation.cc tests/cuda/emu/emulation.cc
tests_cuda_test_emulation_CPPFLAGS = $(cuda_emulation_cppflags)
tests_cuda_test_emulation_CXXFLAGS = $(cuda_emulation_cxxflags)
tests_cuda_test_stream_SOURCES = tests/cuda/test_stream.c
tests_cuda_test_stream_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/tests
tests_cuda_test_stream_LDADD = $(LDADD) -ldl
tests_cuda_test_half_SOURCES = tests/cuda/test_half.cc tests/cuda/emu/emulation.cc tests/cuda/emu/kernels_half.cc
tests_cuda_test_half_CPPFLAGS = $(cuda_emulation_cppflags)
tests_cuda_test_half_CXXFLAGS = $(cuda_emulation_cxxflags)
tests_cuda_test_tensor_SOURCES = tests/cuda/test_tensor.cc tests/cuda/emu/emulation.cc
tests_cuda_test_tensor_CPPFLAGS = $(cuda_emulation_cppflags)
tests_cuda_test_tensor_CXXFLAGS = $(cuda_emulation_cxxflags)
