/* SPDX-License-Identifier: Apache-2.0
 *
 * A GGUF file in the place of a family's directory.
 */
#ifndef ISC_CORE_FAMILY_INTERNAL_H
#define ISC_CORE_FAMILY_INTERNAL_H

#include "model/family.h"
#include "model/gguf.h"

/* The metadata as the config.json that the file was made from; closed by the caller. */
isc_status isc_family_gguf_config(const isc_gguf *g, isc_json **out);
/* Replace a family's names and layout by the file's. `paired`: queries and keys lie as isc_weight_part.rotary_heads says. */
isc_status isc_family_gguf_names(const isc_gguf *g, isc_decoder_family *family, bool *paired);
/* What the tensors say of rotary positions, into a spec that has all else. */
isc_status isc_family_gguf_rope(isc_weights *w, isc_decoder_spec *s);

#endif
