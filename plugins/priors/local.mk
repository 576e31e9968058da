# SPDX-License-Identifier: Apache-2.0
plugins_LTLIBRARIES += \
  plugins/prior_ioi.la \
  plugins/prior_addition.la \
  plugins/prior_counting.la \
  plugins/prior_text.la

plugins_prior_ioi_la_SOURCES = \
  plugins/priors/ioi.c \
  plugins/priors/ioi_lists.c \
  plugins/priors/ioi_lists.h
plugins_prior_ioi_la_LDFLAGS = -module $(ISC_PLUGIN_LDFLAGS)
plugins_prior_ioi_la_LIBADD = libinversescope.la

plugins_prior_addition_la_SOURCES = plugins/priors/addition.c
plugins_prior_addition_la_LDFLAGS = -module $(ISC_PLUGIN_LDFLAGS)
plugins_prior_addition_la_LIBADD = libinversescope.la

plugins_prior_counting_la_SOURCES = \
  plugins/priors/counting.c \
  plugins/priors/counting_texts.c \
  plugins/priors/counting_texts.h
plugins_prior_counting_la_LDFLAGS = -module $(ISC_PLUGIN_LDFLAGS)
plugins_prior_counting_la_LIBADD = libinversescope.la -lm

plugins_prior_text_la_SOURCES = plugins/priors/text.c
plugins_prior_text_la_LDFLAGS = -module $(ISC_PLUGIN_LDFLAGS)
plugins_prior_text_la_LIBADD = libinversescope.la
