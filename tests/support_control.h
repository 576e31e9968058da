/* SPDX-License-Identifier: Apache-2.0
 *
 * The control layers' formula in double, uncollapsed, for a small fixed shape.
 */
#ifndef ISC_TESTS_SUPPORT_CONTROL_H
#define ISC_TESTS_SUPPORT_CONTROL_H

#include "method/control.h"

enum { SITES = 3, LAYERS = 3, MODEL = 12, HEADS = 3, KEY = 5, LATENT = 7, BATCH = 4, LEN = 3 };

/* "a" and "b" of dim LATENT, "narrow" of dim 4. */
extern const isc_site control_sites[SITES];

/* A parameter's numbers; `fmt` may hold a %d for the layer. malloc'd. */
double *control_get(isc_control_layers *l, const char *fmt, int64_t layer);
/* h [MODEL] with the control of one position added (paper 3.1), score scale 0.3; z [LATENT]: the projected condition. */
void control_reference(isc_control_layers *l, int64_t layer, const float *h, const double *z,
                       double *out);
/* z' [LATENT] of batch row b of z [BATCH, LATENT] behind all blocks; row 0 is of site "a", the others of "narrow". */
void control_project(isc_control_layers *l, const float *z, int64_t b, double *out);

#endif
