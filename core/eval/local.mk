# SPDX-License-Identifier: Apache-2.0
libinversescope_la_SOURCES += \
  core/eval/law.c \
  core/eval/law.h \
  core/eval/noise_law.c
