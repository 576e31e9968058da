/* SPDX-License-Identifier: Apache-2.0
 *
 * Between the readers of the parts of tokenizer.json.
 *
 * A component or a setting that is not known is an error that names it: a tokenizer that is nearly right gives
 * ids that are quietly wrong.
 */
#ifndef ISC_CORE_TOKENIZER_JSON_H
#define ISC_CORE_TOKENIZER_JSON_H

#include "model/json_doc.h"
#include "model/tokenizer_parts.h"

enum { ISC_MAX_SEQUENCE_DEPTH = 4 };

isc_status isc_json_unsupported(const isc_json *j, const char *part, const char *what);
/* The "type" of a component that is an object. */
isc_status isc_json_type(const isc_json *j, const json_t *object, const char *part,
                         const char **out);
isc_status isc_json_flag(const isc_json *j, const json_t *object, const char *part, const char *key,
                         bool fallback, bool *out);
/* Every key of a component is in this list, which ends with NULL. */
isc_status isc_json_only(const isc_json *j, const json_t *object, const char *part,
                         const char *const *known);
/* One of a list of names that ends with NULL; *out is its place. An absent one is `fallback`, < 0: it must be there. */
isc_status isc_json_choice(const isc_json *j, const json_t *object, const char *part,
                           const char *key, const char *const *names, int fallback, int *out);

/* "normalizer", "pre_tokenizer", "decoder" */
isc_status isc_tokenizer_json_normalizer(isc_tokenizer *t, const isc_json *j);
isc_status isc_tokenizer_json_pre(isc_tokenizer *t, const isc_json *j);
isc_status isc_tokenizer_json_decoder(isc_tokenizer *t, const isc_json *j);
/* "post_processor": what is added to a text. */
isc_status isc_tokenizer_json_post(isc_tokenizer *t, const isc_json *j);

#endif
