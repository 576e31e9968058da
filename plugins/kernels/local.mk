# SPDX-License-Identifier: Apache-2.0
plugins_LTLIBRARIES += \
  plugins/kernel_gaussian.la \
  plugins/kernel_hard.la \
  plugins/kernel_cosine_band.la

plugins_kernel_gaussian_la_SOURCES = plugins/kernels/gaussian.c
plugins_kernel_gaussian_la_LDFLAGS = -module $(ISC_PLUGIN_LDFLAGS)
plugins_kernel_gaussian_la_LIBADD = libinversescope.la

plugins_kernel_hard_la_SOURCES = plugins/kernels/hard.c
plugins_kernel_hard_la_LDFLAGS = -module $(ISC_PLUGIN_LDFLAGS)
plugins_kernel_hard_la_LIBADD = libinversescope.la

plugins_kernel_cosine_band_la_SOURCES = plugins/kernels/cosine_band.c
plugins_kernel_cosine_band_la_LDFLAGS = -module $(ISC_PLUGIN_LDFLAGS)
plugins_kernel_cosine_band_la_LIBADD = libinversescope.la
