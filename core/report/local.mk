# SPDX-License-Identifier: Apache-2.0
libinversescope_la_SOURCES += \
  core/report/compare.c \
  core/report/csv.c \
  core/report/csv_compare.c \
  core/report/csv_insight.c \
  core/report/document.c \
  core/report/document.h \
  core/report/figures.c \
  core/report/figures_scatter.c \
  core/report/histogram.c \
  core/report/html.c \
  core/report/html_ablation.c \
  core/report/html_insight.c \
  core/report/report.c \
  core/report/report.h \
  core/report/terminal.c
