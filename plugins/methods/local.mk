# SPDX-License-Identifier: Apache-2.0
plugins_LTLIBRARIES += plugins/method_inversionview.la
plugins_method_inversionview_la_SOURCES = \
  plugins/methods/inversionview.c \
  plugins/methods/inversionview.h \
  plugins/methods/inversionview_condition.c \
  plugins/methods/inversionview_network.c \
  plugins/methods/inversionview_options.c \
  plugins/methods/inversionview_sample.c \
  plugins/methods/inversionview_train.c
plugins_method_inversionview_la_LDFLAGS = -module $(ISC_PLUGIN_LDFLAGS)
plugins_method_inversionview_la_LIBADD = libinversescope.la -lm
