/* SPDX-License-Identifier: Apache-2.0
 *
 * The prior of addition problems: "123+456=", every pair of operands in a range equally likely.
 *
 * Operands are written with a fixed number of digits; each digit is a slot, a1 b1 being the first.
 */
#include <inversescope/prior.h>
#include <inttypes.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
  int64_t digits, min, n; /* operands min … min + n − 1 */
  int64_t answer_digits;
  double test_fraction;
  uint64_t seed;
  char slot_name[2 * MAX_DIGITS][4];
} addition;

static int64_t power_of_ten(int64_t k) {
  int64_t v = 1;
  while (k-- > 0)
    v *= 10;
  return v;
}

static isc_status addition_open(const void *conf, uint64_t seed, void **self) {
  const addition_conf *c = conf;
  int64_t top = power_of_ten(c->digits) - 1;
  int64_t min = c->min >= 0 ? c->min : c->digits == 1 ? 0 : power_of_ten(c->digits - 1);
  int64_t max = c->max >= 0 ? c->max : top;
  if (min > max || max > top)
    return isc_fail(ISC_E_CONFIG,
                    "prior addition: operands %" PRId64 " … %" PRId64 " are not a range of %" PRId64
                    "-digit numbers",
                    min, max, c->digits);
  if (isc_split_check((max - min + 1) * (max - min + 1), c->test_fraction) != ISC_OK)
    return isc_fail_in("prior addition");
  addition *p = calloc(1, sizeof *p);
  if (!p) return isc_fail(ISC_E_NOMEM, "prior addition: no memory");
  *p = (addition){.digits = c->digits,
                  .min = min,
                  .n = max - min + 1,
                  .answer_digits = c->answer_digits,
                  .test_fraction = c->test_fraction,
                  .seed = seed};
  for (int64_t k = 0; k < 2 * p->digits; k++)
    snprintf(p->slot_name[k], sizeof p->slot_name[k], "%c%d", k < p->digits ? 'a' : 'b',
             (int)(k % p->digits % 10) + 1);
  *self = p;
  return ISC_OK;
}

static int64_t addition_support(void *self) {
  const addition *p = self;
  return p->n * p->n;
}

static int64_t addition_count(void *self, isc_split split) {
  const addition *p = self;
  return isc_split_count(p->n * p->n, p->test_fraction, split);
}

static isc_status addition_enumerate(void *self, int64_t i, isc_text *out) {
  const addition *p = self;
  char text[64];
  if (i < 0 || i >= p->n * p->n)
    return isc_fail(ISC_E_USAGE, "prior addition: there is no problem number %" PRId64, i);
  int n = snprintf(text, sizeof text, "%0*" PRId64 "+%0*" PRId64 "=", (int)p->digits,
                   p->min + i / p->n, (int)p->digits, p->min + i % p->n);
  return isc_text_set(out, text, (size_t)n);
}

static isc_status addition_draw(void *self, isc_split split, int64_t i, isc_text *out) {
  const addition *p = self;
  if (i < 0 || i >= addition_count(self, split))
    return isc_fail(ISC_E_USAGE, "prior addition: there is no input number %" PRId64, i);
  return addition_enumerate(self, isc_split_index(p->seed, p->n * p->n, p->test_fraction, split, i),
                            out);
}

static bool operand(const addition *p, const char *s, int64_t *out) {
  *out = 0;
  for (int64_t i = 0; i < p->digits; i++) {
    if (s[i] < '0' || s[i] > '9') return false;
    *out = *out * 10 + (s[i] - '0');
  }
  return *out >= p->min && *out - p->min < p->n;
}

static bool parse(const addition *p, const char *text, size_t len, int64_t *a, int64_t *b) {
  size_t d = (size_t)p->digits;
  return len == 2 * d + 2 && text[d] == '+' && text[2 * d + 1] == '=' && operand(p, text, a) &&
         operand(p, text + d + 1, b);
}

static isc_status addition_answer(void *self, const char *text, size_t len, isc_text *out) {
  const addition *p = self;
  int64_t a, b;
  char sum[32];
  ISC_TRY(isc_text_set(out, "", 0));
  if (!parse(p, text, len, &a, &b)) return ISC_OK;
  int n = snprintf(sum, sizeof sum, "%0*" PRId64, (int)p->answer_digits, a + b);
  return isc_text_set(out, sum, (size_t)n);
}

static isc_status addition_log_prob(void *self, const char *text, size_t len, double *out) {
  const addition *p = self;
  int64_t a, b;
  *out = parse(p, text, len, &a, &b) ? -2.0 * log((double)p->n) : -INFINITY;
  return ISC_OK;
}

static int64_t addition_n_slots(void *self) {
  const addition *p = self;
  return 2 * p->digits;
}

static const char *addition_slot_name(void *self, int64_t k) {
  const addition *p = self;
  return k >= 0 && k < 2 * p->digits ? p->slot_name[k] : NULL;
}

static isc_status addition_slot(void *self, const char *text, size_t len, int64_t k,
                                isc_text *out) {
  const addition *p = self;
  int64_t a, b;
  ISC_TRY(isc_text_set(out, "", 0));
  if (k < 0 || k >= 2 * p->digits)
    return isc_fail(ISC_E_USAGE, "prior addition: there is no slot number %" PRId64, k);
  if (!parse(p, text, len, &a, &b)) return ISC_OK;
  return isc_text_set(out, text + k + (k >= p->digits), 1); /* the plus sign lies between */
}

static int64_t addition_slot_choices(void *self, int64_t k) {
  return addition_slot_name(self, k) ? 10 : 0;
}

static const char *addition_slot_choice(void *self, int64_t k, int64_t j) {
  static const char *const digit[] = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};
  return j >= 0 && j < addition_slot_choices(self, k) ? digit[j] : NULL;
}

static isc_status addition_fingerprint(void *self, char hex[33]) {
  const addition *p = self;
  char s[200];
  int n = snprintf(s, sizeof s, "%" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %a %" PRIu64,
                   p->digits, p->min, p->n, p->answer_digits, p->test_fraction, p->seed);
  return isc_text_hash(s, (size_t)n, hex);
}

static const isc_prior_ops ops = {
    .size = sizeof ops,
    .open = addition_open,
    .close = free,
    .count = addition_count,
    .draw = addition_draw,
    .answer = addition_answer,
    .log_prob = addition_log_prob,
    .support = addition_support,
    .enumerate = addition_enumerate,
    .n_slots = addition_n_slots,
    .slot_name = addition_slot_name,
    .slot = addition_slot,
    .fingerprint = addition_fingerprint,
    .slot_choices = addition_slot_choices,
    .slot_choice = addition_slot_choice,
};

static const isc_class addition_class = {
    ISC_CLASS(ISC_PRIOR),
    .name = "addition",
    .version = "1.0.0",
    .summary = "Addition problems such as 123+456=",
    .licence = "Apache-2.0",
    .options = options,
    .conf_size = sizeof(addition_conf),
    .ops = &ops,
};

ISC_PLUGIN("addition", "1.0.0", &addition_class);
