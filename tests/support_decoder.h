/* SPDX-License-Identifier: Apache-2.0
 *
 * A float64 decoder written from the formulas, and random decoders to hold against it.
 */
#ifndef ISC_TESTS_SUPPORT_DECODER_H
#define ISC_TESTS_SUPPORT_DECODER_H

#include <inversescope/decoder.h>

/* Small, with no two sizes equal: 3 layers of 2 heads of width 6 in a model of width 12. */
isc_decoder_spec isc_test_spec(void);
/* Every parameter random, norms and biases too, so that leaving one out shows. */
isc_decoder *isc_test_decoder(isc_device *dev, const isc_decoder_spec *spec, uint64_t seed);

enum { ISC_TEST_LAYERS = 8 };

/* The pass over [batch, len] ids. All arrays malloc'd, [batch·len, …]. */
typedef struct isc_test_pass {
  int64_t rows, layers;
  double *at[ISC_PLACE_COUNT][ISC_TEST_LAYERS]; /* [rows, width of the place] */
  double *hidden;                               /* [rows, d_model] */
  double *logits;                               /* [rows, vocab]   */
} isc_test_pass;
isc_test_pass isc_test_reference(isc_decoder *d, const int32_t *ids, int64_t batch, int64_t len);
/* The same behind n key/value slots of each sequence; k, v [n_layer] of host [batch, n, n_head·d_head]. */
typedef struct isc_test_slots {
  int64_t n;
  const float *k[ISC_TEST_LAYERS], *v[ISC_TEST_LAYERS];
} isc_test_slots;
isc_test_pass isc_test_reference_behind(isc_decoder *d, const int32_t *ids, int64_t batch,
                                        int64_t len, const isc_test_slots *slots);
void isc_test_pass_free(isc_test_pass *p);
/* Floats in a row at a place. */
int64_t isc_test_width(const isc_decoder_spec *s, isc_place place);

/* max|a − b| / max|b| */
double isc_test_relative(const float *a, const double *b, int64_t n);

/* Taps that download everything they are given: at[place][layer], malloc'd, as above. */
typedef struct isc_test_capture {
  float *at[ISC_PLACE_COUNT][ISC_TEST_LAYERS];
  int64_t calls;
} isc_test_capture;
isc_taps isc_test_taps(isc_test_capture *c);
void isc_test_capture_free(isc_test_capture *c);

/* n ids below `vocab` of stream `index`; malloc'd. */
int32_t *isc_test_ids(uint64_t index, int64_t n, int64_t vocab);

#endif
