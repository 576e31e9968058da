/* SPDX-License-Identifier: Apache-2.0
 *
 * Open addressing over FNV-1a. Labels are few and short; the table at least doubles, so the total cost is
 * linear in the text interned.
 */
#include "eval/labels.h"
#include "base/base.h"
#include <stdlib.h>
#include <string.h>

static uint64_t hash(const char *s, size_t len) {
  uint64_t h = 0xCBF29CE484222325u;
  for (size_t i = 0; i < len; i++)
    h = (h ^ (unsigned char)s[i]) * 0x100000001B3u;
  return h ^ (h >> 29);
}

/* The slot that holds the label, or the empty one where it belongs. */
static int64_t locate(const isc_labels *l, const char *s, size_t len) {
  int64_t mask = l->slots - 1, at = (int64_t)(hash(s, len) & (uint64_t)mask);
  for (; l->slot[at] != 0; at = (at + 1) & mask) {
    int32_t id = l->slot[at] - 1;
    if (l->len[id] == len && memcmp(l->text[id], s, len) == 0) break;
  }
  return at;
}

static isc_status grow(isc_labels *l) {
  if (2 * ((int64_t)l->count + 1) > l->slots) {
    int64_t old = l->slots;
    int32_t *slot;
    ISC_TRY(
        isc_calloc((size_t)(old ? 2 * old : 64), sizeof *slot, "the label table", (void **)&slot));
    free(l->slot);
    l->slot = slot;
    l->slots = old ? 2 * old : 64;
    for (int32_t id = 0; id < l->count; id++)
      l->slot[locate(l, l->text[id], l->len[id])] = id + 1;
  }
  if (l->count < l->room) return ISC_OK;
  size_t room = l->room ? 2 * (size_t)l->room : 32;
  ISC_TRY(isc_realloc((void **)&l->text, room, sizeof *l->text, "the label table"));
  ISC_TRY(isc_realloc((void **)&l->len, room, sizeof *l->len, "the label table"));
  l->room = (int64_t)room;
  return ISC_OK;
}

isc_status isc_labels_intern(isc_labels *l, const char *s, size_t len, int32_t *id) {
  *id = isc_labels_find(l, s, len);
  if (len == 0 || *id != ISC_LABEL_NULL) return ISC_OK;
  if (l->count == INT32_MAX - 1)
    return isc_fail(ISC_E_UNSUPPORTED,
                    "labels: more than 2^31 distinct labels; the feature does not classify");
  ISC_TRY(grow(l));
  char *copy;
  ISC_TRY(isc_malloc(len + 1, "a label", (void **)&copy));
  memcpy(copy, s, len);
  copy[len] = 0;
  l->text[l->count] = copy;
  l->len[l->count] = len;
  l->slot[locate(l, s, len)] = l->count + 1;
  *id = l->count++;
  return ISC_OK;
}

int32_t isc_labels_find(const isc_labels *l, const char *s, size_t len) {
  if (len == 0 || l->slots == 0) return ISC_LABEL_NULL;
  return l->slot[locate(l, s, len)] - 1;
}

const char *isc_labels_text(const isc_labels *l, int32_t id) {
  return id >= 0 && id < l->count ? l->text[id] : "";
}

void isc_labels_free(isc_labels *l) {
  for (int32_t i = 0; i < l->count; i++)
    free(l->text[i]);
  free(l->text);
  free(l->len);
  free(l->slot);
  *l = (isc_labels){0};
}
