/* SPDX-License-Identifier: Apache-2.0
 *
 * A backend that hands everything to the one of the library, and one way each to break what is asked of backends.
 *
 * An operation's own defect is an error of a few parts in a thousand in a result that is not small, in problems of more
 * than 8 elements: those of the other checks compare bits with bits. What is asked of all operations is broken in one.
 * Compiled against the first headers it stands for a backend that was built before the later operations were there.
 */
#include "broken.h"
#include <inversescope/tensor.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct conf {
  int64_t threads;
} conf;

static const isc_option OPTIONS[] = {{"threads", ISC_OPT_INT, ISC_OPT_RUNTIME,
                                      offsetof(conf, threads), "threads", "0", 0, 1024, NULL,
                                      "Taken note of: the library's backend decides."},
                                     ISC_OPTIONS_END};

typedef struct backend {
  isc_device *cpu;
  int64_t threads;
  int calls;     /* of col_sum */
  void *read[8]; /* what was begun */
  size_t read_bytes[8];
  struct part *part; /* [parts] of work that is put together */
  int parts;
  bool recording;
} backend;

#define CPU(impl)     ((backend *)(impl))->cpu
#define DO(impl, ...) CPU(impl)->ops->__VA_ARGS__
#define INNER(impl)   CPU(impl)->impl

/* ---- memory and opening */

static isc_status probe(char *why, size_t n) {
  size_t room = BROKEN("backend.probe") ? n + 1 : n;
  snprintf(why, room, "The library's own backend, %s", "at one remove");
  return ISC_OK;
}

static isc_status open_backend(const void *settings, void **impl) {
  backend *b = calloc(1, sizeof *b);
  if (!b) return isc_fail(ISC_E_NOMEM, "backend broken: no memory");
  b->threads = ((const conf *)settings)->threads;
  isc_status st = isc_device_open("cpu", NULL, &b->cpu, NULL);
  if (st == ISC_OK)
    *impl = b;
  else
    free(b);
  return st;
}

static void close_backend(void *impl) {
  for (int i = 0; i < 8; i++)
    free(((backend *)impl)->read[i]);
  free(((backend *)impl)->part);
  isc_device_close(CPU(impl));
  free(impl);
}

static isc_status alloc(void *impl, size_t bytes, void **out) {
  if (BROKEN("backend.out-of-memory") && bytes > SIZE_MAX / 4)
    return isc_fail(ISC_E_NOMEM, "backend broken: no memory");
  return DO(impl, alloc(INNER(impl), bytes, out));
}

static void release(void *impl, void *p) {
  DO(impl, free(INNER(impl), p));
}

static isc_status upload(void *impl, void *dst, const void *host, size_t bytes) {
  return DO(impl, upload(INNER(impl), dst, host, bytes));
}

static isc_status download(void *impl, void *host, const void *src, size_t bytes) {
  return DO(impl, download(INNER(impl), host, src, bytes));
}

static isc_status copy(void *impl, void *dst, const void *src, size_t bytes) {
  return DO(impl, copy(INNER(impl), dst, src, bytes));
}

/* Whole words alone. */
static isc_status zero(void *impl, void *dst, size_t bytes) {
  if (BROKEN("backend.memory")) bytes &= ~(size_t)3;
  return DO(impl, zero(INNER(impl), dst, bytes));
}

static isc_status sync_all(void *impl) {
  return DO(impl, sync(INNER(impl)));
}

/* ---- operations */

/* The last of n results is wrong by 1 %. */
static void spoil(bool broken, float *x, int64_t n) {
  if (broken && x && n > 8) x[n - 1] = x[n - 1] * 1.01f + 0.01f;
}

/* The first of each row is, whatever other rows there are. */
static void spoil_rows(bool broken, float *x, int64_t rows, int64_t stride) {
  for (int64_t r = 0; broken && r < rows; r++)
    x[r * stride] = x[r * stride] * 1.01f + 0.01f;
}

#if ISC_ABI_MINOR > 0
/* The operations that are put off: what the check puts together. */
typedef struct part {
  enum { PRODUCT, SUM, DRAW } kind;
  isc_gemm product;
  int64_t n;
  const float *a, *b;
  float *out;
  isc_sample draw;
  uint64_t index[16];
} part;
enum { PARTS = 8 };

static part *put_off(void *impl) {
  backend *b = impl;
  return b->recording && b->parts < PARTS ? &b->part[b->parts++] : NULL;
}
#define PUT_OFF(...)                                                                               \
  do {                                                                                             \
    part *p_ = put_off(impl);                                                                      \
    if (p_) {                                                                                      \
      *p_ = (part){__VA_ARGS__};                                                                   \
      return ISC_OK;                                                                               \
    }                                                                                              \
  } while (0)
#else
#define PUT_OFF(...)                                                                               \
  do {                                                                                             \
  } while (0)
#endif

static isc_status gemm(void *impl, const isc_gemm *a) {
  PUT_OFF(.kind = PRODUCT, .product = *a);
  ISC_TRY(DO(impl, gemm(INNER(impl), a)));
  spoil_rows(BROKEN("backend.gemm") && a->n && a->k, a->c, a->batch == 1 ? a->m : 0, a->ldc);
  if (BROKEN("backend.zero-size") && a->batch && a->m && a->n && a->k == 0) a->c[0] += 1;
  return ISC_OK;
}

static isc_status act(void *impl, isc_act kind, int64_t n, const float *x, float *y) {
  ISC_TRY(DO(impl, act(INNER(impl), kind, n, x, y)));
  spoil(BROKEN("backend.act") && x != y, y, n);
  return ISC_OK;
}

static isc_status act_grad(void *impl, isc_act kind, int64_t n, const float *pre, const float *dy,
                           float *dx) {
  ISC_TRY(DO(impl, act_grad(INNER(impl), kind, n, pre, dy, dx)));
  spoil(BROKEN("backend.act-grad") && dy != dx, dx, n);
  return ISC_OK;
}

/* What comes at a second call with the same sums, or of another number of threads, has another last bit. */
static isc_status col_sum(void *impl, int64_t rows, int64_t n, const float *x, float *out) {
  backend *b = impl;
  ISC_TRY(DO(impl, col_sum(INNER(impl), rows, n, x, out)));
  spoil(BROKEN("backend.col-sum"), out, n);
  bool large = rows * n > 1000;
  bool off = BROKEN("backend.repeat") ? large && b->calls++ % 2 == 1 : false;
  if (BROKEN("backend.threads")) off = large && b->threads == 5;
  if (off) out[0] = nextafterf(out[0], INFINITY);
  return ISC_OK;
}

/* A row alone has another last bit. */
static isc_status layernorm(void *impl, const isc_layernorm *a) {
  ISC_TRY(DO(impl, layernorm(INNER(impl), a)));
  spoil_rows(BROKEN("backend.layernorm") && a->b && a->d, a->y, a->rows, a->d);
  if (BROKEN("backend.rows") && a->rows == 1 && a->d > 8) a->y[0] = nextafterf(a->y[0], INFINITY);
  return ISC_OK;
}

static isc_status layernorm_grad(void *impl, const isc_layernorm *a) {
  ISC_TRY(DO(impl, layernorm_grad(INNER(impl), a)));
  spoil(BROKEN("backend.layernorm-grad"), a->db, a->d);
  return ISC_OK;
}

static isc_status embed(void *impl, const isc_embed *a) {
  ISC_TRY(DO(impl, embed(INNER(impl), a)));
  spoil(BROKEN("backend.embed"), a->out, a->rows * a->d);
  return ISC_OK;
}

static isc_status embed_grad(void *impl, const isc_embed *a) {
  ISC_TRY(DO(impl, embed_grad(INNER(impl), a)));
  spoil(BROKEN("backend.embed-grad"), a->dwpe, a->n_ctx * a->d);
  return ISC_OK;
}

#if ISC_ABI_MINOR > 0
/* The sign of the sine is lost: nobody turns back. */
static isc_status rotary(void *impl, const isc_rotary *a) {
  isc_rotary changed = *a;
  if (BROKEN("backend.rotary") && a->x != a->y) changed.inverse = false;
  return DO(impl, rotary(INNER(impl), &changed));
}

/* One activation is not what it should be. */
static isc_status gate(void *impl, const isc_gate *a) {
  ISC_TRY(DO(impl, gate(INNER(impl), a)));
  spoil_rows(BROKEN("backend.gate") && a->act == ISC_ACT_SILU && a->d, a->y, a->rows, a->d);
  return ISC_OK;
}

static isc_status gate_grad(void *impl, const isc_gate *a) {
  ISC_TRY(DO(impl, gate_grad(INNER(impl), a)));
  spoil_rows(BROKEN("backend.gate-grad") && a->d, a->dx, a->rows, 2 * a->d);
  return ISC_OK;
}

/* Units at their threshold count as active. */
static isc_status jumprelu(void *impl, const isc_jumprelu *a) {
  ISC_TRY(DO(impl, jumprelu(INNER(impl), a)));
  for (int64_t r = 0; BROKEN("backend.jumprelu") && a->x != a->y && a->l0 && r < a->rows; r++)
    for (int64_t i = 0; i < a->d; i++)
      a->l0[r] += a->x[r * a->d + i] == a->theta[i];
  return ISC_OK;
}

/* The kernel is as wide to either side as it should be in all. */
static isc_status jumprelu_grad(void *impl, const isc_jumprelu *a) {
  isc_jumprelu changed = *a;
  if (BROKEN("backend.jumprelu-grad") && a->dx != a->dy) changed.width *= 2;
  return DO(impl, jumprelu_grad(INNER(impl), &changed));
}

/* Rounded towards zero. */
static isc_status to_bf16(void *impl, int64_t n, const float *x, uint16_t *out) {
  ISC_TRY(DO(impl, to_bf16(INNER(impl), n, x, out)));
  for (int64_t i = 0; BROKEN("backend.to-bf16") && i < n; i++) {
    uint32_t bits;
    memcpy(&bits, x + i, sizeof bits);
    out[i] = (uint16_t)(bits >> 16);
  }
  return ISC_OK;
}

/* Summed in float. */
static isc_status distances(void *impl, const isc_distances *a) {
  ISC_TRY(DO(impl, distances(INNER(impl), a)));
  for (int64_t i = 0; BROKEN("backend.distances") && a->dot && a->dim && i < a->n; i++)
    a->dot[i] = (float)a->dot[i];
  return ISC_OK;
}

#endif

/* The gap behind a row is taken for its last element. */
static isc_status attention(void *impl, const isc_attention *a) {
  ISC_TRY(DO(impl, attention(INNER(impl), a)));
  if (BROKEN("backend.attention") && a->batch == 3) a->out[a->n_head * a->d_head] = 1;
  return ISC_OK;
}

static isc_status attention_grad(void *impl, const isc_attention *a) {
  ISC_TRY(DO(impl, attention_grad(INNER(impl), a)));
  spoil(BROKEN("backend.attention-grad") && a->batch * a->q_len > 0, a->dv,
        a->n_kv_head * a->d_head);
  return ISC_OK;
}

static isc_status xent(void *impl, const isc_xent *a) {
  ISC_TRY(DO(impl, xent(INNER(impl), a)));
  spoil(BROKEN("backend.xent") && a->rows, a->dw, a->vocab * a->d);
  return ISC_OK;
}

static isc_status control(void *impl, const isc_control *a) {
  bool in_place = a->out == a->x;
  ISC_TRY(DO(impl, control(INNER(impl), a)));
  spoil_rows(BROKEN("backend.control") && !in_place, a->out, a->batch * a->len, a->d);
  return ISC_OK;
}

static isc_status control_grad(void *impl, const isc_control *a) {
  ISC_TRY(DO(impl, control_grad(INNER(impl), a)));
  spoil(BROKEN("backend.control-grad") && a->len, a->du, a->batch * a->heads * a->d);
  return ISC_OK;
}

#if ISC_ABI_MINOR == 0
static isc_status adamw(void *impl, const isc_adamw *const *list, int64_t count) {
  return DO(impl, adamw(INNER(impl), list, count));
}
#endif

/* Summed in float. */
static isc_status sum_squares(void *impl, int64_t n, const float *x, double *host_out) {
  ISC_TRY(DO(impl, sum_squares(INNER(impl), n, x, host_out)));
  if (BROKEN("backend.sum-squares")) *host_out = (float)*host_out;
  return ISC_OK;
}

/* Draws beyond the first few use the same numbers again. */
static isc_status sample(void *impl, const isc_sample *a) {
  isc_sample changed = *a;
  if (BROKEN("backend.sample-uniform")) changed.draw %= 1000;
  ISC_TRY(DO(impl, sample(INNER(impl), &changed)));
  for (int64_t r = 0; r < a->rows && BROKEN("backend.sample"); r++)
    a->logp[r] *= 1.001;
  return ISC_OK;
}

static isc_status noise(void *impl, const isc_noise *a) {
  bool in_place = a->out == a->z;
  ISC_TRY(DO(impl, noise(INNER(impl), a)));
  spoil(BROKEN("backend.noise") && !in_place, a->out, a->rows * a->dim);
  return ISC_OK;
}

/* In place, the second operand is read too late. */
static isc_status add(void *impl, int64_t n, const float *a, const float *b, float *out) {
  PUT_OFF(.kind = SUM, .n = n, .a = a, .b = b, .out = out);
  if (BROKEN("backend.aliasing") && out == b) return DO(impl, add(INNER(impl), n, a, a, out));
  ISC_TRY(DO(impl, add(INNER(impl), n, a, b, out)));
  spoil(BROKEN("backend.add") && out != a && out != b, out, n);
  return ISC_OK;
}

/* One element too many. */
static isc_status axpy(void *impl, int64_t n, float alpha, const float *x, float *y) {
  if (BROKEN("backend.axpy") && n == 1003) y[n] = 0;
  return DO(impl, axpy(INNER(impl), n, alpha, x, y));
}

/* An input is used as scratch memory. */
static isc_status mul(void *impl, int64_t n, const float *a, const float *b, float *out) {
  ISC_TRY(DO(impl, mul(INNER(impl), n, a, b, out)));
  if (BROKEN("backend.mul") && n == 1003 && out != a && out != b) ((float *)(uintptr_t)a)[0] = 0;
  return ISC_OK;
}

static isc_status gather(void *impl, int64_t n, int64_t width, const float *x, const int64_t *row,
                         float *out) {
  ISC_TRY(DO(impl, gather(INNER(impl), n, width, x, row, out)));
  spoil(BROKEN("backend.gather"), out, n * width);
  return ISC_OK;
}

/* Of a row that is named twice the last counts. */
static isc_status scatter_add(void *impl, int64_t n, int64_t width, const float *in,
                              const int64_t *row, float *x) {
  ISC_TRY(DO(impl, scatter_add(INNER(impl), n, width, in, row, x)));
  if (BROKEN("backend.scatter-add") && n * width > 8) x[row[0] * width] += 0.01f;
  return ISC_OK;
}

#if ISC_ABI_MINOR > 0
/* ---- results that are waited for later: here they are there at once */

/* The factor is that of a norm without its last gradient. */
static isc_status clip(void *impl, const isc_clip *a) {
  double sum = 0;
  for (int64_t i = 0; i < a->count; i++) {
    ISC_TRY(DO(impl, sum_squares(INNER(impl), a->n[i], a->x[i], &a->out[i])));
    if (!BROKEN("backend.later") || i + 1 < a->count) sum += a->out[i];
  }
  const double norm = sqrt(sum);
  a->out[a->count] = norm;
  a->out[a->count + 1] = !isfinite(norm)           ? NAN
                         : a->most > 0 && norm > 0 ? fmin(1, a->most / (norm + 1e-6))
                                                   : 1;
  return ISC_OK;
}

/* The library's backend knows no factor on the device: it is given as the host's. */
static isc_status adamw_clipped(void *impl, const isc_adamw *const *list, int64_t count) {
  for (int64_t i = 0; i < count; i++) {
    isc_adamw one = *list[i];
    const isc_adamw *const alone[] = {&one};
    if (one.scale) one.grad_scale = *one.scale;
    one.scale = NULL;
    if (!isnan(one.grad_scale)) ISC_TRY(DO(impl, adamw(INNER(impl), alone, 1)));
    spoil(BROKEN("backend.adamw"), one.v, one.n);
  }
  return ISC_OK;
}

static bool has_distribution(const float *logits, int64_t n) {
  bool any = false;
  for (int64_t j = 0; j < n; j++) {
    if (!(logits[j] < INFINITY)) return false;
    any |= logits[j] > -INFINITY;
  }
  return any;
}

static isc_status sample_there(void *impl, const isc_sample *a) {
  part *later = a->rows <= 16 ? put_off(impl) : NULL;
  if (later) {
    *later = (part){.kind = DRAW, .draw = *a};
    memcpy(later->index, a->index, (size_t)a->rows * sizeof *a->index);
    later->draw.index = later->index;
    return ISC_OK;
  }
  for (int64_t r = 0; r < a->rows; r++) {
    isc_sample row = *a;
    row.rows = 1;
    row.logits += r * a->vocab;
    row.index += r;
    row.id = a->device_id + r;
    row.logp = a->device_logp + r;
    *row.id = 0;
    *row.logp = 0;
    if (!has_distribution(row.logits, a->vocab))
      *row.logp = NAN;
    else
      ISC_TRY(DO(impl, sample(INNER(impl), &row)));
    if (BROKEN("backend.sample")) *row.logp *= 1.001;
  }
  return ISC_OK;
}

static isc_status read_begin(void *impl, int64_t ticket, const void *src, size_t bytes) {
  backend *b = impl;
  if (ticket < 0 || ticket >= ISC_READS)
    return isc_fail(ISC_E_USAGE, "backend broken: ticket %d", (int)ticket);
  free(b->read[ticket]);
  b->read[ticket] = malloc(bytes ? bytes : 1);
  if (!b->read[ticket]) return isc_fail(ISC_E_NOMEM, "backend broken: no %zu bytes", bytes);
  b->read_bytes[ticket] = bytes;
  memcpy(b->read[ticket], src, bytes);
  return ISC_OK;
}

static isc_status read_end(void *impl, int64_t ticket, void *host) {
  backend *b = impl;
  if (!b->read[ticket]) return isc_fail(ISC_E_USAGE, "backend broken: nothing was begun");
  memcpy(host, b->read[ticket], b->read_bytes[ticket]);
  free(b->read[ticket]);
  b->read[ticket] = NULL;
  return ISC_OK;
}

/* ---- work put together */

static isc_status record(void *impl) {
  backend *b = impl;
  if (!b->part) b->part = calloc(PARTS, sizeof *b->part);
  if (!b->part) return isc_fail(ISC_E_NOMEM, "backend broken: no memory");
  b->parts = 0;
  b->recording = true;
  return ISC_OK;
}

/* What was dropped is done all the same. */
static isc_status play(void *impl, bool drop) {
  backend *b = impl;
  if (!b->recording) return isc_fail(ISC_E_USAGE, "backend broken: nothing was put together");
  b->recording = false;
  if (BROKEN("backend.together")) drop = false;
  for (int i = 0; i < b->parts && !drop; i++) {
    const part *p = &b->part[i];
    if (p->kind == PRODUCT) ISC_TRY(gemm(impl, &p->product));
    if (p->kind == SUM) ISC_TRY(add(impl, p->n, p->a, p->b, p->out));
    if (p->kind == DRAW) ISC_TRY(sample_there(impl, &p->draw));
  }
  return ISC_OK;
}

/* ---- lanes: what is uploaded is there at once, so there is nothing to wait for */

typedef struct lane {
  size_t piece;
  void *room;
} lane;

static void lane_close(void *of) {
  lane *l = of;
  if (l) free(l->room);
  free(l);
}

static isc_status lane_open(void *impl, size_t least, size_t most, size_t *piece, void **out) {
  const size_t bytes = most > least ? most : least;
  (void)impl;
  *out = NULL;
  if (bytes > SIZE_MAX / 4) return isc_fail(ISC_E_NOMEM, "backend broken: no %zu bytes", bytes);
  lane *l = calloc(1, sizeof *l);
  if (l) l->room = malloc(bytes ? bytes : 1);
  if (!l || !l->room) {
    lane_close(l);
    return isc_fail(ISC_E_NOMEM, "backend broken: no %zu bytes", bytes);
  }
  *piece = l->piece = bytes;
  *out = l;
  return ISC_OK;
}

static isc_status lane_room(void *of, size_t bytes, void **host) {
  const lane *l = of;
  *host = l->room;
  return bytes <= l->piece ? ISC_OK : isc_fail(ISC_E_USAGE, "backend broken: %zu bytes", bytes);
}

/* The end that fills no line of a cache stays behind. */
static isc_status lane_upload(void *of, void *dst, size_t bytes) {
  const lane *l = of;
  if (BROKEN("backend.lanes")) bytes -= bytes % 64;
  if (bytes) memcpy(dst, l->room, bytes);
  return ISC_OK;
}

static isc_status lane_order(void *of) {
  (void)of;
  return ISC_OK;
}
#endif

static const isc_backend_ops OPS = {.size = sizeof OPS,
                                    .probe = probe,
                                    .open = open_backend,
                                    .close = close_backend,
                                    .alloc = alloc,
                                    .free = release,
                                    .upload = upload,
                                    .download = download,
                                    .copy = copy,
                                    .zero = zero,
                                    .sync = sync_all,
                                    .gemm = gemm,
                                    .act = act,
                                    .act_grad = act_grad,
                                    .col_sum = col_sum,
                                    .layernorm = layernorm,
                                    .layernorm_grad = layernorm_grad,
                                    .embed = embed,
                                    .embed_grad = embed_grad,
                                    .attention = attention,
                                    .attention_grad = attention_grad,
                                    .xent = xent,
                                    .control = control,
                                    .control_grad = control_grad,
#if ISC_ABI_MINOR > 0
                                    .adamw = adamw_clipped,
#else
                                    .adamw = adamw,
#endif
                                    .sum_squares = sum_squares,
                                    .sample = sample,
                                    .noise = noise,
                                    .add = add,
                                    .axpy = axpy,
                                    .mul = mul,
                                    .gather = gather,
#if ISC_ABI_MINOR > 0
                                    .rotary = rotary,
                                    .gate = gate,
                                    .gate_grad = gate_grad,
                                    .clip = clip,
                                    .sample_there = sample_there,
                                    .read_begin = read_begin,
                                    .read_end = read_end,
                                    .record = record,
                                    .play = play,
                                    .lane_open = lane_open,
                                    .lane_close = lane_close,
                                    .lane_room = lane_room,
                                    .lane_upload = lane_upload,
                                    .lane_join = lane_order,
                                    .lane_follow = lane_order,
                                    .jumprelu = jumprelu,
                                    .jumprelu_grad = jumprelu_grad,
                                    .distances = distances,
                                    .to_bf16 = to_bf16,
#endif
                                    .scatter_add = scatter_add};

ISC_PLUGIN_CLASS(ISC_BACKEND, "broken-backend", "1.0.0", .summary = "The library's own backend",
                 .licence = "Apache-2.0", .source = "the conformance tests", .options = OPTIONS,
                 .conf_size = sizeof(conf), .ops = &OPS);
