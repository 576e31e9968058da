/* SPDX-License-Identifier: Apache-2.0
 *
 * Next-token training steps over a corpus.
 */
#include "method/lm_trainer.h"
#include <inversescope/dropout.h>

static isc_status forward(void *user, isc_step *s, int64_t k, isc_tensor **loss, isc_metric *m,
                          int64_t *n) {
  const isc_lm_training *t = user;
  int64_t batch = t->recipe->batch;
  isc_corpus_batch b;
  isc_tensor *hidden;
  void *p;
  *n = 0;
  if (t->watch) ISC_TRY(isc_watch_step(t->watch, k, m, n));
  ISC_TRY(isc_step_host_alloc(s, (size_t)batch * sizeof(int64_t), &p));
  int64_t *row = p;
  for (int64_t r = 0; r < batch; r++)
    row[r] = isc_epoch_row(t->seed, t->corpus->n, k * batch + r);
  ISC_TRY(isc_corpus_take(t->corpus, s, row, batch, &b));
  isc_train_took(t->io, b.batch, b.tokens);
  const isc_decoder_input in = {.size = sizeof in, .batch = b.batch, .len = b.len, .ids = b.ids};
  isc_dropout dropout = {.p = t->dropout,
                         .attention = t->attention_dropout,
                         .d_head = isc_decoder_get_spec(t->decoder)->d_head,
                         .seed = t->seed,
                         .step = k};
  const isc_taps taps = isc_dropout_taps(&dropout);
  ISC_TRY(isc_decoder_forward(t->decoder, s, &in, &taps, &hidden));
  return isc_op_xent(s, hidden, isc_decoder_head(t->decoder), b.target, NULL, NULL, loss);
}

isc_status isc_lm_train(const isc_lm_training *t) {
  isc_lm_training copy = *t;
  const isc_train_loop loop = {.size = sizeof loop,
                               .device = t->device,
                               .params = isc_decoder_params(t->decoder),
                               .recipe = t->recipe,
                               .io = t->io,
                               .group_lr = {1},
                               .held = t->watch ? &t->watch->valid : NULL,
                               .user = &copy,
                               .forward = forward};
  return isc_train_run(&loop);
}
