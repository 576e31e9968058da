/* SPDX-License-Identifier: Apache-2.0
 *
 * The tokenizer in a GGUF file.
 */
#ifndef ISC_CORE_TOKENIZER_GGUF_H
#define ISC_CORE_TOKENIZER_GGUF_H

#include "model/gguf.h"
#include <inversescope/tokenizer.h>

/* From the file's metadata: "gpt2" (byte-level BPE) or "llama" (SentencePiece's BPE); another → ISC_E_UNSUPPORTED. Arrays that
 * do not fit together, and ids outside the vocabulary → ISC_E_FORMAT. */
ISC_API isc_status isc_tokenizer_from_gguf(const isc_gguf *g, isc_tokenizer **out);

#endif
