# SPDX-License-Identifier: Apache-2.0
# The checks, linked into the command that runs them and into the checker process that does them.
noinst_LTLIBRARIES += libconform.la
libconform_la_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
libconform_la_SOURCES = \
  core/conform/any_dynamic.c \
  core/conform/any_memory.c \
  core/conform/any_options.c \
  core/conform/any_process.c \
  core/conform/any_static.c \
  core/conform/backend.c \
  core/conform/backend_ops.c \
  core/conform/case.h \
  core/conform/checks.c \
  core/conform/conform.h \
  core/conform/exercise.c \
  core/conform/exercise.h \
  core/conform/exercise_backend.c \
  core/conform/exercise_feature.c \
  core/conform/exercise_kernel.c \
  core/conform/exercise_method.c \
  core/conform/exercise_prior.c \
  core/conform/exercise_target.c \
  core/conform/feature.c \
  core/conform/guard.c \
  core/conform/kernel.c \
  core/conform/memory.h \
  core/conform/method.c \
  core/conform/prior.c \
  core/conform/target.c \
  core/conform/target_forward.c
