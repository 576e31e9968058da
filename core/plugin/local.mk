# SPDX-License-Identifier: Apache-2.0
libinversescope_la_SOURCES += \
  core/plugin/adopt.c \
  core/plugin/adopt.h \
  core/plugin/check.c \
  core/plugin/elf.c \
  core/plugin/elf.h \
  core/plugin/elf_image.c \
  core/plugin/elf_image.h \
  core/plugin/examine.c \
  core/plugin/examine.h \
  core/plugin/loader.c \
  core/plugin/loader.h \
  core/plugin/preset.c \
  core/plugin/registry.c \
  core/plugin/registry.h \
  core/plugin/schema.c \
  core/plugin/schema.h \
  core/plugin/search.c \
  core/plugin/search.h \
  core/plugin/survey.c \
  core/plugin/survey.h \
  core/plugin/trial.c \
  core/plugin/trial.h \
  core/plugin/trial_child.c \
  core/plugin/trial_child.h \
  core/plugin/value.c
