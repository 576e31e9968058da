/* SPDX-License-Identifier: Apache-2.0
 *
 * Directory trees as lists of hashes, to say whether a run changed a file or made the same ones.
 */
#include "support.h"
#include "support_run.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static bool is_spent(const char *rel) {
  const size_t len = strlen(rel);
  return len >= 10 && !strcmp(rel + len - 10, "spent.json");
}

/* What a training took is the same however often it was killed, but for its seconds; other stages do less when they go on. */
static bool tells_of_process(const char *rel) {
  static const char *const names[] = {"run.json", "log.jsonl", "config.cfg", ".lock", NULL};
  for (int i = 0; names[i]; i++)
    if (!strcmp(rel, names[i])) return true;
  return is_spent(rel) && !strstr(rel, "backbone/") && !strstr(rel, "control/");
}

static void hash_without_seconds(const char *path, char hex[33]) {
  char *text = NULL;
  size_t len = 0;
  isc_hash h;
  isc_assert_ok(isc_read_file(path, 1 << 16, &text, &len));
  isc_assert_ok(isc_hash_begin(&h));
  for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
    if (!strstr(line, "\"seconds\"")) isc_hash_str(&h, line);
  isc_digest_hex(isc_hash_end(&h), hex);
  free(text);
}

static void add_file(isc_snapshot *s, const char *path, const char *rel, const struct stat *sb) {
  isc_digest d;
  isc_snapshot_file *f;
  void *p = s->file;
  isc_assert_ok(isc_realloc(&p, (size_t)s->n + 1, sizeof *s->file, "snapshot"));
  s->file = p;
  f = &s->file[s->n++];
  isc_assert_ok(isc_strdup(rel, &f->path));
  f->size = is_spent(rel) ? 0 : sb->st_size;
  f->mtime_ns = (int64_t)sb->st_mtim.tv_sec * 1000000000 + sb->st_mtim.tv_nsec;
  if (is_spent(rel)) {
    hash_without_seconds(path, f->hash);
    return;
  }
  isc_assert_ok(isc_hash_file(path, &d));
  isc_digest_hex(d, f->hash);
}

static void walk(isc_snapshot *s, const char *root, const char *below) {
  char *dir = NULL;
  struct dirent **entry = NULL;
  isc_assert_ok(isc_path_join(root, below, &dir));
  const int n = scandir(dir, &entry, NULL, alphasort);
  cr_assert(n >= 0, "%s cannot be listed", dir);
  for (int i = 0; i < n; i++) {
    char *rel = NULL, *path = NULL;
    struct stat sb;
    const char *name = entry[i]->d_name;
    isc_assert_ok(isc_path_join(below, name, &rel));
    isc_assert_ok(isc_path_join(root, rel, &path));
    cr_assert_eq(lstat(path, &sb), 0);
    if (S_ISREG(sb.st_mode) && !tells_of_process(rel)) add_file(s, path, rel, &sb);
    if (S_ISDIR(sb.st_mode) && strcmp(name, ".") && strcmp(name, "..")) walk(s, root, rel);
    free(rel);
    free(path);
    free(entry[i]);
  }
  free(entry);
  free(dir);
}

isc_snapshot isc_snapshot_of(const char *dir, const char *sub) {
  isc_snapshot s = {0};
  walk(&s, isc_test_path(dir, sub), "");
  return s;
}

void isc_snapshot_free(isc_snapshot *s) {
  for (int64_t i = 0; i < s->n; i++)
    free(s->file[i].path);
  free(s->file);
  *s = (isc_snapshot){0};
}

const char *isc_snapshot_difference(const isc_snapshot *a, const isc_snapshot *b,
                                    isc_snapshot_what what) {
  static char told[512];
  for (int64_t i = 0; i < a->n || i < b->n; i++) {
    const isc_snapshot_file *x = i < a->n ? &a->file[i] : NULL, *y = i < b->n ? &b->file[i] : NULL;
    if (!x || !y || strcmp(x->path, y->path))
      snprintf(told, sizeof told, "%s against %s", x ? x->path : "nothing",
               y ? y->path : "nothing");
    else if (strcmp(x->hash, y->hash))
      snprintf(told, sizeof told, "%s holds other bytes", x->path);
    else if (what == ISC_UNTOUCHED && x->mtime_ns != y->mtime_ns)
      snprintf(told, sizeof told, "%s was written again", x->path);
    else
      continue;
    return told;
  }
  return NULL;
}

void isc_assert_same_runs(const char *dir, const char *a, const char *b, const char *told) {
  isc_snapshot x = isc_snapshot_of(dir, a), y = isc_snapshot_of(dir, b);
  cr_assert_gt(x.n, 20, "%s holds only %lld files", a, (long long)x.n);
  const char *difference = isc_snapshot_difference(&x, &y, ISC_SAME_BYTES);
  cr_assert_null(difference, "%s: %s", told, difference);
  isc_snapshot_free(&x);
  isc_snapshot_free(&y);
}
