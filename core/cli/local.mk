# SPDX-License-Identifier: Apache-2.0
inversescope_SOURCES += \
  core/cli/cli.h \
  core/cli/cmd_compare.c \
  core/cli/cmd_conform.c \
  core/cli/cmd_describe.c \
  core/cli/cmd_generate.c \
  core/cli/cmd_inspect.c \
  core/cli/cmd_new.c \
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
  core/cli/generate_show.c \
  core/cli/generate_show.h \
  core/cli/main.c \
  core/cli/memory_show.c \
  core/cli/memory_show.h \
  core/cli/model_arguments.c \
  core/cli/model_arguments.h \
  core/cli/numbers.c \
  core/cli/progress.c \
  core/cli/project.c \
  core/cli/project.h
inversescope_CPPFLAGS = $(AM_CPPFLAGS) -DISC_DATA_DIR='"$(pkgdatadir)"'

# What authors of plugins start from: a makefile fragment, and the templates of `inversescope new`.
dist_pkgdata_DATA = core/cli/new/plugin.mk core/cli/new/plugin.map
newcommondir = $(pkgdatadir)/new/common
dist_newcommon_DATA = \
  core/cli/new/common/Makefile \
  core/cli/new/common/Makefile.am \
  core/cli/new/common/README.md \
  core/cli/new/common/configure.ac \
  core/cli/new/common/gitignore \
  core/cli/new/common/plugin_test.h
newtargetdir = $(pkgdatadir)/new/target
dist_newtarget_DATA = core/cli/new/target/plugin.c core/cli/new/target/test.c
newpriordir = $(pkgdatadir)/new/prior
dist_newprior_DATA = core/cli/new/prior/plugin.c core/cli/new/prior/test.c
newkerneldir = $(pkgdatadir)/new/kernel
dist_newkernel_DATA = core/cli/new/kernel/plugin.c core/cli/new/kernel/test.c
newfeaturedir = $(pkgdatadir)/new/feature
dist_newfeature_DATA = core/cli/new/feature/plugin.c core/cli/new/feature/test.c
newmethoddir = $(pkgdatadir)/new/method
dist_newmethod_DATA = core/cli/new/method/plugin.c core/cli/new/method/test.c
newbackenddir = $(pkgdatadir)/new/backend
dist_newbackend_DATA = core/cli/new/backend/plugin.c core/cli/new/backend/test.c
