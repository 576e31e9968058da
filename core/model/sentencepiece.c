/* SPDX-License-Identifier: Apache-2.0
 *
 * Putting a SentencePiece tokenizer together, and its decoder.
 */
#include "model/sentencepiece.h"
#include "model/text_utf8.h"
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char space_symbol[] = "\xE2\x96\x81", replacement_character[] = "\xEF\xBF\xBD";

isc_status isc_sentencepiece_new(isc_tokenizer *t, int64_t n) {
  isc_sentencepiece *sp;
  ISC_TRY(isc_calloc(1, sizeof *sp, t->where, (void **)&sp));
  t->sp = sp;
  t->model = ISC_SENTENCEPIECE;
  sp->add_dummy_prefix = sp->remove_extra_whitespaces = sp->escape_whitespaces = true;
  if (n < 1 || n > ISC_MAX_TOKEN_ID)
    return isc_fail(ISC_E_FORMAT, "%s: %" PRId64 " pieces are not 1 … %d", t->where, n,
                    ISC_MAX_TOKEN_ID);
  ISC_TRY(isc_calloc((size_t)n, sizeof *sp->score, t->where, (void **)&sp->score));
  return isc_calloc((size_t)n, sizeof *sp->type, t->where, (void **)&sp->type);
}

void isc_sentencepiece_free(isc_sentencepiece *sp) {
  if (!sp) return;
  isc_prefix_set_free(&sp->user);
  free(sp->score);
  free(sp->type);
  free(sp->unk_surface);
  free(sp);
}

isc_status isc_sentencepiece_add(isc_tokenizer *t, const char *s, size_t len, float score,
                                 int64_t type) {
  isc_sentencepiece *sp = t->sp;
  char piece[ISC_PIECE_MAX_BYTES + 1];
  if (len == 0 || len > ISC_PIECE_MAX_BYTES)
    return isc_fail(ISC_E_FORMAT, "%s: piece %" PRId64 ": %zu bytes are not 1 … %d", t->where,
                    sp->n, len, ISC_PIECE_MAX_BYTES);
  if (memchr(s, '\0', len) || !isc_text_is_utf8(s, len))
    return isc_fail(ISC_E_FORMAT, "%s: piece %" PRId64 " holds a NUL or is not UTF-8", t->where,
                    sp->n);
  if (type < ISC_PIECE_NORMAL || type > ISC_PIECE_BYTE)
    return isc_fail(ISC_E_FORMAT, "%s: piece %" PRId64 ": there is no type %" PRId64, t->where,
                    sp->n, type);
  if (!isfinite(score))
    return isc_fail(ISC_E_FORMAT, "%s: piece %" PRId64 ": its score is no finite number", t->where,
                    sp->n);
  memcpy(piece, s, len);
  piece[len] = '\0';
  ISC_TRY(isc_tokenizer_set_token(t, sp->n, piece));
  t->special[sp->n] = type == ISC_PIECE_CONTROL;
  sp->score[sp->n] = score;
  sp->type[sp->n++] = (uint8_t)type;
  return ISC_OK;
}

static isc_status check_unknown(isc_tokenizer *t) {
  int64_t unknown = 0;
  for (int64_t i = 0; i < t->sp->n; i++)
    if (t->sp->type[i] == ISC_PIECE_UNKNOWN) {
      t->unk = (int32_t)i;
      unknown++;
    }
  if (unknown == 1) return ISC_OK;
  return isc_fail(ISC_E_FORMAT, "%s: %" PRId64 " pieces are the unknown one; there must be 1",
                  t->where, unknown);
}

static isc_status check_bytes(isc_tokenizer *t) {
  int64_t pieces = 0, found = 0;
  for (int64_t i = 0; i < t->sp->n; i++)
    pieces += t->sp->type[i] == ISC_PIECE_BYTE;
  isc_tokenizer_fallback_ids(t);
  for (int byte = 0; byte < 256; byte++) {
    int32_t id = t->bpe.byte_id[byte];
    found += id >= 0 && t->sp->type[id] == ISC_PIECE_BYTE;
  }
  if (pieces == found && (found == 256 || (found == 0 && !t->sp->byte_fallback))) return ISC_OK;
  return isc_fail(ISC_E_FORMAT,
                  "%s: %" PRId64 " byte pieces, %" PRId64
                  " of them <0x00> … <0xFF>; with byte_fallback there must be 256, without it none",
                  t->where, pieces, found);
}

isc_status isc_sentencepiece_check(isc_tokenizer *t) {
  isc_sentencepiece *sp = t->sp;
  const isc_prefix *twice;
  int64_t users = 0;
  ISC_TRY(isc_tokenizer_index(t));
  ISC_TRY(check_unknown(t));
  ISC_TRY(check_bytes(t));
  for (int64_t i = 0; i < sp->n; i++) {
    users += sp->type[i] == ISC_PIECE_USER_DEFINED;
    sp->has_unused |= sp->type[i] == ISC_PIECE_UNUSED;
  }
  ISC_TRY(isc_prefix_set_reserve(&sp->user, users, t->where));
  for (int64_t i = 0, k = 0; i < sp->n; i++)
    if (sp->type[i] == ISC_PIECE_USER_DEFINED)
      sp->user.item[k++] = (isc_prefix){t->key[i], (int32_t)i};
  isc_prefix_set_sort(&sp->user, &twice);
  return ISC_OK;
}

/* ---- decoding */

/* The byte that a byte piece stands for. */
static char byte_of(const isc_tokenizer *t, int32_t id) {
  unsigned byte = 0;
  sscanf(t->token[id], "<0x%2X>", &byte);
  return (char)byte;
}

/* The characters of a run of byte pieces; a byte that is of none is U+FFFD. */
static isc_status append_run(isc_text *run, isc_text *out) {
  for (size_t i = 0, n; i < run->len; i += n ? n : 1) {
    uint32_t cp;
    n = isc_utf8_decode(run->data + i, run->len - i, &cp);
    ISC_TRY(n ? isc_text_append(out, run->data + i, n)
              : isc_text_append(out, replacement_character, 3));
  }
  isc_text_clear(run);
  return ISC_OK;
}

/* The text of a piece, without the space that encoding puts in front when it is `first`; *dropped: it had one. */
static isc_status append_piece(const isc_tokenizer *t, int32_t id, bool first, bool *dropped,
                               isc_text *out) {
  const isc_sentencepiece *sp = t->sp;
  const char *s = t->token[id], *symbol;
  *dropped = false;
  if (sp->type[id] == ISC_PIECE_CONTROL) return ISC_OK;
  if (sp->type[id] == ISC_PIECE_UNKNOWN)
    return isc_text_append(out, sp->unk_surface, strlen(sp->unk_surface));
  if (first && (sp->add_dummy_prefix || sp->remove_extra_whitespaces) &&
      strncmp(s, space_symbol, 3) == 0) {
    s += 3;
    *dropped = !sp->remove_extra_whitespaces;
  }
  for (; (symbol = strstr(s, space_symbol)); s = symbol + 3) {
    ISC_TRY(isc_text_append(out, s, (size_t)(symbol - s)));
    ISC_TRY(isc_text_append(out, " ", 1));
  }
  return isc_text_append(out, s, strlen(s));
}

isc_status isc_sentencepiece_decode(const isc_tokenizer *t, const int32_t *ids, int64_t n,
                                    isc_text *out) {
  isc_text run = {0};
  isc_status st = ISC_OK;
  bool first = true, dropped = false;
  ISC_GO(isc_text_set(out, "", 0));
  for (int64_t i = 0; i < n; i++) {
    if (!isc_tokenizer_token(t, ids[i]))
      ISC_GO(isc_fail(ISC_E_SHAPE, "%s: there is no token with id %" PRId32, t->where, ids[i]));
    if (t->sp->type[ids[i]] == ISC_PIECE_BYTE) {
      char c = byte_of(t, ids[i]);
      ISC_GO(isc_text_append(&run, &c, 1));
      continue;
    }
    ISC_GO(append_run(&run, out));
    if (dropped || out->len > 0) first = false;
    ISC_GO(append_piece(t, ids[i], first, &dropped, out));
  }
  ISC_GO(append_run(&run, out));
done:
  isc_text_free(&run);
  return st;
}
