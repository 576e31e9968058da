/* SPDX-License-Identifier: Apache-2.0
 *
 * Making tokenizer directories for tests.
 */
#include "support_tokenizer.h"
#include "support.h"
#include "base/base.h"
#include <stdlib.h>
#include <string.h>

char *isc_test_tokenizer_file(const char *name, size_t *len) {
  char path[300], *data;
  snprintf(path, sizeof path, "tests/data/tokenizers/%s", name);
  isc_assert_ok(isc_read_file(isc_test_source(path), 1 << 24, &data, len));
  return data;
}

void isc_test_tokenizer_add(const char *dir, const char *name, const char *content) {
  char path[1200];
  snprintf(path, sizeof path, "%s/%s", dir, name);
  isc_assert_ok(isc_write_file(path, content, strlen(content)));
}

const char *isc_test_tokenizer_dir(const char *name, const void *data, size_t len) {
  const char *dir = isc_test_dir("tokenizer");
  char path[1200];
  snprintf(path, sizeof path, "%s/%s", dir, name);
  isc_assert_ok(isc_write_file(path, data, len));
  return dir;
}

/* `mark` of the text by a file. */
static void insert(isc_sb *b, const char **at, const char *mark, const char *file) {
  const char *found = strstr(*at, mark);
  size_t len;
  cr_assert_not_null(found, "no %s", mark);
  char *data = isc_test_tokenizer_file(file, &len);
  isc_sb_addn(b, *at, (size_t)(found - *at));
  isc_sb_addn(b, data, len);
  *at = found + strlen(mark);
  free(data);
}

/* The heads over bytes share one model, those over pieces another. */
static const char *from_head(const char *name) {
  static const char *const bytes[] = {"gpt2", "gpt2-spaced", "llama3", "qwen2", "smollm", "tekken"};
  const char *model = "pieces", *at;
  char file[100], *head, *json;
  size_t len;
  isc_sb b = {0};
  for (size_t i = 0; i < sizeof bytes / sizeof *bytes; i++)
    if (strcmp(name, bytes[i]) == 0) model = "bytes";
  snprintf(file, sizeof file, "%s.json", name);
  at = head = isc_test_tokenizer_file(file, &len);
  snprintf(file, sizeof file, "%s-vocab.json", model);
  insert(&b, &at, "\"@vocab\"", file);
  snprintf(file, sizeof file, "%s-merges.json", model);
  insert(&b, &at, "\"@merges\"", file);
  isc_sb_add(&b, at);
  isc_assert_ok(isc_sb_finish(&b, &json));
  const char *dir = isc_test_tokenizer_dir("tokenizer.json", json, strlen(json));
  free(json);
  free(head);
  return dir;
}

const char *isc_test_tokenizer_of(const char *name) {
  char file[100];
  size_t len;
  if (strncmp(name, "sp-", 3) != 0) return from_head(name);
  snprintf(file, sizeof file, "%s.model", name + 3);
  char *data = isc_test_tokenizer_file(file, &len);
  const char *dir = isc_test_tokenizer_dir("tokenizer.model", data, len);
  free(data);
  return dir;
}

isc_tokenizer *isc_test_tokenizer_open(const char *dir) {
  isc_tokenizer *t;
  isc_assert_ok(isc_tokenizer_open(dir, &t));
  return t;
}

const char *isc_test_pieces(const isc_tokenizer *t, const char *text) {
  static char out[4096];
  int32_t ids[256];
  int64_t n;
  isc_assert_ok(isc_tokenizer_encode(t, text, strlen(text), ids, 256, &n));
  out[0] = '\0';
  for (int64_t i = 0; i < n; i++) {
    strcat(out, i ? "|" : "");
    strcat(out, isc_tokenizer_token(t, ids[i]));
  }
  return out;
}
