/* SPDX-License-Identifier: Apache-2.0
 *
 * The built-in method: a language model of the prior, steered by an activation (paper 3).
 *
 * Stage "backbone" trains the language model, stage "control" the layers that steer it; inversion samples from the
 * two. The struct below is shared by the files of the method only.
 */
#ifndef ISC_CORE_INVERSESCOPE_H
#define ISC_CORE_INVERSESCOPE_H

#include "method/control.h"
#include "method/examples.h"
#include <inversescope/training_loop.h>

/* The method's class, for isc_registry_add_builtin. */
ISC_API const isc_class *isc_method_inversescope_class(void);

typedef enum isc_backbone_tokenizer {
  ISC_TOKENIZER_TARGET,
  ISC_TOKENIZER_WORDS,
  ISC_TOKENIZER_CHARS
} isc_backbone_tokenizer;

typedef struct isc_backbone_conf {
  const char *path; /* NULL or "" = from scratch */
  int32_t tokenizer;
  int64_t layers, heads, width, mlp, context, looks;
  double init_std;
  isc_recipe recipe;
} isc_backbone_conf;

/* What the control layers steer. */
typedef enum isc_steered_backbone {
  ISC_BACKBONE_FROZEN, /* the backbone as its stage left it (the paper) */
  ISC_BACKBONE_TUNED   /* a copy of it that is trained with them        */
} isc_steered_backbone;

typedef struct isc_control_conf {
  int64_t heads, head_dim;
  int32_t value, normalise, noise, backbone;
  double score_scale, neighbour_share, site_lr, backbone_lr;
  int64_t blocks, candidates, memory, looks;
  isc_recipe recipe;
} isc_control_conf;

typedef struct isc_inversescope_conf {
  isc_backbone_conf backbone;
  isc_control_conf control;
  int32_t sampling_precision; /* isc_dtype */
} isc_inversescope_conf;

ISC_API extern const isc_option isc_inversescope_options[];
/* Names of the options each stage reads. */
ISC_API extern const char *const isc_inversescope_backbone_options[];
ISC_API extern const char *const isc_inversescope_control_options[];

typedef struct isc_inversescope {
  const isc_inversescope_conf *conf;
  const isc_method_env *env;
  isc_tokenizer *tokenizer;    /* the backbone's; NULL until trained or loaded */
  isc_decoder *backbone;       /* the same                                     */
  isc_control_layers *control; /* the same                                     */
  isc_decoder
      *tuned; /* the copy of the backbone that they steer; NULL = they steer the backbone itself */
  int64_t max_tokens; /* of a sample, with its BOS and EOS: a longer one is of no prior text */
} isc_inversescope;

ISC_API isc_status isc_backbone_train(isc_inversescope *m, isc_train_io *io);
ISC_API isc_status isc_backbone_load(isc_inversescope *m, const char *dir);
/* Control layers by the settings and what they steer, in place of any before. Needs a backbone. */
ISC_API isc_status isc_steering_new(isc_inversescope *m);
ISC_API void isc_steering_free(isc_inversescope *m);
/* The decoder that the control layers steer. */
ISC_API isc_decoder *isc_steered(const isc_inversescope *m);
ISC_API isc_status isc_control_train(isc_inversescope *m, isc_train_io *io);
ISC_API isc_status isc_control_load(isc_inversescope *m, const char *dir);

#endif
