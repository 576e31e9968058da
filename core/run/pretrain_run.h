/* SPDX-License-Identifier: Apache-2.0
 *
 * Pretraining a target from a config: the same device, prior, progress and checkpoints as a study.
 */
#ifndef ISC_CORE_PRETRAIN_RUN_H
#define ISC_CORE_PRETRAIN_RUN_H

#include "method/pretrain.h"
#include "run/run.h"

/* Reads the groups run, prior and pretrain of the config and writes a Hugging Face directory. *model_dir is malloc'd. */
ISC_API isc_status isc_pretrain_run(const isc_run_request *request, isc_pretrain_result *result,
                                    char **model_dir);

#endif
