# SPDX-License-Identifier: Apache-2.0
# The CUDA compute backend: the host's side in C, and the kernels, which nvcc compiles and images.c carries.
if HAVE_CUDA
plugins_LTLIBRARIES += kernels/backend_cuda.la
endif
# What the emulation of the tests is built of too.
cuda_host_sources = \
  kernels/cuda/attention.c \
  kernels/cuda/backend.c \
  kernels/cuda/call.c \
  kernels/cuda/clip.c \
  kernels/cuda/cublas.c \
  kernels/cuda/cublas.h \
  kernels/cuda/cublas_lt.c \
  kernels/cuda/cublas_lt.h \
  kernels/cuda/cublas_status.c \
  kernels/cuda/cuda_backend.h \
  kernels/cuda/driver.h \
  kernels/cuda/each.c \
  kernels/cuda/gemm.c \
  kernels/cuda/graph.c \
  kernels/cuda/half.c \
  kernels/cuda/kernels.h \
  kernels/cuda/lane.c \
  kernels/cuda/library.h \
  kernels/cuda/memory.c \
  kernels/cuda/plan.c \
  kernels/cuda/random.c \
  kernels/cuda/read.c \
  kernels/cuda/rows.c \
  kernels/cuda/train.c \
  kernels/cuda/transfer.c
cuda_device_headers = \
  kernels/cuda/device/device.h \
  kernels/cuda/device/tensor.h \
  kernels/cuda/device/tile.h
cuda_device_sources = \
  kernels/cuda/device/attention.cu \
  kernels/cuda/device/each.cu \
  kernels/cuda/device/gemm.cu \
  kernels/cuda/device/half.cu \
  kernels/cuda/device/random.cu \
  kernels/cuda/device/rows.cu \
  kernels/cuda/device/train.cu
EXTRA_DIST += $(cuda_device_headers) $(cuda_device_sources) kernels/cuda/images.c.in
kernels_backend_cuda_la_SOURCES = \
  $(cuda_host_sources) \
  kernels/cuda/cublas_find.c \
  kernels/cuda/driver.c
nodist_kernels_backend_cuda_la_SOURCES = kernels/cuda/images.c
kernels_backend_cuda_la_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/kernels/cuda
kernels_backend_cuda_la_CFLAGS = $(AM_CFLAGS)
kernels_backend_cuda_la_LDFLAGS = -module $(ISC_PLUGIN_LDFLAGS)
kernels_backend_cuda_la_LIBADD = libinversescope.la -ldl -lpthread -lm

cuda_images = \
  kernels/cuda/device/attention.fatbin \
  kernels/cuda/device/each.fatbin \
  kernels/cuda/device/gemm.fatbin \
  kernels/cuda/device/half.fatbin \
  kernels/cuda/device/random.fatbin \
  kernels/cuda/device/rows.fatbin \
  kernels/cuda/device/train.fatbin
CLEANFILES += $(cuda_images) kernels/cuda/images.c
nvcc_v = $(nvcc_v_@AM_V@)
nvcc_v_ = $(nvcc_v_@AM_DEFAULT_V@)
nvcc_v_0 = @echo "  NVCC    " $@;
SUFFIXES = .cu .fatbin
.cu.fatbin:
	$(nvcc_v)$(MKDIR_P) kernels/cuda/device && $(NVCC) $(NVCC_FLAGS) $(NVCC_ARCH) -fatbin -o $@ $<
$(cuda_images): $(cuda_device_headers) kernels/cuda/kernels.h
# Through a copy of its source the object that carries the images depends on them.
kernels/cuda/images.c: kernels/cuda/images.c.in $(cuda_images)
	$(AM_V_GEN)cp $(srcdir)/kernels/cuda/images.c.in $@
