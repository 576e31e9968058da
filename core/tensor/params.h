/* SPDX-License-Identifier: Apache-2.0
 *
 * The set of parameters of a model, as the files of core/tensor see it.
 *
 * Each parameter is allocated on its own so that pointers to it stay valid while the set grows.
 */
#ifndef ISC_CORE_PARAMS_H
#define ISC_CORE_PARAMS_H

#include <inversescope/parameters.h>

enum { ISC_PARAM_GROUPS = 8 }; /* of isc_optimizer */

/* A step of the optimizer that the host has not heard of yet. */
typedef struct isc_later_step {
  const isc_param **of; /* [n] whose gradients it took            */
  const float **x;      /* [n] and those                          */
  int64_t *size;        /* [n]                                    */
  double *sum;          /* [n + 2] of their squares; and the norm */
  int64_t n, room;
} isc_later_step;

struct isc_params {
  isc_device *dev;
  isc_param **at; /* [count] */
  uint64_t *hash; /* [count] of the names */
  int64_t count, capacity;
  isc_adamw *update;      /* [capacity] the list of one optimizer step */
  const isc_adamw **list; /* [capacity] pointers to it */
  double *norms;          /* [norms_room + 2] on the device */
  int64_t norms_room;
  isc_later_step later[ISC_READS];
};

/* FNV-1a: which stream of random numbers a parameter is initialised from. */
uint64_t isc_param_hash(const char *name);
/* Zero-filled AdamW moments, if there are none yet. */
isc_status isc_param_need_moments(isc_params *p, isc_param *q);

/* For whoever changes a value on the device. */
static inline void isc_param_changed(isc_param *q) {
  q->rounded_holds = false;
}
/* The parameter that `w` is the value of, rounded to bf16, on the device until it changes; *out = NULL where `w` is no
 * parameter of f32 or the device rounds none. */
isc_status isc_param_rounded(isc_device *dev, const isc_tensor *w, const uint16_t **out);

/* isc_adamw_step in two parts, on a device that isc_device_reads_later: the update is begun, and what it found is read under
 * `ticket`, which stands for it until isc_adamw_end. */
isc_status isc_adamw_begin(isc_params *p, const isc_optimizer *opt, int64_t ticket);
isc_status isc_adamw_end(isc_params *p, int64_t ticket, double *norm);
void isc_later_step_free(isc_later_step *l);

#endif
