/* SPDX-License-Identifier: Apache-2.0
 *
 * What the passes of a harvest find, on its way from the device to where the harvest wants it.
 *
 * Where the device answers later, the finds of a pass are put together there and read while the next pass is at work.
 */
#ifndef ISC_CORE_HARVEST_READS_H
#define ISC_CORE_HARVEST_READS_H

#include "model/sequences.h"

/* Bytes of finds that are put together; those beyond are waited for. */
enum { ISC_HARVEST_TOGETHER = 1 << 28 };

/* Values of n sites from `first` on, side by side in [sequences, width]. */
typedef struct isc_harvest_find {
  int64_t first, n, width;
  size_t at; /* bytes from the beginning of a pass's */
} isc_harvest_find;

/* A pass whose finds are on their way. */
typedef struct isc_harvest_flight {
  const isc_sequence *seq; /* [n] */
  int64_t n;
  isc_harvest_find *find; /* [finds] */
  int64_t finds, room;
  size_t bytes;
} isc_harvest_flight;

typedef struct isc_harvest_reads {
  const isc_harvest *h;
  isc_device *dev;
  void *there; /* on the device, [room] bytes: the finds of one pass  */
  char *here;  /* the same on the host                                */
  size_t room;
  isc_harvest_flight flight[2]; /* by turns: the pass at work, and the one before      */
  int turn;
  bool waiting; /* the one before is on its way */
} isc_harvest_reads;

/* For passes of up to `most` sequences. Close it after a failure too. */
isc_status isc_harvest_reads_open(const isc_harvest *h, isc_device *dev, int64_t most,
                                  isc_harvest_reads *r);
void isc_harvest_reads_close(isc_harvest_reads *r);
/* Sequences seq [n], which stay, go through a pass. */
void isc_harvest_reads_begin(isc_harvest_reads *r, const isc_sequence *seq, int64_t n);
/* picked [n, width]: the rows of every sequence's position at n_sites sites from `first` on. */
isc_status isc_harvest_reads_take(isc_harvest_reads *r, isc_step *s, const isc_tensor *picked,
                                  int64_t first, int64_t n_sites);
/* The pass is over; what one before found is delivered. */
isc_status isc_harvest_reads_end(isc_harvest_reads *r);
/* What is still on its way is delivered. */
isc_status isc_harvest_reads_finish(isc_harvest_reads *r);

#endif
