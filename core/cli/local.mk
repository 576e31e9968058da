# SPDX-License-Identifier: Apache-2.0
inversescope_SOURCES += \
  core/cli/cli.h \
  core/cli/cmd_describe.c \
  core/cli/cmd_plugins.c \
  core/cli/cmd_pretrain.c \
  core/cli/cmd_run.c \
  core/cli/cmd_sample.c \
  core/cli/common.c \
  core/cli/describe.h \
  core/cli/describe_core.c \
  core/cli/describe_man.c \
  core/cli/describe_markdown.c \
  core/cli/describe_text.c \
  core/cli/events.c \
  core/cli/events.h \
  core/cli/main.c \
  core/cli/progress.c
