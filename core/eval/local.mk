# SPDX-License-Identifier: Apache-2.0
libinversescope_la_SOURCES += \
  core/eval/ball.c \
  core/eval/ball.h \
  core/eval/distance.c \
  core/eval/distance.h \
  core/eval/enrichment.c \
  core/eval/enrichment.h \
  core/eval/eval.c \
  core/eval/eval.h \
  core/eval/exact.c \
  core/eval/exact.h \
  core/eval/fcr.c \
  core/eval/fcr.h \
  core/eval/goodness.c \
  core/eval/goodness.h \
  core/eval/hypothesis.c \
  core/eval/hypothesis.h \
  core/eval/interval.c \
  core/eval/interval.h \
  core/eval/isometry.c \
  core/eval/labels.c \
  core/eval/labels.h \
  core/eval/law.c \
  core/eval/law.h \
  core/eval/lift.c \
  core/eval/lift.h \
  core/eval/noise_law.c \
  core/eval/paired.c \
  core/eval/paired.h \
  core/eval/quantiles.c \
  core/eval/rank.c \
  core/eval/rank.h \
  core/eval/smooth.c \
  core/eval/smooth.h
