/* SPDX-License-Identifier: Apache-2.0
 *
 * Steps of opening a study that pretraining and `sample` take too.
 */
#ifndef ISC_CORE_STUDY_OPEN_H
#define ISC_CORE_STUDY_OPEN_H

#include "run/study.h"

/* Point the registry at the config's `plugin_path`. */
ISC_API isc_status isc_study_search_path(isc_config *c);
/* Settle s->name and s->dir. */
isc_status isc_study_run_dir(isc_study *s, const char *dir);
/* Open the backend run->device with the settings of the group `backend` and run->threads (0 = its default). *conf gets those, or
 * NULL: the caller's to free, on failure too. `report` as isc_device_open. */
ISC_API isc_status isc_study_device(isc_config *c, const isc_run_settings *run, isc_device **out,
                                    void **conf, char **report);
/* s->device as the group `run` asks for it. */
isc_status isc_study_run_device(isc_study *s);
/* Turn this thread's error into one of the setting at `path`, with its place in the config: ISC_E_CONFIG. */
isc_status isc_study_blame(const isc_study *s, const char *path);
/* Say in which group this thread's error arose, if st is one; st. */
isc_status isc_study_in(const isc_study *s, const char *path, isc_status st);
/* Fill a plugin's conf from the group at `path`, and beside it `extra` by the core's own table (both NULL = none). */
ISC_API isc_status isc_study_fill(isc_config *c, const char *path, isc_kind kind,
                                  const char *fallback, const isc_option *extra_options,
                                  void *extra, const isc_class **cls, void **conf);

/* study_methods.c: s->method with the classes and settings of the groups `method` and `baselines`, none open yet. */
isc_status isc_study_fill_methods(isc_study *s);
/* Once they are open: no baseline's directory may be another's. */
isc_status isc_study_check_methods(const isc_study *s);
void isc_study_close_methods(isc_study *s);

#endif
