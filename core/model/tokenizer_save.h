/* SPDX-License-Identifier: Apache-2.0
 *
 * Between the writers of the parts of tokenizer.json.
 */
#ifndef ISC_CORE_TOKENIZER_SAVE_H
#define ISC_CORE_TOKENIZER_SAVE_H

#include "model/tokenizer_parts.h"

const char *isc_yes_no(bool b);
void isc_sb_add_string(isc_sb *b, const char *s);
/* Each with its key and what separates it from the next. */
void isc_save_normalizer(const isc_tokenizer *t, isc_sb *b);
void isc_save_pre_tokenizer(const isc_tokenizer *t, isc_sb *b);
void isc_save_decoder(const isc_tokenizer *t, isc_sb *b);

#endif
