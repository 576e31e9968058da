# SPDX-License-Identifier: Apache-2.0
libinversescope_la_SOURCES += \
  core/base/base.h \
  core/base/half.h \
  core/base/cancel.c \
  core/base/clock.c \
  core/base/escape.c \
  core/base/file.c \
  core/base/hash.c \
  core/base/input.c \
  core/base/memory.c \
  core/base/nearest.c \
  core/base/number.c \
  core/base/path.c \
  core/base/pool.c \
  core/base/rng.c \
  core/base/status.c \
  core/base/string.c
