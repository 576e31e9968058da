/* SPDX-License-Identifier: Apache-2.0
 *
 * The prior of addition problems: "123+456=", every pair of operands in a range equally likely.
 *
 * Operands are written with a fixed number of digits. Each digit is a slot, a1 and b1 being the first, and so is what the
 * addition makes of the column ak bk: its digit sk of the sum, and ck, which is 1 when it carries and 0 when not; c1 is the
 * digit of the sum before s1.
 */
#include <inversescope/uniform.h>
#include <inttypes.h>
#include <stdlib.h>

enum { MAX_DIGITS = 9 };

typedef struct addition_conf {
  int64_t digits, min, max, answer_digits;
  double test_fraction;
} addition_conf;

#define AT(field) offsetof(addition_conf, field)
static const isc_option options[] = {
    {"digits", ISC_OPT_INT, 0, AT(digits), "digits", "3", 1, MAX_DIGITS, NULL,
     "Digits of each operand; smaller numbers get leading zeros."},
    {"min", ISC_OPT_INT, 0, AT(min), NULL, "-1", -1, 999999999, NULL,
     "Smallest operand; -1 is the smallest without a leading zero."},
    {"max", ISC_OPT_INT, 0, AT(max), NULL, "-1", -1, 999999999, NULL,
     "Largest operand; -1 is the largest with so many digits."},
    {"answer_digits", ISC_OPT_INT, 0, AT(answer_digits), "digits", "0", 0, MAX_DIGITS + 1, NULL,
     "Digits of the sum, with leading zeros; 0 writes it without any."},
    {"test_fraction", ISC_OPT_FLOAT, ISC_OPT_OPEN_MIN | ISC_OPT_OPEN_MAX, AT(test_fraction), NULL,
     "0.1", 0, 1, NULL, "Share of the problems held out as the test split."},
    ISC_OPTIONS_END};

typedef struct addition {
  isc_uniform uniform;
  int64_t min, n; /* operands min … min + n − 1 */
  int digits, answer_digits;
} addition;

static isc_status text_of(const void *self, int64_t i, isc_text *out) {
  const addition *p = self;
  return isc_text_format(out, "%0*" PRId64 "+%0*" PRId64 "=", p->digits, p->min + i / p->n,
                         p->digits, p->min + i % p->n);
}

/* The operand at `s`, counted from the smallest; −1 when there is none. */
static int64_t operand(const addition *p, const char *s) {
  int64_t v = 0;
  for (int i = 0; i < p->digits; i++) {
    if (s[i] < '0' || s[i] > '9') return -1;
    v = v * 10 + (s[i] - '0');
  }
  return v >= p->min && v - p->min < p->n ? v - p->min : -1;
}

static int64_t index_of(const void *self, const char *text, size_t len) {
  const addition *p = self;
  const size_t d = (size_t)p->digits;
  if (len != 2 * d + 2 || text[d] != '+' || text[2 * d + 1] != '=') return -1;
  const int64_t a = operand(p, text), b = operand(p, text + d + 1);
  return a < 0 || b < 0 ? -1 : a * p->n + b;
}

static isc_status addition_open(const void *conf, uint64_t seed, void **self) {
  const addition_conf *c = conf;
  int64_t least = 1;
  for (int64_t k = 1; k < c->digits; k++)
    least *= 10;
  const int64_t top = 10 * least - 1;
  const int64_t min = c->min >= 0 ? c->min : c->digits == 1 ? 0 : least;
  const int64_t max = c->max >= 0 ? c->max : top, n = max - min + 1;
  if (min > max || max > top)
    return isc_fail(ISC_E_CONFIG,
                    "prior addition: operands %" PRId64 " … %" PRId64 " are not a range of %" PRId64
                    "-digit numbers",
                    min, max, c->digits);
  if (isc_split_check(n * n, c->test_fraction) != ISC_OK) return isc_fail_in("prior addition");
  addition *p = malloc(sizeof *p);
  if (!p) return isc_fail(ISC_E_NOMEM, "prior addition: no memory");
  *p = (addition){.uniform = {.size = sizeof p->uniform,
                              .name = "addition",
                              .support = n * n,
                              .test_fraction = c->test_fraction,
                              .seed = seed,
                              .text = text_of,
                              .index = index_of,
                              .max_bytes = 2 * c->digits + 2},
                  .min = min,
                  .n = n,
                  .digits = (int)c->digits,
                  .answer_digits = (int)c->answer_digits};
  *self = p;
  return ISC_OK;
}

static isc_status addition_answer(void *self, const char *text, size_t len, isc_text *out) {
  const addition *p = self;
  const int64_t i = index_of(self, text, len);
  if (i < 0) return isc_text_set(out, "", 0);
  return isc_text_format(out, "%0*" PRId64, p->answer_digits, 2 * p->min + i / p->n + i % p->n);
}

/* ---- slots */

enum { A, B, SUM, CARRY, ROWS }; /* each has as many slots as an operand has digits */

static int64_t addition_n_slots(void *self) {
  return ROWS * ((const addition *)self)->digits;
}

static const char *addition_slot_name(void *self, int64_t k) {
  static const char *const name[ROWS][MAX_DIGITS] = {
      {"a1", "a2", "a3", "a4", "a5", "a6", "a7", "a8", "a9"},
      {"b1", "b2", "b3", "b4", "b5", "b6", "b7", "b8", "b9"},
      {"s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9"},
      {"c1", "c2", "c3", "c4", "c5", "c6", "c7", "c8", "c9"}};
  const int digits = ((const addition *)self)->digits;
  return k >= 0 && k < ROWS * digits ? name[k / digits][k % digits] : NULL;
}

/* Row `row` of a column, counted from 0; the columns behind it say whether something is carried into it. */
static int column_value(const addition *p, const char *text, int row, int column) {
  int value[ROWS] = {0};
  for (int i = p->digits - 1; i >= column; i--) {
    value[A] = text[i] - '0';
    value[B] = text[p->digits + 1 + i] - '0'; /* the plus sign lies between */
    const int sum = value[A] + value[B] + value[CARRY];
    value[SUM] = sum % 10;
    value[CARRY] = sum / 10;
  }
  return value[row];
}

static isc_status addition_slot(void *self, const char *text, size_t len, int64_t k,
                                isc_text *out) {
  const addition *p = self;
  if (!addition_slot_name(self, k))
    return isc_fail(ISC_E_USAGE, "prior addition: there is no slot number %" PRId64, k);
  if (index_of(self, text, len) < 0) return isc_text_set(out, "", 0);
  const char digit =
      (char)('0' + column_value(p, text, (int)(k / p->digits), (int)(k % p->digits)));
  return isc_text_set(out, &digit, 1);
}

static int64_t addition_slot_choices(void *self, int64_t k) {
  if (!addition_slot_name(self, k)) return 0;
  return k / ((const addition *)self)->digits == CARRY ? 2 : 10;
}

static const char *addition_slot_choice(void *self, int64_t k, int64_t j) {
  static const char *const digit[] = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};
  return j >= 0 && j < addition_slot_choices(self, k) ? digit[j] : NULL;
}

static isc_status addition_fingerprint(void *self, char hex[33]) {
  const addition *p = self;
  const isc_uniform *u = &p->uniform;
  isc_text t = {0};
  isc_status st = isc_text_format(&t, "%d %" PRId64 " %" PRId64 " %d %a %" PRIu64, p->digits,
                                  p->min, p->n, p->answer_digits, u->test_fraction, u->seed);
  if (st == ISC_OK) st = isc_text_hash(t.data, t.len, hex);
  isc_text_free(&t);
  return st;
}

static const isc_prior_ops ops = {ISC_UNIFORM_PRIOR,
                                  .open = addition_open,
                                  .close = free,
                                  .answer = addition_answer,
                                  .n_slots = addition_n_slots,
                                  .slot_name = addition_slot_name,
                                  .slot = addition_slot,
                                  .slot_choices = addition_slot_choices,
                                  .slot_choice = addition_slot_choice,
                                  .fingerprint = addition_fingerprint};

ISC_PLUGIN_CLASS(ISC_PRIOR, "addition", "1.0.0",
                 .summary = "Addition problems such as 123+456=", .licence = "Apache-2.0",
                 .options = options, .conf_size = sizeof(addition_conf), .ops = &ops);
