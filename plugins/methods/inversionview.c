/* SPDX-License-Identifier: Apache-2.0
 *
 * InversionView (Huang et al. 2024): a small decoder trained from scratch to write the text that an activation came from.
 *
 * The method that InverseScope is compared with. It trains on clean activations; noise, where it is wanted, is added when
 * an activation is inverted. Its texts are made of the target's tokens. A text begins with the tokenizer's BOS and ends
 * with its EOS; one stands in for the other where there is only one, and a token is added where there is neither.
 */
#include "inversionview.h"
#include <stdlib.h>
#include <string.h>

static void close_method(void *self) {
  if (!self) return;
  iv_network_free(self);
  free(self);
}

static isc_status check(const iv_conf *c, const isc_method_env *env) {
  if (env->n_sites < 1) return isc_fail(ISC_E_CONFIG, "inversionview needs at least one site");
  if (!env->target_tokenizer)
    return isc_fail(ISC_E_CONFIG, "inversionview writes the target's tokens, and the target has no "
                                  "tokenizer");
  if (c->width % c->heads != 0)
    return isc_fail(ISC_E_CONFIG, "width %lld is not a multiple of heads %lld", (long long)c->width,
                    (long long)c->heads);
  return ISC_OK;
}

static void choose_tokens(iv_method *m) {
  const isc_tokenizer *tok = m->env->target_tokenizer;
  const int32_t bos = isc_tokenizer_bos(tok), eos = isc_tokenizer_eos(tok);
  m->vocab = isc_tokenizer_vocab(tok);
  m->bos = bos >= 0 ? bos : eos;
  m->eos = eos >= 0 ? eos : bos;
  if (m->bos < 0) m->bos = m->eos = (int32_t)m->vocab++;
}

static isc_status open_method(const void *conf, const isc_method_env *env, void **self) {
  *self = NULL;
  ISC_TRY(check(conf, env));
  iv_method *m = calloc(1, sizeof *m);
  if (!m) return iv_no_memory("the method");
  m->conf = conf;
  m->env = env;
  for (int64_t g = 0; g < env->n_sites; g++)
    if (isc_method_site(env, g)->dim > m->d_z) m->d_z = isc_method_site(env, g)->dim;
  m->d_u = m->d_z + env->n_sites;
  choose_tokens(m);
  *self = m;
  return ISC_OK;
}

static const char *const *stages(void *self) {
  static const char *const names[] = {"decoder", NULL};
  (void)self;
  return names;
}

static const char *const *stage_options(void *self, int64_t stage) {
  (void)self;
  (void)stage;
  return iv_training_options;
}

static uint32_t stage_uses(void *self, int64_t stage) {
  (void)self;
  (void)stage;
  return ISC_USES_ACTIVATIONS;
}

static isc_status fingerprint(void *self, int64_t stage, char hex[33]) {
  const iv_method *m = self;
  char what[33 + sizeof m->env->seed];
  (void)stage;
  isc_tokenizer_fingerprint(m->env->target_tokenizer, what);
  memcpy(what + 33, &m->env->seed, sizeof m->env->seed);
  return isc_text_hash(what, sizeof what, hex);
}

static isc_status train(void *self, int64_t stage, isc_train_io *io) {
  (void)stage;
  return iv_train(self, io);
}

static isc_status load(void *self, int64_t stage, const char *dir) {
  (void)stage;
  return iv_load(self, dir);
}

static isc_status invert(void *self, const isc_invert *req) {
  return iv_invert(self, req);
}

static int64_t parameters(void *self) {
  return iv_network_parameters(self);
}

static const isc_method_ops ops = {.size = sizeof ops,
                                   .open = open_method,
                                   .close = close_method,
                                   .stages = stages,
                                   .fingerprint = fingerprint,
                                   .stage_options = stage_options,
                                   .train = train,
                                   .load = load,
                                   .invert = invert,
                                   .parameters = parameters,
                                   .stage_uses = stage_uses};

ISC_PLUGIN_CLASS(ISC_METHOD, "inversionview", "1.0.0",
                 .summary = "A decoder trained from scratch that attends to the activation",
                 .licence = "Apache-2.0",
                 .source =
                     "InversionView (Huang et al. 2024), with the comparison of InverseScope, "
                     "section 4.1 and appendix E.1",
                 .options = iv_options, .conf_size = sizeof(iv_conf), .ops = &ops);
