/* SPDX-License-Identifier: Apache-2.0
 *
 * Streams and events of the emulated device: what was asked of each stream and not done, and in which order it gets done.
 *
 * Work is put off, as a device puts it off: it is done when the host waits for it, or when chance says so. Between streams
 * nothing but an event that one waits for sets an order; which stream goes on is drawn anew each time, and now and then one
 * runs as far ahead of the others as events let it. So a wait that is missing shows as a wrong result. Any thread.
 */
#ifndef ISC_TESTS_CUDA_STREAMS_H
#define ISC_TESTS_CUDA_STREAMS_H

#include "driver.h"
#include "emulation.h"

enum { EMULATED_ARGUMENT_BYTES = 4096 };

enum emulated_what { LAUNCH, UP, DOWN, ACROSS, SET, WAIT };

struct emulated_kernel {
  const char *name;
  void (*call)(const void *);
  size_t args;
};

/* All that was asked of a stream up to some moment. */
struct emulated_mark {
  uint64_t stream; /* number of a stream; 0 = of none, which is always reached */
  uint64_t position;
};

struct emulated_request {
  emulated_what kind;
  void *dst;
  const void *src;
  size_t bytes;
  unsigned char value;
  const emulated_kernel *k;
  isc_emulated_index grid, block;
  size_t shared;
  emulated_mark until; /* WAIT */
  alignas(16) unsigned char args[EMULATED_ARGUMENT_BYTES];
};

/* ---- streams.cc */
cu_result emulated_stream_open(cu_stream *out);
void emulated_stream_close(cu_stream s); /* what was asked of it is done first */
/* Puts *r into the stream; what the stream has to report is returned instead of CU_OK. */
cu_result emulated_stream_ask(cu_stream s, const emulated_request *r);
cu_result emulated_stream_finish(cu_stream s);
/* What takes the stream's work in place of the stream; NULL at first. For whoever asks it of the stream. */
cu_graph *emulated_stream_capture(cu_stream s);
emulated_mark emulated_stream_mark(cu_stream s);
cu_stream emulated_mark_stream(emulated_mark m); /* NULL when there is none */
/* The host waits until the mark is reached, and for nothing else. */
cu_result emulated_mark_reach(emulated_mark m);

/* ---- of the device, for streams.cc; between begins and ends the device's memory may be touched */
void emulated_device_begins();
void emulated_device_ends();
cu_result emulated_device_do(const emulated_request *r, uint64_t seed);

#endif
