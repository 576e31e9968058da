/* SPDX-License-Identifier: Apache-2.0
 *
 * The files of a family's model: config, weights, tokenizer, whether they come as a directory or as GGUF.
 */
#ifndef ISC_CORE_FAMILY_H
#define ISC_CORE_FAMILY_H

#include "model/weights.h"
#include <inversescope/decoder_family.h>

typedef struct isc_family_files isc_family_files;

isc_status isc_family_files_open(const isc_decoder_family *family, const char *path,
                                 isc_family_files **out);
void isc_family_files_close(isc_family_files *f); /* NULL is fine */
isc_json *isc_family_config(isc_family_files *f); /* lives as long as the handle */

/* All parameters; those outside the layers; those of one layer, into a streamed decoder's one set. The first call checks that
 * every tensor of the model is there with its shape. */
isc_status isc_family_load(isc_family_files *f, isc_decoder *d);
isc_status isc_family_load_outside(isc_family_files *f, isc_decoder *d);
isc_status isc_family_load_layer(isc_family_files *f, isc_decoder *d, int64_t layer);

#endif
