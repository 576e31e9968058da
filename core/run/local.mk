# SPDX-License-Identifier: Apache-2.0
libinversescope_la_SOURCES += \
  core/run/ask.c \
  core/run/ask.h \
  core/run/curve.c \
  core/run/fingerprint.c \
  core/run/judge.c \
  core/run/judge.h \
  core/run/pretrain_run.c \
  core/run/pretrain_run.h \
  core/run/run.c \
  core/run/run.h \
  core/run/run_dir.c \
  core/run/run_dir.h \
  core/run/samples.c \
  core/run/samples.h \
  core/run/samples_db.c \
  core/run/score.h \
  core/run/score_exact.c \
  core/run/score_json.c \
  core/run/settings.c \
  core/run/settings.h \
  core/run/stage.c \
  core/run/stage.h \
  core/run/stage_harvest.c \
  core/run/stage_report.c \
  core/run/stage_sample.c \
  core/run/stage_score.c \
  core/run/stage_train.c \
  core/run/store.c \
  core/run/store.h \
  core/run/study.c \
  core/run/study.h \
  core/run/study_open.c \
  core/run/study_open.h
