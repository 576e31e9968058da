# SPDX-License-Identifier: Apache-2.0
plugins_LTLIBRARIES += plugins/target_gpt2.la
plugins_target_gpt2_la_SOURCES = plugins/targets/gpt2.c
plugins_target_gpt2_la_LDFLAGS = -module $(ISC_PLUGIN_LDFLAGS)
plugins_target_gpt2_la_LIBADD = libinversescope.la

plugins_LTLIBRARIES += plugins/target_gemma2.la
plugins_target_gemma2_la_SOURCES = plugins/targets/gemma2.c plugins/targets/gemma.c plugins/targets/gemma.h
plugins_target_gemma2_la_LDFLAGS = -module $(ISC_PLUGIN_LDFLAGS)
plugins_target_gemma2_la_LIBADD = libinversescope.la -lm

plugins_LTLIBRARIES += plugins/target_gemma3.la
plugins_target_gemma3_la_SOURCES = plugins/targets/gemma3.c plugins/targets/gemma.c plugins/targets/gemma.h
plugins_target_gemma3_la_LDFLAGS = -module $(ISC_PLUGIN_LDFLAGS)
plugins_target_gemma3_la_LIBADD = libinversescope.la -lm

plugins_LTLIBRARIES += plugins/target_llama.la
plugins_target_llama_la_SOURCES = plugins/targets/llama.c
plugins_target_llama_la_LDFLAGS = -module $(ISC_PLUGIN_LDFLAGS)
plugins_target_llama_la_LIBADD = libinversescope.la -lm
