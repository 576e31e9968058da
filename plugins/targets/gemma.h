/* SPDX-License-Identifier: Apache-2.0
 *
 * What the targets of the Gemma models share.
 */
#ifndef ISC_PLUGINS_GEMMA_H
#define ISC_PLUGINS_GEMMA_H

#include <inversescope/decoder_family.h>

/* All of the spec but windows and norms of heads. */
isc_status gemma_spec(isc_json *config, isc_decoder_spec *out);
extern const isc_weight_name gemma_names[];

#endif
