# SPDX-License-Identifier: Apache-2.0
# The CPU compute backend: one module; the SIMD level is chosen when it is opened.
plugins_LTLIBRARIES += kernels/backend_cpu.la
libinversescope_la_SOURCES += core/tensor/sample_uniform.c
kernels_backend_cpu_la_SOURCES = \
  kernels/cpu/backend.c \
  kernels/cpu/cpu.h \
  kernels/cpu/dnnl.c \
  kernels/cpu/features.c \
  kernels/cpu/gemm_amx.c \
  kernels/cpu/gemm_avx512bf16.c \
  kernels/cpu/gemm_grid.c \
  kernels/cpu/level_avx2.c \
  kernels/cpu/level_avx512.c \
  kernels/cpu/level_generic.c \
  kernels/cpu/parallel.c \
  kernels/cpu/scratch.c \
  kernels/cpu/simd/attention.h \
  kernels/cpu/simd/attention_tile.h \
  kernels/cpu/simd/distances.h \
  kernels/cpu/simd/elementwise.h \
  kernels/cpu/simd/gemm.h \
  kernels/cpu/simd/gemm_bf16.h \
  kernels/cpu/simd/gemm_finish.h \
  kernels/cpu/simd/gemm_pack.h \
  kernels/cpu/simd/gemm_tile.h \
  kernels/cpu/simd/jumprelu.h \
  kernels/cpu/simd/random.h \
  kernels/cpu/simd/rotary.h \
  kernels/cpu/simd/rows.h \
  kernels/cpu/simd/table.h \
  kernels/cpu/simd/train.h \
  kernels/cpu/simd/vec.h \
  kernels/cpu/simd/vmath.h
kernels_backend_cpu_la_CPPFLAGS = $(AM_CPPFLAGS) $(DNNL_CPPFLAGS)
kernels_backend_cpu_la_CFLAGS = $(AM_CFLAGS)
kernels_backend_cpu_la_LDFLAGS = -module $(ISC_PLUGIN_LDFLAGS)
kernels_backend_cpu_la_LIBADD = libinversescope.la $(DNNL_LIBS) -lpthread -lm
