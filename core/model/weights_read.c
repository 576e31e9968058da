/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading tensors and parameters made of them, by pieces.
 *
 * Everything passes through the handle's staging memory except what is stored as it is wanted, which is read in place.
 */
#include "base/half.h"
#include "model/weights_internal.h"
#include <inttypes.h>

enum {
  STRIP = 4096
}; /* columns of a tile at most, so that it has rows enough to be written in runs */

static size_t size_of(isc_dtype as) {
  return as == ISC_BF16 ? sizeof(uint16_t) : sizeof(float);
}

/* An element where it is asked for; an offset of 0 leaves also the sign of a zero. */
static float moved(float x, float offset) {
  return offset != 0 ? x + offset : x;
}

/* out[at … at + n) = x + offset, in the wanted dtype. */
static void put(const float *x, int64_t n, float offset, isc_dtype as, void *out, int64_t at) {
  if (as == ISC_F32) {
    float *to = (float *)out + at;
    for (int64_t i = 0; i < n; i++)
      to[i] = moved(x[i], offset);
  } else {
    uint16_t *to = (uint16_t *)out + at;
    for (int64_t i = 0; i < n; i++)
      to[i] = isc_bf16_of_f32(moved(x[i], offset));
  }
}

/* ---- elements of one tensor */

static isc_status check_floats(const isc_weight *t) {
  if (t->dtype != ISC_WEIGHT_INTEGER) return ISC_OK;
  return isc_fail(ISC_E_UNSUPPORTED, "%s: tensor \"%s\" is %s, not floating point", t->file->path,
                  t->name, t->type);
}

/* Whole blocks through the staging memory; the first `skip` elements are left out. */
static isc_status convert(isc_weights *w, const isc_weight *t, int64_t block, int64_t skip,
                          int64_t n, isc_dtype as, void *out) {
  const int64_t elements = isc_weight_block_elements(t->dtype),
                bytes = isc_weight_block_bytes(t->dtype);
  const int64_t most = ISC_WEIGHT_RAW / bytes < ISC_WEIGHT_VALUES / elements
                           ? ISC_WEIGHT_RAW / bytes
                           : ISC_WEIGHT_VALUES / elements;
  for (int64_t done = 0; done < n;) {
    int64_t wanted = skip + n - done, blocks = (wanted + elements - 1) / elements;
    if (blocks > most) blocks = most;
    ISC_TRY(isc_input_read(t->file, t->at + (uint64_t)(block * bytes), w->raw,
                           (size_t)(blocks * bytes)));
    int64_t got = blocks * elements < wanted ? blocks * elements : wanted;
    if (as == ISC_F32 && elements == 1) {
      isc_weight_to_f32(t->dtype, w->raw, blocks, (float *)out + done);
    } else {
      isc_weight_to_f32(t->dtype, w->raw, blocks, w->values);
      put(w->values + skip, got - skip, 0, as, out, done);
    }
    done += got - skip;
    block += blocks;
    skip = 0;
  }
  return ISC_OK;
}

isc_status isc_weights_read(isc_weights *w, const isc_weight *t, int64_t first, int64_t n,
                            isc_dtype as, void *out) {
  const int64_t elements = isc_weight_block_elements(t->dtype);
  if (t < w->tensor || t >= w->tensor + w->n)
    return isc_fail(ISC_E_USAGE, "%s: tensor \"%s\" is not of these files", w->path, t->name);
  ISC_TRY(check_floats(t));
  if (first < 0 || n < 0 || first > t->elements || n > t->elements - first)
    return isc_fail(ISC_E_SHAPE,
                    "%s: tensor \"%s\": elements %" PRId64 " + %" PRId64
                    " are outside its %" PRId64,
                    t->file->path, t->name, first, n, t->elements);
  if (t->dtype == (as == ISC_BF16 ? ISC_WEIGHT_BF16 : ISC_WEIGHT_F32))
    return isc_input_read(t->file, t->at + (uint64_t)first * size_of(as), out,
                          (size_t)n * size_of(as));
  ISC_TRY(isc_weights_stage(w));
  return convert(w, t, first / elements, first % elements, n, as, out);
}

/* ---- the shapes of parts */

static isc_status wrong_shape(const isc_weight_matrix *m, const isc_weight_part *p) {
  char got[192] = "";
  size_t at = 0;
  const isc_weight *t = p->tensor;
  for (int32_t i = 0; i < t->ndim && at < sizeof got; i++)
    at += (size_t)snprintf(got + at, sizeof got - at, "%s%" PRId64, i ? ", " : "", t->shape[i]);
  int64_t rows = p->transposed ? p->cols : p->rows, cols = p->transposed ? p->rows : p->cols;
  if (p->cols == 1)
    return isc_fail(ISC_E_SHAPE, "%s: tensor \"%s\" has shape [%s], and %s needs [%" PRId64 "]",
                    t->file->path, t->name, got, m->name, p->rows);
  return isc_fail(ISC_E_SHAPE,
                  "%s: tensor \"%s\" has shape [%s], and %s needs [%" PRId64 ", %" PRId64 "]",
                  t->file->path, t->name, got, m->name, rows, cols);
}

static isc_status check_part(const isc_weight_matrix *m, const isc_weight_part *p) {
  const isc_weight *t = p->tensor;
  const int64_t rows = p->transposed ? p->cols : p->rows, cols = p->transposed ? p->rows : p->cols;
  ISC_TRY(check_floats(t));
  bool vector = t->ndim == 1 && p->cols == 1 && t->shape[0] == p->rows;
  if (!vector && (t->ndim != 2 || t->shape[0] != rows || t->shape[1] != cols))
    return wrong_shape(m, p);
  if (p->rotary_heads < 0 || (p->rotary_heads > 0 && rows % (2 * p->rotary_heads) != 0))
    return isc_fail(ISC_E_SHAPE,
                    "%s: tensor \"%s\" has %" PRId64 " rows, not pairs of %" PRId64 " heads",
                    t->file->path, t->name, rows, p->rotary_heads);
  return ISC_OK;
}

isc_status isc_weights_check(const isc_weights *w, const isc_weight_matrix *m) {
  int64_t sum = 0;
  const bool rows = m->stack == ISC_STACK_ROWS;
  if (m->n_parts < 1 || m->n_parts > ISC_WEIGHT_PARTS)
    return isc_fail(ISC_E_USAGE, "%s: %s is made of %d tensors, not 1 to %d", w->path, m->name,
                    (int)m->n_parts, ISC_WEIGHT_PARTS);
  for (int32_t i = 0; i < m->n_parts; i++) {
    const isc_weight_part *p = &m->part[i];
    if (!p->tensor || p->rows < 0 || p->cols < 1 ||
        (rows ? p->cols != m->cols : p->rows != m->rows) ||
        __builtin_add_overflow(sum, rows ? p->rows : p->cols, &sum))
      return isc_fail(ISC_E_USAGE, "%s: part %d of %s does not fit it", w->path, (int)i, m->name);
    ISC_TRY(check_part(m, p));
  }
  if (sum == (rows ? m->rows : m->cols)) return ISC_OK;
  return isc_fail(ISC_E_USAGE, "%s: the parts of %s do not fill it", w->path, m->name);
}

/* ---- rows of a parameter */

/* Where rows go: the block's row 0, column 0 is at element `origin` of a matrix with `ld` columns. */
typedef struct target {
  isc_dtype as;
  void *out;
  int64_t origin, ld;
} target;

/* The tensor's row that holds row i of the order wanted. Of each head, halves of pairs lie side by side in the file, and
 * first halves before second halves in Hugging Face's order. */
static int64_t stored_row(const isc_weight_part *p, int64_t i) {
  if (p->rotary_heads == 0) return i;
  const int64_t d = (p->transposed ? p->cols : p->rows) / p->rotary_heads, in_head = i % d;
  return i - in_head + 2 * (in_head % (d / 2)) + in_head / (d / 2);
}

static isc_status read_run(isc_weights *w, const isc_weight_part *p, int64_t first, int64_t n,
                           const target *to, int64_t at) {
  if (p->offset == 0)
    return isc_weights_read(w, p->tensor, first, n, to->as,
                            (char *)to->out + (size_t)at * size_of(to->as));
  for (int64_t i = 0, piece; i < n; i += piece) {
    piece = n - i < ISC_WEIGHT_TILE ? n - i : ISC_WEIGHT_TILE;
    ISC_TRY(isc_weights_read(w, p->tensor, first + i, piece, ISC_F32, w->tile));
    put(w->tile, piece, p->offset, to->as, to->out, at + i);
  }
  return ISC_OK;
}

/* Rows [r0, r1) of a part stored the way it is wanted. */
static isc_status read_plain(isc_weights *w, const isc_weight_part *p, int64_t r0, int64_t r1,
                             const target *to) {
  if (p->cols == to->ld && p->rotary_heads == 0)
    return read_run(w, p, r0 * p->cols, (r1 - r0) * p->cols, to, to->origin);
  for (int64_t r = r0; r < r1; r++)
    ISC_TRY(
        read_run(w, p, stored_row(p, r) * p->cols, p->cols, to, to->origin + (r - r0) * to->ld));
  return ISC_OK;
}

/* Tensor rows [i, i + n), columns [c, c + width), into the tile. */
static isc_status read_tile(isc_weights *w, const isc_weight_part *p, int64_t i, int64_t n,
                            int64_t c, int64_t width) {
  if (width == p->rows && p->rotary_heads == 0)
    return isc_weights_read(w, p->tensor, i * width, n * width, ISC_F32, w->tile);
  for (int64_t k = 0; k < n; k++)
    ISC_TRY(isc_weights_read(w, p->tensor, stored_row(p, i + k) * p->rows + c, width, ISC_F32,
                             w->tile + k * width));
  return ISC_OK;
}

/* The tile's `width` columns become runs of n elements of the target, the first at `at`. Small blocks are turned on the way:
 * columns of a tile, and rows of a target, lie in the same few lines of a cache. */
static void put_columns(const float *tile, int64_t n, int64_t width, float offset, const target *to,
                        int64_t at) {
  enum { ROWS = 64, COLUMNS = 16 };
  float turned[COLUMNS][ROWS];
  for (int64_t i = 0; i < n; i += ROWS)
    for (int64_t c = 0; c < width; c += COLUMNS) {
      const int64_t rows = n - i < ROWS ? n - i : ROWS,
                    columns = width - c < COLUMNS ? width - c : COLUMNS;
      for (int64_t y = 0; y < rows; y++)
        for (int64_t x = 0; x < columns; x++)
          turned[x][y] = tile[(i + y) * width + c + x];
      for (int64_t x = 0; x < columns; x++)
        put(turned[x], rows, offset, to->as, to->out, at + (c + x) * to->ld + i);
    }
}

/* The same of a part stored the other way: its rows are the tensor's columns. */
static isc_status read_transposed(isc_weights *w, const isc_weight_part *p, int64_t r0, int64_t r1,
                                  const target *to) {
  for (int64_t r = r0, width; r < r1; r += width) {
    width = r1 - r < STRIP ? r1 - r : STRIP;
    for (int64_t i = 0, n; i < p->cols; i += n) {
      n = p->cols - i < ISC_WEIGHT_TILE / width ? p->cols - i : ISC_WEIGHT_TILE / width;
      ISC_TRY(read_tile(w, p, i, n, r, width));
      put_columns(w->tile, n, width, p->offset, to, to->origin + (r - r0) * to->ld + i);
    }
  }
  return ISC_OK;
}

static isc_status read_part(isc_weights *w, const isc_weight_part *p, int64_t r0, int64_t r1,
                            const target *to) {
  return p->transposed ? read_transposed(w, p, r0, r1, to) : read_plain(w, p, r0, r1, to);
}

isc_status isc_weights_read_rows(isc_weights *w, const isc_weight_matrix *m, int64_t r0, int64_t r1,
                                 isc_dtype as, void *out) {
  target to = {.as = as, .out = out, .ld = m->cols};
  if (r0 < 0 || r1 < r0 || r1 > m->rows)
    return isc_fail(ISC_E_SHAPE,
                    "%s: rows %" PRId64 " to %" PRId64 " of %s are outside its %" PRId64, w->path,
                    r0, r1, m->name, m->rows);
  ISC_TRY(isc_weights_stage(w));
  int64_t above = 0; /* rows of the parts before this one */
  for (int32_t i = 0; i < m->n_parts; i++) {
    const isc_weight_part *p = &m->part[i];
    if (m->stack == ISC_STACK_COLUMNS) {
      ISC_TRY(read_part(w, p, r0, r1, &to));
      to.origin += p->cols;
      continue;
    }
    int64_t from = r0 > above ? r0 - above : 0, until = r1 - above < p->rows ? r1 - above : p->rows;
    to.origin = (above + from - r0) * m->cols;
    if (from < until) ISC_TRY(read_part(w, p, from, until, &to));
    above += p->rows;
  }
  return ISC_OK;
}
