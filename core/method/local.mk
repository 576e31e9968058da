# SPDX-License-Identifier: Apache-2.0
libinversescope_la_SOURCES += \
  core/method/backbone_stage.c \
  core/method/control.c \
  core/method/control.h \
  core/method/control_params.c \
  core/method/control_stage.c \
  core/method/corpus.c \
  core/method/env.c \
  core/method/examples.c \
  core/method/examples.h \
  core/method/factors.c \
  core/method/factors.h \
  core/method/inversescope.c \
  core/method/inversescope.h \
  core/method/decoding.c \
  core/method/dropout.c \
  core/method/lm_trainer.c \
  core/method/lm_trainer.h \
  core/method/neighbours.c \
  core/method/neighbours.h \
  core/method/options.c \
  core/method/pretrain.c \
  core/method/pretrain.h \
  core/method/sampler.c \
  core/method/sampler.h \
  core/method/state.c \
  core/method/steering.c \
  core/method/train_loop.c \
  core/method/vocabulary.c \
  core/method/vocabulary.h \
  core/method/watch.c \
  core/method/watch.h
