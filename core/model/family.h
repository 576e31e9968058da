/* SPDX-License-Identifier: Apache-2.0
 *
 * The files of a family's model: config, weights, tokenizer, whether they come as a directory or as GGUF.
 */
#ifndef ISC_CORE_FAMILY_H
#define ISC_CORE_FAMILY_H

#include "model/params_io.h"
#include "model/weights.h"
#include <inversescope/decoder_family.h>
#include <inversescope/text.h>

typedef struct isc_family_files isc_family_files;

isc_status isc_family_files_open(const isc_decoder_family *family, const char *path,
                                 isc_family_files **out);
void isc_family_files_close(isc_family_files *f);     /* NULL is fine */
isc_json *isc_family_config(isc_family_files *f);     /* lives as long as the handle */
isc_weights *isc_family_weights(isc_family_files *f); /* the same */
/* The files of a family that may be of an older minor, and the spec that the options give. */
isc_status isc_family_open(const isc_decoder_family *family, const isc_decoder_options *o,
                           isc_family_files **files, isc_decoder_spec *spec);

/* config.json's model_type of a directory or a GGUF file, whatever reads it. */
ISC_API isc_status isc_model_type(const char *path, isc_text *out);

/* Is every tensor of the model there with its shape? */
isc_status isc_family_check(isc_family_files *f, isc_decoder *d);
/* All parameters; those outside the layers; those of one layer, into a set of a streamed decoder, by `way`. The first call
 * checks. */
isc_status isc_family_load(isc_family_files *f, isc_decoder *d);
isc_status isc_family_load_outside(isc_family_files *f, isc_decoder *d);
isc_status isc_family_load_layer(isc_family_files *f, const isc_decoder *d, isc_params *set,
                                 int64_t layer, const isc_param_way *way);

#endif
