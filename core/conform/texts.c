/* SPDX-License-Identifier: Apache-2.0
 *
 * See texts.h.
 */
#include "conform/texts.h"
#include <stdlib.h>
#include <string.h>

enum { SHOWN = 80, BUFFERS = 4 };

isc_status isc_texts_add(isc_texts *t, const char *s, size_t len) {
  if (t->n == t->room) {
    const int64_t room = t->room ? 2 * t->room : 16;
    void *p = t->at;
    ISC_TRY(isc_realloc(&p, (size_t)room, sizeof *t->at, "texts"));
    t->at = p;
    t->room = room;
  }
  t->at[t->n] = (isc_text){0};
  ISC_TRY(isc_text_set(&t->at[t->n], s, len));
  t->n++;
  return ISC_OK;
}

void isc_texts_free(isc_texts *t) {
  for (int64_t i = 0; i < t->n; i++)
    isc_text_free(&t->at[i]);
  free(t->at);
  *t = (isc_texts){0};
}

/* `sample` with `len` odd bytes behind its first `at`. */
static isc_status add_spoiled(isc_texts *t, const isc_text *sample, size_t at, const char *odd,
                              size_t len) {
  isc_text s = {0};
  isc_status st = isc_text_set(&s, sample->data, at);
  if (st == ISC_OK) st = isc_text_append(&s, odd, len);
  if (st == ISC_OK) st = isc_text_append(&s, sample->data + at, sample->len - at);
  if (st == ISC_OK) st = isc_texts_add(t, s.data, s.len);
  isc_text_free(&s);
  return st;
}

isc_status isc_texts_add_foreign(isc_texts *t, const isc_text *sample) {
  static const struct {
    const char *s;
    size_t len;
  } odd[] = {{"", 0},
             {"\0", 1},
             {"\xff", 1},
             {"\xc3", 1},
             {"\xe2\x82", 2},
             {"\xed\xa0\x80", 3},
             {"\x80\x80\x80", 3},
             {"\0\0\0\0", 4},
             {"\xf8\x88\x80\x80\x80", 5}};
  const int64_t n = sizeof odd / sizeof *odd;
  for (int64_t i = 0; i < n; i++)
    ISC_TRY(isc_texts_add(t, odd[i].s, odd[i].len));
  for (int64_t i = 1; sample && i < 4; i++) {
    ISC_TRY(add_spoiled(t, sample, sample->len, odd[i].s, odd[i].len));
    ISC_TRY(add_spoiled(t, sample, 0, odd[i].s, odd[i].len));
  }
  return sample ? add_spoiled(t, sample, sample->len / 2, "\xff", 1) : ISC_OK;
}

bool isc_same_text(const isc_text *a, const isc_text *b) {
  return a->len == b->len && (a->len == 0 || memcmp(a->data, b->data, a->len) == 0);
}

/* FNV-1a. */
uint64_t isc_bytes_hash(const char *s, size_t len) {
  uint64_t h = UINT64_C(0xcbf29ce484222325);
  for (size_t i = 0; i < len; i++)
    h = (h ^ (unsigned char)s[i]) * UINT64_C(0x100000001b3);
  return h;
}

const char *isc_shown(const char *s, size_t len) {
  static _Thread_local char buffer[BUFFERS][4 * SHOWN + 40];
  static _Thread_local unsigned next;
  char *out = buffer[next++ % BUFFERS], *p = out;
  const bool readable = isc_text_is_utf8(s, len < SHOWN ? len : 0) && len < SHOWN;
  *p++ = '"';
  for (size_t i = 0; i < len && i < SHOWN; i++) {
    const unsigned char ch = (unsigned char)s[i];
    if (ch >= ' ' && ch != 127 && (ch < 128 || readable))
      *p++ = (char)ch;
    else
      p += sprintf(p, "\\x%02x", ch);
  }
  *p++ = '"';
  *p = 0;
  if (len > SHOWN) sprintf(p, "... (%zu bytes)", len);
  return out;
}

const char *isc_shown_text(const isc_text *t) {
  return isc_shown(t->data ? t->data : "", t->len);
}
