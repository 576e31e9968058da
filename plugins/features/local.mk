# SPDX-License-Identifier: Apache-2.0
plugins_LTLIBRARIES += \
  plugins/feature_ioi_object.la \
  plugins/feature_ioi_subject.la \
  plugins/feature_slot.la \
  plugins/feature_regex.la

plugins_feature_ioi_object_la_SOURCES = plugins/features/ioi_object.c
plugins_feature_ioi_object_la_LDFLAGS = -module $(ISC_PLUGIN_LDFLAGS)
plugins_feature_ioi_object_la_LIBADD = libinversescope.la

plugins_feature_ioi_subject_la_SOURCES = plugins/features/ioi_subject.c
plugins_feature_ioi_subject_la_LDFLAGS = -module $(ISC_PLUGIN_LDFLAGS)
plugins_feature_ioi_subject_la_LIBADD = libinversescope.la

plugins_feature_slot_la_SOURCES = plugins/features/slot.c
plugins_feature_slot_la_LDFLAGS = -module $(ISC_PLUGIN_LDFLAGS)
plugins_feature_slot_la_LIBADD = libinversescope.la

plugins_feature_regex_la_SOURCES = plugins/features/regex.c
plugins_feature_regex_la_LDFLAGS = -module $(ISC_PLUGIN_LDFLAGS)
plugins_feature_regex_la_LIBADD = libinversescope.la
