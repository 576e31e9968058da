/* SPDX-License-Identifier: Apache-2.0
 *
 * A method at work on the planted task: opened, trained, loaded, and asked, as a run does it.
 */
#ifndef ISC_CORE_CONFORM_METHOD_USE_H
#define ISC_CORE_CONFORM_METHOD_USE_H

#include "conform/conform.h"
#include "conform/toy.h"

enum { ISC_READER_STAGES = 16 }; /* stages that are looked at */

typedef struct isc_reader {
  isc_conform *c;
  const void *conf;
  const isc_method_ops *ops;
  isc_device *device;
  isc_task *task;
  void *self;        /* the opened method                                */
  char *dir;         /* its stages' directories are in here              */
  int64_t max_steps; /* of every stage's training; 0 = as the options say */
  bool as_listed;    /* a stage gets activations only when stage_uses lists them */
} isc_reader;

/* Steps that are enough to see how a method trains, but not that it learns. */
enum { ISC_READER_FEW = 200 };

/* Open the class under check on `conf`, with n_train training inputs; `name` is unique among the check's readers. */
isc_status isc_reader_open(isc_conform *c, const void *conf, uint64_t seed, int threads,
                           int64_t n_train, const char *name, isc_reader *r);
void isc_reader_close(isc_reader *r); /* removes its directory; a zeroed one is fine */
/* Close the method and open a fresh one on the same task and directory. */
isc_status isc_reader_reopen(isc_reader *r);

int64_t isc_reader_stages(const isc_reader *r);
const char *isc_reader_stage_name(const isc_reader *r, int64_t k);
isc_status isc_reader_stage_dir(const isc_reader *r, int64_t k, char **out); /* malloc'd */

/* A stage's training: what to do to it, and what it did. */
typedef struct isc_training {
  isc_train_io io;
  int64_t stop_after;    /* ask to stop once so many steps are done; −1 = never            */
  int64_t checkpoint_at; /* it is time to save at this step; −1 = never                     */
  int64_t fail_at;       /* progress fails at this step, as if the process was killed; −1   */
  int64_t calls;         /* of progress                                                     */
  int64_t first, done, total; /* as reported: the first and the last step, and the first total   */
  int64_t saved;     /* the step at which it was told to save; −1                        */
  int64_t late;      /* calls of progress after it was told to stop                     */
  double asked;      /* when it was told to stop; 0 = never                              */
  char problem[192]; /* the first rule of progress that was broken, "" = none             */
} isc_training;
isc_training isc_training_new(void);

/* Train stage k; the method's own status. */
isc_status isc_reader_train(isc_reader *r, int64_t k, isc_training *t);
/* Load stages 0 … n−1; the method's own status. */
isc_status isc_reader_load(isc_reader *r, int64_t n);
/* Train and load every stage, none of which may fail. */
isc_status isc_reader_fit(isc_reader *r);
/* Open a reader with the case's settings, all training inputs and `max_steps`, and fit it. */
isc_status isc_reader_fitted(isc_conform *c, int64_t max_steps, const char *name, isc_reader *r);

/* ---- inversion */

/* One sample as it came. */
typedef struct isc_drawn {
  isc_text text;
  double log_q;
  int64_t times; /* it was delivered */
} isc_drawn;

typedef struct isc_request {
  isc_invert q;
  int64_t *site;      /* [n]                       */
  uint64_t *index;    /* [n]                       */
  const float **z;    /* [n]                       */
  float *values;      /* [n, ISC_TASK_WIDEST]      */
  isc_drawn *drawn;   /* [n, samples]              */
  int64_t strays;     /* deliveries to no such row or sample */
  int64_t fail_after; /* the sample after so many fails; −1 = none */
  int64_t delivered;
} isc_request;

isc_status isc_request_new(int64_t n, int64_t samples, isc_request *q);
void isc_request_free(isc_request *q);
/* Row `row` asks for input i of a split at a site; its first sample has number `index`. */
void isc_request_row(isc_request *q, const isc_task *t, int64_t row, int64_t site, isc_split split,
                     int64_t i, uint64_t index);
/* Invert; the method's own status. The samples before are forgotten. */
isc_status isc_request_run(isc_reader *r, isc_request *q, int64_t batch);
/* The same number of rows, and the same samples in each? Fails with `what` and both of the first that differ. */
isc_status isc_requests_agree(const isc_request *a, const isc_request *b, const char *what);

/* ---- labels */

/* Labels of n inputs of a split from input `first` on at a site; out [n] zeroed texts, freed by isc_labels_free. */
isc_status isc_reader_labels(isc_reader *r, int64_t site, isc_split split, int64_t first, int64_t n,
                             isc_text **out);
void isc_labels_free(isc_text *labels, int64_t n);
const char *isc_label_shown(const isc_text *label); /* never NULL */

/* The bytes of what the reader gives: samples with log q, labels, unconditional samples, the number of parameters. */
isc_status isc_reader_outputs(isc_reader *r, isc_sb *out);

/* ---- checks, by file */
isc_status isc_check_method_chance(isc_conform *c);
isc_status isc_check_method_noise_site(isc_conform *c);
isc_status isc_check_method_held_out(isc_conform *c);
isc_status isc_check_method_stages(isc_conform *c);
isc_status isc_check_method_stage_uses(isc_conform *c);
isc_status isc_check_method_parameters(isc_conform *c);
isc_status isc_check_method_progress(isc_conform *c);
isc_status isc_check_method_budget(isc_conform *c);
isc_status isc_check_method_interrupt(isc_conform *c);
isc_status isc_check_method_resume(isc_conform *c);
isc_status isc_check_method_checkpoint(isc_conform *c);
isc_status isc_check_method_load(isc_conform *c);
isc_status isc_check_method_damage(isc_conform *c);
isc_status isc_check_method_samples(isc_conform *c);
isc_status isc_check_method_batch(isc_conform *c);
isc_status isc_check_method_log_q(isc_conform *c);

#endif
