/* SPDX-License-Identifier: Apache-2.0
 *
 * Work that is put together and begun as one: a CUDA graph, captured from the stream.
 *
 * Each time the work is captured anew, and the graph that was made of the last is brought up to date with it: that takes new
 * sizes and addresses as they are, and costs less than launching the parts. Work of another shape gets another graph.
 */
#include "cuda_backend.h"

void cuda_graph_close(cuda *c) {
  if (c->graph) c->d->graph_exec_destroy(c->graph);
  c->graph = NULL;
}

/* Nothing may be waited for while work is captured, so there is to be room for its arguments before. */
isc_status cuda_record(cuda *c) {
  if (c->synchronous || !c->d->capture_begin)
    return isc_fail(ISC_E_UNSUPPORTED, "CUDA backend: work is not put together %s",
                    c->synchronous ? "with synchronous = true" : "by this driver");
  ISC_TRY(cuda_staging_fresh(c));
  CU(c, capture_begin(c->stream, CU_CAPTURE_RELAXED), "its stream");
  c->capturing = true;
  return ISC_OK;
}

static isc_status make(cuda *c, cu_graph graph) {
  cu_graph_update_info info = {0};
  if (c->graph) {
    if (c->d->graph_exec_update(c->graph, graph, &info) == CU_OK) return ISC_OK;
    cuda_graph_close(c);
  }
  CU(c, graph_instantiate(&c->graph, graph, 0), "work put together");
  return ISC_OK;
}

isc_status cuda_play(cuda *c, bool drop) {
  cu_graph graph = NULL;
  if (!c->capturing) return isc_fail(ISC_E_USAGE, "CUDA backend: nothing was put together");
  c->capturing = false;
  const cu_result ended = c->d->capture_end(c->stream, &graph);
  if (drop) {
    if (graph) c->d->graph_destroy(graph);
    return ISC_OK;
  }
  ISC_TRY(cuda_check(c, ended, "capture_end", __FILE__, __LINE__, "work put together"));
  isc_status st = make(c, graph);
  if (st == ISC_OK)
    st = cuda_check(c, c->d->graph_launch(c->graph, c->stream), "graph_launch", __FILE__, __LINE__,
                    "work put together");
  c->d->graph_destroy(graph);
  return st;
}
