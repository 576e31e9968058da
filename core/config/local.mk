# SPDX-License-Identifier: Apache-2.0
libinversescope_la_SOURCES += \
  core/config/config.c \
  core/config/config.h \
  core/config/fill.c \
  core/config/include.c \
  core/config/lint.c \
  core/config/lint.h \
  core/config/override.c \
  core/config/plugin.c \
  core/config/resolve.c \
  core/config/stanza.c \
  core/config/tree.c \
  core/config/tree.h
