/* SPDX-License-Identifier: Apache-2.0
 *
 * Writing the normaliser, the pre-tokeniser and the decoder as the tokenizers library reads them.
 */
#include "model/tokenizer_save.h"
#include <string.h>

const char *isc_yes_no(bool b) {
  return b ? "true" : "false";
}

void isc_sb_add_string(isc_sb *b, const char *s) {
  isc_sb_add_json(b, s, strlen(s));
}

static void pattern(const isc_pattern *p, isc_sb *b) {
  isc_sb_addf(b, "\"pattern\": {\"%s\": ", p->regex ? "Regex" : "String");
  isc_sb_add_string(b, p->text);
  isc_sb_add(b, "}");
}

/* One member by itself, several as a Sequence. */
static void begin_list(isc_sb *b, const char *part, const char *key, int64_t n, bool absent) {
  isc_sb_addf(b, "  \"%s\": ", part);
  if (absent) isc_sb_add(b, "null");
  if (n != 1 && !absent) isc_sb_addf(b, "{\"type\": \"Sequence\", \"%s\": [", key);
}

static void end_list(isc_sb *b, int64_t n, bool absent) {
  isc_sb_add(b, n != 1 && !absent ? "]},\n" : ",\n");
}

/* ---- normalisers */

static void normalize_part(const isc_normalize_part *p, isc_sb *b) {
  static const char *const types[] = {"Prepend", "Replace", "NFC"};
  isc_sb_addf(b, "{\"type\": \"%s\"", types[p->kind]);
  if (p->kind == ISC_NORMALIZE_REPLACE) {
    isc_sb_add(b, ", ");
    pattern(&p->pattern, b);
  }
  if (p->content) {
    isc_sb_add(b, p->kind == ISC_NORMALIZE_PREPEND ? ", \"prepend\": " : ", \"content\": ");
    isc_sb_add_string(b, p->content);
  }
  isc_sb_add(b, "}");
}

void isc_save_normalizer(const isc_tokenizer *t, isc_sb *b) {
  begin_list(b, "normalizer", "normalizers", t->n_normalize, t->n_normalize == 0);
  for (int64_t i = 0; i < t->n_normalize; i++) {
    isc_sb_add(b, i ? ", " : "");
    normalize_part(&t->normalize[i], b);
  }
  end_list(b, t->n_normalize, t->n_normalize == 0);
}

/* ---- pre-tokenisers */

static const char *const schemes[] = {"always", "never", "first"};

static void split(const isc_pre_part *p, isc_sb *b) {
  static const char *const behaviors[] = {"Isolated", "Removed", "MergedWithPrevious",
                                          "MergedWithNext", "Contiguous"};
  isc_sb_add(b, "{\"type\": \"Split\", ");
  pattern(&p->pattern, b);
  isc_sb_addf(b, ", \"behavior\": \"%s\", \"invert\": %s}", behaviors[p->behavior],
              isc_yes_no(p->invert));
}

static void metaspace(const char *replacement, isc_prepend_scheme scheme, bool splits, isc_sb *b) {
  isc_sb_add(b, "{\"type\": \"Metaspace\", \"replacement\": ");
  isc_sb_add_string(b, replacement);
  isc_sb_addf(b, ", \"prepend_scheme\": \"%s\", \"split\": %s}", schemes[scheme],
              isc_yes_no(splits));
}

static void pre_part(const isc_pre_part *p, isc_sb *b) {
  switch (p->kind) {
  case ISC_PRE_WHITESPACE:
    isc_sb_add(b, "{\"type\": \"Whitespace\"}");
    break;
  case ISC_PRE_WHITESPACE_SPLIT:
    isc_sb_add(b, "{\"type\": \"WhitespaceSplit\"}");
    break;
  case ISC_PRE_CHARS:
    isc_sb_add(b, "{\"type\": \"Split\", \"pattern\": {\"Regex\": \".\"}, \"behavior\": "
                  "\"Isolated\", \"invert\": false}");
    break;
  case ISC_PRE_BYTE_LEVEL:
    isc_sb_addf(b,
                "{\"type\": \"ByteLevel\", \"add_prefix_space\": %s, \"trim_offsets\": true, "
                "\"use_regex\": %s}",
                isc_yes_no(p->add_prefix_space), isc_yes_no(p->use_regex));
    break;
  case ISC_PRE_SPLIT:
    split(p, b);
    break;
  case ISC_PRE_DIGITS:
    isc_sb_addf(b, "{\"type\": \"Digits\", \"individual_digits\": %s}",
                isc_yes_no(p->individual_digits));
    break;
  case ISC_PRE_METASPACE:
    metaspace(p->replacement, p->scheme, p->split, b);
    break;
  }
}

void isc_save_pre_tokenizer(const isc_tokenizer *t, isc_sb *b) {
  begin_list(b, "pre_tokenizer", "pretokenizers", t->n_pre, t->n_pre == 0);
  for (int64_t i = 0; i < t->n_pre; i++) {
    isc_sb_add(b, i ? ", " : "");
    pre_part(&t->pre[i], b);
  }
  end_list(b, t->n_pre, t->n_pre == 0);
}

/* ---- decoders */

static void decode_part(const isc_decode_part *p, isc_sb *b) {
  switch (p->kind) {
  case ISC_DECODE_BYTE_LEVEL: /* the library wants all the fields, and reads none */
    isc_sb_add(b, "{\"type\": \"ByteLevel\", \"add_prefix_space\": true, \"trim_offsets\": true, "
                  "\"use_regex\": true}");
    break;
  case ISC_DECODE_BYTE_FALLBACK:
    isc_sb_add(b, "{\"type\": \"ByteFallback\"}");
    break;
  case ISC_DECODE_FUSE:
    isc_sb_add(b, "{\"type\": \"Fuse\"}");
    break;
  case ISC_DECODE_STRIP:
    isc_sb_add(b, "{\"type\": \"Strip\", \"content\": ");
    isc_sb_add_string(b, p->content);
    isc_sb_addf(b, ", \"start\": %lld, \"stop\": %lld}", (long long)p->start, (long long)p->stop);
    break;
  case ISC_DECODE_REPLACE:
    isc_sb_add(b, "{\"type\": \"Replace\", ");
    pattern(&p->pattern, b);
    isc_sb_add(b, ", \"content\": ");
    isc_sb_add_string(b, p->content);
    isc_sb_add(b, "}");
    break;
  case ISC_DECODE_METASPACE:
    metaspace(p->content, p->scheme, true, b);
    break;
  }
}

void isc_save_decoder(const isc_tokenizer *t, isc_sb *b) {
  begin_list(b, "decoder", "decoders", t->n_decode, t->joins_with_spaces);
  for (int64_t i = 0; i < t->n_decode; i++) {
    isc_sb_add(b, i ? ", " : "");
    decode_part(&t->decode[i], b);
  }
  end_list(b, t->n_decode, t->joins_with_spaces);
}
