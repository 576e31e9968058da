# SPDX-License-Identifier: Apache-2.0
plugins_LTLIBRARIES += plugins/target_gpt2.la
plugins_target_gpt2_la_SOURCES = plugins/targets/gpt2.c
plugins_target_gpt2_la_LDFLAGS = -module $(ISC_PLUGIN_LDFLAGS)
plugins_target_gpt2_la_LIBADD = libinversescope.la
