/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files beside a tokenizer say of it: which tokens begin and end a text, and whether they are added.
 */
#ifndef ISC_CORE_TOKENIZER_CONFIG_H
#define ISC_CORE_TOKENIZER_CONFIG_H

#include "model/tokenizer_parts.h"

/* Where the tokens came from, which decides what add_bos_token and add_eos_token are worth. */
typedef enum isc_config_of {
  ISC_CONFIG_OF_JSON,  /* tokenizer.json has a post-processor, which they may only repeat  */
  ISC_CONFIG_OF_MODEL, /* absent: true and false, as the models that come with one were trained */
  ISC_CONFIG_OF_GPT2   /* absent: false                                                    */
} isc_config_of;

/* bos, eos and what is added to a text; for GPT-2's vocabulary <|endoftext|> where nothing is named. */
isc_status isc_tokenizer_read_config(isc_tokenizer *t, const char *dir, isc_config_of of);
/* A switch of dir/tokenizer_config.json, which need not be there. */
isc_status isc_config_flag(const char *dir, const char *key, bool fallback, bool *out);

#endif
