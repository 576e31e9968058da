/* SPDX-License-Identifier: Apache-2.0
 *
 * Conformance checks of priors: the texts themselves, how long they get, and the fingerprint they go by.
 *
 * Texts pass through tokenizers, databases and reports; stages are redone when a fingerprint changes, and reused wrongly when
 * it does not.
 */
#include "conform/prior_use.h"
#include "plugin/schema.h"
#include <stdlib.h>
#include <string.h>

enum { SAMPLES = 512, FIRST = 32 };

/* ---- prior.text */

static isc_status is_text(const isc_text *x, const char *from) {
  const char *wrong = NULL;
  if (x->len == 0)
    wrong = "is empty";
  else if (memchr(x->data, 0, x->len))
    wrong = "holds a NUL";
  else if (!isc_text_is_utf8(x->data, x->len))
    wrong = "is not UTF-8";
  else if (x->data[x->len] != 0)
    wrong = "has no NUL behind its end";
  if (!wrong) return ISC_OK;
  return isc_fail(ISC_E_INTERNAL, "the text %s, from %s, %s", isc_shown_text(x), from, wrong);
}

/* Texts of both splits and of the support, for `look`. */
static isc_status every_text(isc_conform *c, const isc_prior *p,
                             isc_status (*look)(const isc_text *, const char *, int64_t),
                             int64_t bound) {
  isc_texts sample = {0};
  isc_text x = {0};
  isc_status st = ISC_OK;
  ISC_GO(isc_conform_samples(p, SAMPLES, c->seed, &sample));
  for (int64_t i = 0; i < sample.n; i++)
    ISC_GO(look(&sample.at[i], "draw", bound));
  const int64_t support = p->ops->support && p->ops->enumerate ? p->ops->support(p->self) : 0,
                step = support / SAMPLES + 1;
  for (int64_t i = 0; i < support; i += step) {
    ISC_GO(p->ops->enumerate(p->self, i, &x));
    ISC_GO(look(&x, "enumerate", bound));
  }
done:
  isc_texts_free(&sample);
  isc_text_free(&x);
  return st;
}

static isc_status look_at_text(const isc_text *x, const char *from, int64_t bound) {
  (void)bound;
  return is_text(x, from);
}

static isc_status texts(isc_conform *c) {
  isc_prior p = {0};
  isc_status st = ISC_OK;
  ISC_GO(isc_conform_prior_open(c, c->conf, c->seed, &p));
  ISC_GO(every_text(c, &p, look_at_text, 0));
done:
  isc_conform_prior_close(&p);
  return st;
}

/* ---- prior.length */

static isc_status look_at_length(const isc_text *x, const char *from, int64_t bound) {
  if (x->len <= (uint64_t)bound) return ISC_OK;
  return isc_fail(ISC_E_INTERNAL, "%s gives %s of %zu bytes; max_bytes is %lld", from,
                  isc_shown_text(x), x->len, (long long)bound);
}

static isc_status length(isc_conform *c) {
  isc_prior p = {0};
  isc_status st = ISC_OK;
  ISC_GO(isc_conform_prior_open(c, c->conf, c->seed, &p));
  const int64_t bound = p.ops->max_bytes ? p.ops->max_bytes(p.self) : 0;
  if (bound < 0)
    st = isc_fail(ISC_E_INTERNAL, "max_bytes is %lld", (long long)bound);
  else if (bound == 0)
    st = isc_conform_skip(c, "it declares no length");
  else
    st = every_text(c, &p, look_at_length, bound);
done:
  isc_conform_prior_close(&p);
  return st;
}

/* ---- prior.fingerprint */

typedef struct identity {
  char fingerprint[34];
  uint64_t texts; /* hash of the first draws and of how many there are */
} identity;

static isc_status take_fingerprint(const isc_prior *p, char *out /* [34] */) {
  memset(out, '?', 34);
  if (p->ops->fingerprint(p->self, out) != ISC_OK) return isc_fail_in("fingerprint");
  if (out[33] != '?') return isc_fail(ISC_E_INTERNAL, "fingerprint writes more than 33 bytes");
  if (out[32] != 0 || strspn(out, "0123456789abcdef") != 32)
    return isc_fail(ISC_E_INTERNAL, "the fingerprint %s is not 32 hexadecimal digits and a NUL",
                    isc_shown(out, 33));
  return ISC_OK;
}

static isc_status hash_text(uint64_t *h, const isc_text *x) {
  *h = *h * 1000003 + isc_bytes_hash(x->data ? x->data : "", x->len);
  return ISC_OK;
}

static isc_status take_texts(const isc_prior *p, uint64_t *out) {
  isc_text x = {0}, answer = {0};
  isc_status st = ISC_OK;
  *out = 0;
  for (int s = 0; s < 2; s++) {
    const isc_split split = s ? ISC_TEST : ISC_TRAIN;
    const int64_t n = p->ops->count(p->self, split);
    *out = *out * 31 + (uint64_t)n;
    for (int64_t i = 0; i < n && i < FIRST; i++) {
      ISC_GO(isc_conform_draw(p, split, i, &x));
      ISC_GO(hash_text(out, &x));
      if (!p->ops->answer) continue;
      ISC_GO(isc_text_set(&answer, "", 0));
      ISC_GO(p->ops->answer(p->self, x.data, x.len, &answer));
      ISC_GO(hash_text(out, &answer));
    }
  }
done:
  isc_text_free(&x);
  isc_text_free(&answer);
  return st;
}

/* Whether it opened is in *opened: other settings may be refused. */
static isc_status identify(isc_conform *c, const void *conf, uint64_t seed, identity *out,
                           bool *opened) {
  isc_prior p = {0};
  isc_status st = isc_conform_prior_open(c, conf, seed, &p);
  *opened = st == ISC_OK;
  if (!*opened) return ISC_OK;
  ISC_GO(take_fingerprint(&p, out->fingerprint));
  ISC_GO(take_texts(&p, &out->texts));
done:
  isc_conform_prior_close(&p);
  return st;
}

/* Other values of an option, as config text; how many. */
static int other_values(const isc_option *o, const void *conf, char out[3][64]) {
  const char *field = (const char *)conf + o->offset;
  int32_t choice;
  int64_t i;
  double f;
  int n = 0;
  if (o->type == ISC_OPT_BOOL) snprintf(out[n++], 64, "%s", *field ? "false" : "true");
  if (o->type == ISC_OPT_ENUM) {
    memcpy(&choice, field, sizeof choice);
    for (int32_t k = 0; n < 3 && o->choices[k]; k++)
      if (k != choice) snprintf(out[n++], 64, "\"%s\"", o->choices[k]);
  }
  if (o->type == ISC_OPT_INT) {
    memcpy(&i, field, sizeof i);
    snprintf(out[n++], 64, "%lld", (long long)(i > 1 ? i - 1 : 2));
    snprintf(out[n++], 64, "%lld", (long long)(i < INT64_MAX ? i + 1 : 3));
  }
  if (o->type == ISC_OPT_FLOAT) {
    memcpy(&f, field, sizeof f);
    snprintf(out[n++], 64, "%.6e", f / 2);
    snprintf(out[n++], 64, "%.6e", f * 1.5);
  }
  return n;
}

static isc_status other_option(isc_conform *c, const isc_option *o, const char *value,
                               const identity *usual) {
  identity other = {0};
  char *change;
  void *conf = NULL;
  bool opened;
  ISC_TRY(isc_asprintf(&change, "%s=%s", o->name, value));
  const char *const changes[] = {change};
  isc_status st = c->cs->fill(c->cs, changes, 1, &conf);
  if (st != ISC_OK) { /* out of the option's range */
    free(change);
    return ISC_OK;
  }
  st = identify(c, conf, c->seed, &other, &opened);
  if (st == ISC_OK && opened && other.texts != usual->texts &&
      strcmp(other.fingerprint, usual->fingerprint) == 0)
    st = isc_fail(ISC_E_INTERNAL, "%s changes the texts, but the fingerprint stays %s", change,
                  usual->fingerprint);
  free(conf);
  free(change);
  return st;
}

static isc_status other_seed(isc_conform *c, const identity *usual) {
  identity other = {0};
  bool opened;
  ISC_TRY(identify(c, c->conf, c->seed, &other, &opened));
  if (!opened) return isc_fail_in("opened again");
  if (strcmp(usual->fingerprint, other.fingerprint) != 0)
    return isc_fail(ISC_E_INTERNAL,
                    "two instances of the same settings have fingerprints %s and %s",
                    usual->fingerprint, other.fingerprint);
  for (uint64_t k = 1; k <= 4; k++) {
    ISC_TRY(identify(c, c->conf, c->seed + k, &other, &opened));
    if (opened && other.texts != usual->texts && strcmp(other.fingerprint, usual->fingerprint) == 0)
      return isc_fail(
          ISC_E_INTERNAL, "seeds %llu and %llu draw other texts, but the fingerprint of both is %s",
          (unsigned long long)c->seed, (unsigned long long)(c->seed + k), usual->fingerprint);
  }
  return ISC_OK;
}

static isc_status fingerprint(isc_conform *c) {
  identity usual = {0};
  bool opened;
  ISC_TRY(identify(c, c->conf, c->seed, &usual, &opened));
  if (!opened) return isc_error_code();
  ISC_TRY(other_seed(c, &usual));
  for (const isc_option *o = c->cls->options; o && o->name; o++) {
    char value[3][64];
    const int n = o->flags & ISC_OPT_RUNTIME ? 0 : other_values(o, c->conf, value);
    for (int k = 0; k < n; k++)
      ISC_TRY(other_option(c, o, value[k], &usual));
  }
  return ISC_OK;
}

const isc_check isc_checks_prior_texts[] = {
    {"prior.text", ISC_OF(ISC_PRIOR), ISC_PER_CASE, 20,
     "Every text is UTF-8, not empty, and without NULs.",
     "Check lists and files when the prior is opened; cut texts between characters.", texts},
    {"prior.length", ISC_OF(ISC_PRIOR), ISC_PER_CASE, 20, "No text is longer than max_bytes says.",
     "Count bytes, not characters, over the longest values of all slots together.", length},
    {"prior.fingerprint", ISC_OF(ISC_PRIOR), ISC_PER_CASE, 30,
     "The fingerprint is 32 hexadecimal digits, the same for the same settings and seed, and "
     "another whenever the texts, their order or their answers are others.",
     "Hash every option that is no RUNTIME option, the seed, and the content of files.",
     fingerprint},
    {0}};
