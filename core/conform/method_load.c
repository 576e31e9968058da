/* SPDX-License-Identifier: Apache-2.0
 *
 * Conformance checks of loading what training left, whole and damaged.
 *
 * A run directory is copied between machines and disks fill up, so every file is removed, cut in half and overwritten in
 * turn: the method must notice, unless the file makes no difference to what it gives.
 */
#include "conform/exercise.h"
#include "conform/method_use.h"
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static isc_status trained(isc_conform *c, isc_reader *r, isc_sb *out) {
  ISC_TRY(isc_reader_fitted(c, ISC_READER_FEW, "study", r));
  return isc_reader_outputs(r, out);
}

isc_status isc_check_method_load(isc_conform *c) {
  isc_reader r = {0};
  isc_sb before = {0}, after = {0};
  isc_status st = ISC_OK;
  ISC_GO(trained(c, &r, &before));
  ISC_GO(isc_reader_reopen(&r));
  if (isc_reader_load(&r, isc_reader_stages(&r)) != ISC_OK)
    ISC_GO(isc_fail_in("a fresh instance that loads the trained stages"));
  ISC_GO(isc_reader_outputs(&r, &after));
  ISC_GO(isc_transcripts_agree(&before, &after,
                               "samples and labels of the trained and of a loaded instance"));
done:
  isc_reader_close(&r);
  isc_sb_free(&before);
  isc_sb_free(&after);
  return st;
}

/* ---- damage */

typedef enum damage { REMOVED, CUT, OVERWRITTEN, DAMAGES } damage;
static const char *const DONE_TO_IT[DAMAGES] = {"removed", "cut in half", "overwritten with 'x'"};

typedef struct victim {
  char *path;
  const char *name; /* in path */
  const char *dir;  /* the stage's */
  char *data;
  size_t len;
} victim;

static isc_status inflict(const victim *v, damage d) {
  char *x = NULL;
  if (d == REMOVED)
    return unlink(v->path) == 0 ? ISC_OK : isc_fail(ISC_E_IO, "%s: cannot be removed", v->path);
  if (d == CUT) return isc_write_file(v->path, v->data, v->len / 2);
  ISC_TRY(isc_malloc(v->len, "a damaged file", (void **)&x));
  memset(x, 'x', v->len);
  isc_status st = isc_write_file(v->path, x, v->len);
  free(x);
  return st;
}

/* Load what is there now: an error that names the file or its directory, or the outputs it always had. */
static isc_status noticed(isc_reader *r, const victim *v, damage d, const isc_sb *whole) {
  isc_sb out = {0};
  ISC_TRY(isc_reader_reopen(r));
  isc_error_clear();
  isc_status st = isc_reader_load(r, isc_reader_stages(r));
  if (st != ISC_OK && (strstr(isc_error(), v->name) || strstr(isc_error(), v->dir))) return ISC_OK;
  if (st != ISC_OK)
    return isc_fail(ISC_E_INTERNAL,
                    "with %s %s, the error of `load` names neither it nor its directory: %s",
                    v->name, DONE_TO_IT[d], isc_error()[0] ? isc_error() : isc_status_name(st));
  st = isc_reader_outputs(r, &out);
  if (st != ISC_OK)
    st = isc_fail_in("with %s %s it loads, and then", v->name, DONE_TO_IT[d]);
  else if (isc_transcripts_agree(whole, &out, "") != ISC_OK)
    st = isc_fail(ISC_E_INTERNAL, "with %s %s it loads, and gives something else", v->name,
                  DONE_TO_IT[d]);
  isc_sb_free(&out);
  return st;
}

static isc_status damage_file(isc_reader *r, const char *dir, const char *name,
                              const isc_sb *whole) {
  victim v = {.name = name, .dir = dir};
  isc_status st = ISC_OK;
  ISC_GO(isc_path_join(dir, name, &v.path));
  if (isc_is_dir(v.path)) goto done;
  ISC_GO(isc_read_file(v.path, (size_t)1 << 30, &v.data, &v.len));
  for (damage d = REMOVED; d < DAMAGES; d++) {
    if (v.len == 0 && d != REMOVED) continue;
    ISC_GO(inflict(&v, d));
    ISC_GO(noticed(r, &v, d, whole));
    ISC_GO(isc_write_file(v.path, v.data, v.len));
  }
done:
  free(v.path);
  free(v.data);
  return st;
}

static isc_status damage_stage(isc_reader *r, int64_t k, const isc_sb *whole) {
  struct dirent **list = NULL;
  char *dir = NULL;
  isc_status st = ISC_OK;
  ISC_TRY(isc_reader_stage_dir(r, k, &dir));
  const int n = scandir(dir, &list, NULL, alphasort);
  if (n < 0) st = isc_fail(ISC_E_IO, "%s: cannot be read", dir);
  for (int i = 0; i < n; i++) {
    if (st == ISC_OK) st = damage_file(r, dir, list[i]->d_name, whole);
    free(list[i]);
  }
  free(list);
  free(dir);
  return st;
}

isc_status isc_check_method_damage(isc_conform *c) {
  isc_reader r = {0};
  isc_sb whole = {0};
  isc_status st = ISC_OK;
  ISC_GO(trained(c, &r, &whole));
  for (int64_t k = 0; k < isc_reader_stages(&r); k++)
    ISC_GO(damage_stage(&r, k, &whole));
done:
  isc_reader_close(&r);
  isc_sb_free(&whole);
  return st;
}
