# SPDX-License-Identifier: Apache-2.0
libinversescope_la_SOURCES += \
  core/plugin/adopt.c \
  core/plugin/adopt.h \
  core/plugin/check.c \
  core/plugin/loader.c \
  core/plugin/loader.h \
  core/plugin/preset.c \
  core/plugin/registry.c \
  core/plugin/registry.h \
  core/plugin/schema.c \
  core/plugin/schema.h \
  core/plugin/search.c \
  core/plugin/search.h \
  core/plugin/value.c
