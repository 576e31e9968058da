/* SPDX-License-Identifier: Apache-2.0
 *
 * tokenizer.model: SentencePiece's protocol buffer, read and written.
 *
 * Only the byte-pair encoding; the other models, and normalisers that change characters by a table, are refused by name.
 * Settings of the trainer that change no encoding are passed over.
 */
#include "model/sentencepiece.h"
#include "model/protobuf.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_FILE = 64 << 20 };

/* Field numbers of sentencepiece_model.proto. */
enum { MODEL_PIECE = 1, MODEL_TRAINER = 2, MODEL_NORMALIZER = 3, MODEL_DENORMALIZER = 5 };
enum { PIECE_TEXT = 1, PIECE_SCORE = 2, PIECE_TYPE = 3 };
enum {
  TRAINER_MODEL_TYPE = 3,
  TRAINER_WHITESPACE_AS_SUFFIX = 24,
  TRAINER_BYTE_FALLBACK = 35,
  TRAINER_BOS_ID = 41,
  TRAINER_EOS_ID = 42,
  TRAINER_UNK_SURFACE = 44,
  TRAINER_BOS_PIECE = 46,
  TRAINER_EOS_PIECE = 47
};
enum {
  NORMALIZER_NAME = 1,
  NORMALIZER_CHARSMAP = 2,
  NORMALIZER_DUMMY_PREFIX = 3,
  NORMALIZER_EXTRA_WHITESPACES = 4,
  NORMALIZER_ESCAPE_WHITESPACES = 5,
  NORMALIZER_RULES = 6
};
enum { UNIGRAM = 1, BPE = 2 };

/* Settings as they are read; texts are borrowed from the file. */
typedef struct settings {
  int64_t model_type, bos_id, eos_id;
  bool whitespace_as_suffix, charsmap, denormalizes;
  isc_key unk_surface, bos_piece, eos_piece, normalizer;
} settings;

static isc_message message_of(const isc_field *f) {
  const unsigned char *data = (const unsigned char *)f->data;
  return (isc_message){data, data + f->len};
}

static isc_status text_of(const isc_field *f, const char *where, const char *name, isc_key *out) {
  ISC_TRY(isc_field_bytes(f, where, name));
  *out = (isc_key){f->data, f->len};
  return ISC_OK;
}

/* ---- pieces */

static isc_status read_piece(isc_tokenizer *t, isc_message m) {
  isc_field f;
  isc_key text = {"", 0};
  float score = 0;
  int64_t type = ISC_PIECE_NORMAL;
  for (bool more = true; more;) {
    ISC_TRY(isc_message_next(&m, t->where, &f, &more));
    if (!more) break;
    if (f.number == PIECE_TEXT) ISC_TRY(text_of(&f, t->where, "piece", &text));
    if (f.number == PIECE_SCORE) ISC_TRY(isc_field_float(&f, t->where, "score", &score));
    if (f.number == PIECE_TYPE) ISC_TRY(isc_field_int(&f, t->where, "type", &type));
  }
  return isc_sentencepiece_add(t, text.p, text.len, score, type);
}

/* ---- settings */

static isc_status read_trainer(isc_tokenizer *t, isc_message m, settings *s) {
  const char *where = t->where;
  isc_field f;
  for (bool more = true; more;) {
    ISC_TRY(isc_message_next(&m, where, &f, &more));
    if (!more) break;
    switch (f.number) {
    case TRAINER_MODEL_TYPE:
      ISC_TRY(isc_field_int(&f, where, "model_type", &s->model_type));
      break;
    case TRAINER_WHITESPACE_AS_SUFFIX:
      ISC_TRY(isc_field_bool(&f, where, "treat_whitespace_as_suffix", &s->whitespace_as_suffix));
      break;
    case TRAINER_BYTE_FALLBACK:
      ISC_TRY(isc_field_bool(&f, where, "byte_fallback", &t->sp->byte_fallback));
      break;
    case TRAINER_BOS_ID:
      ISC_TRY(isc_field_int(&f, where, "bos_id", &s->bos_id));
      break;
    case TRAINER_EOS_ID:
      ISC_TRY(isc_field_int(&f, where, "eos_id", &s->eos_id));
      break;
    case TRAINER_UNK_SURFACE:
      ISC_TRY(text_of(&f, where, "unk_surface", &s->unk_surface));
      break;
    case TRAINER_BOS_PIECE:
      ISC_TRY(text_of(&f, where, "bos_piece", &s->bos_piece));
      break;
    case TRAINER_EOS_PIECE:
      ISC_TRY(text_of(&f, where, "eos_piece", &s->eos_piece));
      break;
    default:
      break;
    }
  }
  return ISC_OK;
}

static isc_status read_normalizer(isc_tokenizer *t, isc_message m, settings *s) {
  const char *where = t->where;
  isc_field f;
  for (bool more = true; more;) {
    ISC_TRY(isc_message_next(&m, where, &f, &more));
    if (!more) break;
    switch (f.number) {
    case NORMALIZER_NAME:
      ISC_TRY(text_of(&f, where, "normalizer_spec: name", &s->normalizer));
      break;
    case NORMALIZER_CHARSMAP:
    case NORMALIZER_RULES:
      ISC_TRY(isc_field_bytes(&f, where, "normalizer_spec: precompiled_charsmap"));
      s->charsmap |= f.number == NORMALIZER_CHARSMAP && f.len > 0;
      break;
    case NORMALIZER_DUMMY_PREFIX:
      ISC_TRY(isc_field_bool(&f, where, "add_dummy_prefix", &t->sp->add_dummy_prefix));
      break;
    case NORMALIZER_EXTRA_WHITESPACES:
      ISC_TRY(
          isc_field_bool(&f, where, "remove_extra_whitespaces", &t->sp->remove_extra_whitespaces));
      break;
    case NORMALIZER_ESCAPE_WHITESPACES:
      ISC_TRY(isc_field_bool(&f, where, "escape_whitespaces", &t->sp->escape_whitespaces));
      break;
    default:
      break;
    }
  }
  return ISC_OK;
}

/* A denormaliser with a table changes what is decoded. */
static isc_status read_denormalizer(const isc_tokenizer *t, isc_message m, settings *s) {
  isc_field f;
  for (bool more = true; more;) {
    ISC_TRY(isc_message_next(&m, t->where, &f, &more));
    if (more && f.number == NORMALIZER_CHARSMAP) s->denormalizes |= f.len > 0;
  }
  return ISC_OK;
}

static isc_status check_settings(const isc_tokenizer *t, const settings *s) {
  static const char *const models[] = {"", "UNIGRAM", "BPE", "WORD", "CHAR"};
  if (s->model_type != BPE)
    return isc_fail(ISC_E_UNSUPPORTED,
                    "%s: trainer_spec: model_type %s (%" PRId64 ") is not supported, only BPE",
                    t->where, s->model_type >= 1 && s->model_type <= 4 ? models[s->model_type] : "",
                    s->model_type);
  if (s->whitespace_as_suffix)
    return isc_fail(ISC_E_UNSUPPORTED,
                    "%s: trainer_spec: treat_whitespace_as_suffix is not supported", t->where);
  if (s->charsmap)
    return isc_fail(ISC_E_UNSUPPORTED,
                    "%s: normalizer_spec: the precompiled_charsmap \"%.*s\" is not supported, only "
                    "\"identity\"",
                    t->where, (int)(s->normalizer.len < 60 ? s->normalizer.len : 60),
                    (const char *)s->normalizer.p);
  if (s->denormalizes)
    return isc_fail(ISC_E_UNSUPPORTED,
                    "%s: denormalizer_spec: a precompiled_charsmap is not supported", t->where);
  return ISC_OK;
}

/* ---- the file */

static isc_status count_pieces(const isc_tokenizer *t, isc_message m, int64_t *n) {
  isc_field f;
  *n = 0;
  for (bool more = true; more;) {
    ISC_TRY(isc_message_next(&m, t->where, &f, &more));
    if (!more) break;
    if (f.number == MODEL_PIECE || f.number == MODEL_TRAINER || f.number == MODEL_NORMALIZER ||
        f.number == MODEL_DENORMALIZER)
      ISC_TRY(isc_field_bytes(&f, t->where, "a message of the model"));
    *n += f.number == MODEL_PIECE;
  }
  return ISC_OK;
}

static isc_status read_model(isc_tokenizer *t, isc_message m, settings *s) {
  isc_field f;
  for (bool more = true; more;) {
    ISC_TRY(isc_message_next(&m, t->where, &f, &more));
    if (!more) break;
    if (f.number == MODEL_PIECE) ISC_TRY(read_piece(t, message_of(&f)));
    if (f.number == MODEL_TRAINER) ISC_TRY(read_trainer(t, message_of(&f), s));
    if (f.number == MODEL_NORMALIZER) ISC_TRY(read_normalizer(t, message_of(&f), s));
    if (f.number == MODEL_DENORMALIZER) ISC_TRY(read_denormalizer(t, message_of(&f), s));
  }
  return ISC_OK;
}

/* Id of a control piece by its name; an id below 0 switches it off. */
static int32_t control(const isc_tokenizer *t, const isc_key *name, int64_t id) {
  int32_t found = id < 0 ? -1 : isc_tokenizer_id(t, name->p, name->len);
  return found >= 0 && t->sp->type[found] == ISC_PIECE_CONTROL ? found : -1;
}

static isc_status keep_surface(isc_tokenizer *t, const isc_key *s) {
  if (memchr(s->p, '\0', s->len) || !isc_text_is_utf8(s->p, s->len))
    return isc_fail(ISC_E_FORMAT, "%s: trainer_spec: unk_surface holds a NUL or is not UTF-8",
                    t->where);
  ISC_TRY(isc_malloc(s->len + 1, t->where, (void **)&t->sp->unk_surface));
  memcpy(t->sp->unk_surface, s->p, s->len);
  t->sp->unk_surface[s->len] = '\0';
  return ISC_OK;
}

isc_status isc_sentencepiece_read(isc_tokenizer *t, const char *path) {
  isc_status st = ISC_OK;
  char *data = NULL;
  size_t len;
  int64_t n;
  settings s = {.model_type = UNIGRAM,
                .bos_id = 1,
                .eos_id = 2,
                .unk_surface = {" \xE2\x81\x87 ", 5},
                .bos_piece = {"<s>", 3},
                .eos_piece = {"</s>", 4},
                .normalizer = {"", 0}};
  ISC_GO(isc_read_file(path, MAX_FILE, &data, &len));
  const isc_message m = {(unsigned char *)data, (unsigned char *)data + len};
  ISC_GO(count_pieces(t, m, &n));
  ISC_GO(isc_sentencepiece_new(t, n));
  ISC_GO(read_model(t, m, &s));
  ISC_GO(check_settings(t, &s));
  ISC_GO(isc_sentencepiece_check(t));
  ISC_GO(keep_surface(t, &s.unk_surface));
  t->bos = control(t, &s.bos_piece, s.bos_id);
  t->eos = control(t, &s.eos_piece, s.eos_id);
done:
  free(data);
  return st;
}

/* ---- writing */

static isc_status write_piece(const isc_tokenizer *t, int64_t i, isc_text *piece, isc_text *out) {
  isc_text_clear(piece);
  ISC_TRY(isc_write_bytes(piece, PIECE_TEXT, t->key[i].p, t->key[i].len));
  ISC_TRY(isc_write_float(piece, PIECE_SCORE, t->sp->score[i]));
  if (t->sp->type[i] != ISC_PIECE_NORMAL)
    ISC_TRY(isc_write_varint(piece, PIECE_TYPE, t->sp->type[i]));
  return isc_write_bytes(out, MODEL_PIECE, piece->data, piece->len);
}

static isc_status write_named(const isc_tokenizer *t, int32_t id, uint32_t id_field,
                              uint32_t piece_field, isc_text *out) {
  ISC_TRY(isc_write_varint(out, id_field, (uint64_t)(int64_t)id));
  if (id < 0) return ISC_OK;
  return isc_write_bytes(out, piece_field, t->key[id].p, t->key[id].len);
}

static isc_status write_trainer(const isc_tokenizer *t, isc_text *out) {
  const char *surface = t->sp->unk_surface;
  ISC_TRY(isc_write_varint(out, TRAINER_MODEL_TYPE, BPE));
  ISC_TRY(isc_write_varint(out, TRAINER_BYTE_FALLBACK, t->sp->byte_fallback));
  ISC_TRY(write_named(t, t->bos, TRAINER_BOS_ID, TRAINER_BOS_PIECE, out));
  ISC_TRY(write_named(t, t->eos, TRAINER_EOS_ID, TRAINER_EOS_PIECE, out));
  return isc_write_bytes(out, TRAINER_UNK_SURFACE, surface, strlen(surface));
}

static isc_status write_normalizer(const isc_tokenizer *t, isc_text *out) {
  const isc_sentencepiece *sp = t->sp;
  ISC_TRY(isc_write_bytes(out, NORMALIZER_NAME, "identity", 8));
  ISC_TRY(isc_write_varint(out, NORMALIZER_DUMMY_PREFIX, sp->add_dummy_prefix));
  ISC_TRY(isc_write_varint(out, NORMALIZER_EXTRA_WHITESPACES, sp->remove_extra_whitespaces));
  return isc_write_varint(out, NORMALIZER_ESCAPE_WHITESPACES, sp->escape_whitespaces);
}

isc_status isc_sentencepiece_write(const isc_tokenizer *t, isc_text *out) {
  isc_text part = {0};
  isc_status st = ISC_OK;
  ISC_GO(isc_text_set(out, "", 0));
  for (int64_t i = 0; i < t->sp->n; i++)
    ISC_GO(write_piece(t, i, &part, out));
  isc_text_clear(&part);
  ISC_GO(write_trainer(t, &part));
  ISC_GO(isc_write_bytes(out, MODEL_TRAINER, part.data, part.len));
  isc_text_clear(&part);
  ISC_GO(write_normalizer(t, &part));
  ISC_GO(isc_write_bytes(out, MODEL_NORMALIZER, part.data, part.len));
done:
  isc_text_free(&part);
  return st;
}
