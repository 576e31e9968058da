/* SPDX-License-Identifier: Apache-2.0
 *
 * Opening NumPy's files: every array's header is read and compared with what the archive says.
 *
 * libzip finds the entries and inflates them; what they may claim is decided here, before any of it is used.
 */
#include "model/npz_internal.h"
#include <inversescope/text.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

isc_status isc_npz_fail(const isc_npz *z, const char *name, zip_error_t *e) {
  const int code = zip_error_code_zip(e);
  const isc_status status = code == ZIP_ER_MEMORY ? ISC_E_NOMEM
                            : code == ZIP_ER_READ || code == ZIP_ER_SEEK || code == ZIP_ER_OPEN
                                ? ISC_E_IO
                                : ISC_E_FORMAT;
  return isc_fail(status, "%s: %s%s%s", z->in.path, name, name[0] ? ": " : "",
                  zip_error_strerror(e));
}

/* ---- bytes of one array */

isc_status isc_npz_bytes_open(isc_npz *z, int64_t index, isc_npz_bytes *b) {
  *b = (isc_npz_bytes){.z = z, .name = z->zip ? z->array[index].name : ""};
  if (!z->zip) return ISC_OK;
  b->file = zip_fopen_index(z->zip, (zip_uint64_t)index, 0);
  return b->file ? ISC_OK : isc_npz_fail(z, b->name, zip_get_error(z->zip));
}

void isc_npz_bytes_close(isc_npz_bytes *b) {
  if (b->file) zip_fclose(b->file);
  b->file = NULL;
}

isc_status isc_npz_bytes_read(isc_npz_bytes *b, void *out, size_t n, size_t *got) {
  *got = 0;
  if (!b->z->zip) {
    const uint64_t left = b->z->in.size - b->at;
    if (n > left) n = (size_t)left;
    ISC_TRY(isc_input_read(&b->z->in, b->at, out, n));
    b->at += n;
    *got = n;
    return ISC_OK;
  }
  while (*got < n) {
    zip_int64_t piece = zip_fread(b->file, (char *)out + *got, n - *got);
    if (piece < 0) return isc_npz_fail(b->z, b->name, zip_file_get_error(b->file));
    if (piece == 0) break;
    *got += (size_t)piece;
  }
  return ISC_OK;
}

isc_status isc_npz_bytes_take(isc_npz_bytes *b, void *out, size_t n) {
  size_t got;
  ISC_TRY(isc_npz_bytes_read(b, out, n, &got));
  if (got == n) return ISC_OK;
  return isc_fail(ISC_E_FORMAT, "%s: %s ends early; is it truncated?", b->z->in.path,
                  b->name[0] ? b->name : "the array");
}

/* ---- headers */

/* "file: array" for messages. */
static isc_status where_is(const isc_npz *z, const char *name, char **out) {
  return isc_asprintf(out, "%s%s%s", z->in.path, name[0] ? ": " : "", name);
}

static isc_status take_header(isc_npz_bytes *b, const char *where, uint8_t *header, isc_npy *out) {
  size_t length;
  ISC_TRY(isc_npz_bytes_take(b, header, ISC_NPY_START));
  ISC_TRY(isc_npy_length(where, header, ISC_NPY_START, &length));
  ISC_TRY(isc_npz_bytes_take(b, header + ISC_NPY_START, length - ISC_NPY_START));
  return isc_npy_parse(where, header, length, out);
}

/* `size`: of the array with its header, by the archive. */
static isc_status read_header(isc_npz *z, int64_t i, uint64_t size) {
  isc_status st = ISC_OK;
  isc_npz_array *a = &z->array[i];
  isc_npz_bytes b = {.z = z};
  char *where = NULL;
  void *header = NULL;
  ISC_GO(where_is(z, a->name, &where));
  ISC_GO(isc_malloc(ISC_NPY_MAX_HEADER, where, &header));
  ISC_GO(isc_npz_bytes_open(z, i, &b));
  ISC_GO(take_header(&b, where, header, &a->header));
  if (size < a->header.data_at || size - a->header.data_at != a->header.bytes)
    ISC_GO(isc_fail(ISC_E_FORMAT,
                    "%s: %" PRIu64 " bytes of elements by its shape, %" PRIu64
                    " bytes with a header of %zu in the file",
                    where, a->header.bytes, size, a->header.data_at));
done:
  isc_npz_bytes_close(&b);
  free(header);
  free(where);
  return st;
}

/* ---- archives */

static isc_status take_name(isc_npz *z, int64_t i, const char *name) {
  const size_t n = name ? strlen(name) : 0;
  if (n < 5 || strcmp(name + n - 4, ".npy") != 0 || !isc_text_is_utf8(name, n))
    return isc_fail(ISC_E_FORMAT,
                    "%s: entry %" PRId64 " is not an array: its name must end in .npy", z->in.path,
                    i);
  ISC_TRY(isc_strdup(name, &z->name[i]));
  z->name[i][n - 4] = '\0';
  z->array[i].name = z->name[i];
  return ISC_OK;
}

/* Its size when unpacked, unless that cannot be done. */
static isc_status take_entry(isc_npz *z, int64_t i, uint64_t *size) {
  zip_stat_t s;
  const zip_uint64_t need = ZIP_STAT_NAME | ZIP_STAT_SIZE | ZIP_STAT_COMP_METHOD;
  if (zip_stat_index(z->zip, (zip_uint64_t)i, 0, &s) != 0)
    return isc_npz_fail(z, "", zip_get_error(z->zip));
  if ((s.valid & need) != need)
    return isc_fail(ISC_E_FORMAT, "%s: entry %" PRId64 " has no name or size", z->in.path, i);
  ISC_TRY(take_name(z, i, s.name));
  const bool encrypted =
      (s.valid & ZIP_STAT_ENCRYPTION_METHOD) && s.encryption_method != ZIP_EM_NONE;
  if (encrypted || (s.comp_method != ZIP_CM_STORE && s.comp_method != ZIP_CM_DEFLATE))
    return isc_fail(ISC_E_UNSUPPORTED,
                    "%s: %s is encrypted or packed in a way that NumPy does not use", z->in.path,
                    z->name[i]);
  *size = s.size;
  return ISC_OK;
}

/* Together, so that entries which share their data do not hide it from a check of each. */
static isc_status check_swell(const isc_npz *z, const uint64_t *size) {
  uint64_t total = 0;
  bool over = false;
  for (int64_t i = 0; i < z->n; i++)
    over |= __builtin_add_overflow(total, size[i], &total);
  if (!over && (total <= ISC_NPZ_MAX_HARMLESS || total / ISC_NPZ_MAX_SWELL <= z->in.size))
    return ISC_OK;
  return isc_fail(ISC_E_FORMAT,
                  "%s: %" PRIu64 " bytes would unpack to more than %d times as many; not weights",
                  z->in.path, z->in.size, ISC_NPZ_MAX_SWELL);
}

static int by_name(const void *a, const void *b) {
  return strcmp((*(const isc_npz_array *const *)a)->name, (*(const isc_npz_array *const *)b)->name);
}

static isc_status index_names(isc_npz *z) {
  ISC_TRY(isc_calloc((size_t)z->n, sizeof *z->by_name, z->in.path, (void **)&z->by_name));
  for (int64_t i = 0; i < z->n; i++)
    z->by_name[i] = &z->array[i];
  if (z->n) qsort(z->by_name, (size_t)z->n, sizeof *z->by_name, by_name);
  for (int64_t i = 1; i < z->n; i++)
    if (by_name(&z->by_name[i - 1], &z->by_name[i]) == 0)
      return isc_fail(ISC_E_FORMAT, "%s: array \"%s\" is there twice", z->in.path,
                      z->by_name[i]->name);
  return ISC_OK;
}

static isc_status reserve(isc_npz *z, int64_t n) {
  if (n < 0 || n > ISC_NPZ_MAX_ARRAYS)
    return isc_fail(ISC_E_FORMAT, "%s: more than %d arrays", z->in.path, ISC_NPZ_MAX_ARRAYS);
  ISC_TRY(isc_calloc((size_t)n, sizeof *z->array, z->in.path, (void **)&z->array));
  ISC_TRY(isc_calloc((size_t)n, sizeof *z->name, z->in.path, (void **)&z->name));
  z->n = n;
  return ISC_OK;
}

/* The archive's own descriptor, so that what is read is the file that was looked at. */
static isc_status open_zip(isc_npz *z) {
  int code = 0;
  const int fd = dup(z->in.fd);
  if (fd < 0) return isc_fail(ISC_E_IO, "%s: cannot open again", z->in.path);
  z->zip = zip_fdopen(fd, 0, &code);
  if (z->zip) return ISC_OK;
  close(fd);
  zip_error_t e;
  zip_error_init_with_code(&e, code);
  isc_status st = isc_npz_fail(z, "", &e);
  zip_error_fini(&e);
  return st;
}

static isc_status open_archive(isc_npz *z) {
  isc_status st = ISC_OK;
  uint64_t *size = NULL;
  ISC_TRY(open_zip(z));
  ISC_TRY(reserve(z, zip_get_num_entries(z->zip, 0)));
  ISC_TRY(isc_calloc((size_t)z->n, sizeof *size, z->in.path, (void **)&size));
  for (int64_t i = 0; i < z->n; i++)
    ISC_GO(take_entry(z, i, &size[i]));
  ISC_GO(check_swell(z, size));
  for (int64_t i = 0; i < z->n; i++)
    ISC_GO(read_header(z, i, size[i]));
done:
  free(size);
  return st;
}

static isc_status open_single(isc_npz *z) {
  ISC_TRY(reserve(z, 1));
  z->array[0].name = "";
  return read_header(z, 0, z->in.size);
}

isc_status isc_npz_open(const char *path, isc_npz **out) {
  isc_status st = ISC_OK;
  isc_npz *z;
  char magic[2] = "";
  *out = NULL;
  ISC_TRY(isc_calloc(1, sizeof *z, path, (void **)&z));
  z->in.fd = -1;
  ISC_GO(isc_input_open(path, &z->in));
  if (z->in.size >= sizeof magic) ISC_GO(isc_input_read(&z->in, 0, magic, sizeof magic));
  ISC_GO(memcmp(magic, "\x93N", sizeof magic) == 0 ? open_single(z) : open_archive(z));
  ISC_GO(index_names(z));
  *out = z;
  z = NULL;
done:
  isc_npz_close(z);
  return st;
}

void isc_npz_close(isc_npz *z) {
  if (!z) return;
  if (z->zip) zip_discard(z->zip);
  for (int64_t i = 0; i < z->n; i++)
    free(z->name[i]);
  free(z->name);
  free(z->array);
  free(z->by_name);
  isc_input_close(&z->in);
  free(z);
}

int64_t isc_npz_count(const isc_npz *z) {
  return z->n;
}

const isc_npz_array *isc_npz_at(const isc_npz *z, int64_t i) {
  return i >= 0 && i < z->n ? &z->array[i] : NULL;
}

const isc_npz_array *isc_npz_find(const isc_npz *z, const char *name) {
  isc_npz_array wanted = {.name = name};
  const isc_npz_array *key = &wanted;
  const isc_npz_array **at = bsearch(&key, z->by_name, (size_t)z->n, sizeof key, by_name);
  return at ? *at : NULL;
}
