/* SPDX-License-Identifier: Apache-2.0
 *
 * A shape in words, so that another program does the same work and counts it by the same formulas.
 */
#include "bench.h"
#include "base/base.h"
#include <stdlib.h>

static void add_sites(isc_sb *b, const bench_shape *s) {
  isc_sb_add(b, ", \"sites\": [");
  for (int i = 0; i < BENCH_SITES && s->sites[i]; i++)
    isc_sb_addf(b, "%s\"%s\"", i ? ", " : "", s->sites[i]);
  isc_sb_add(b, "]");
}

static void add_numbers(isc_sb *b, const bench_shape *s) {
  const struct {
    const char *name;
    int64_t value;
  } list[] = {{"layers", s->layers},
              {"heads", s->heads},
              {"kv_heads", s->kv_heads ? s->kv_heads : s->heads},
              {"head_dim", bench_head_dim(s)},
              {"width", s->width},
              {"mlp", s->mlp},
              {"vocab", s->vocab},
              {"context", bench_context(s)},
              {"window", s->window},
              {"prompts", s->prompts},
              {"tokens", s->tokens},
              {"least", s->least ? s->least : s->tokens},
              {"batch", s->batch},
              {"len", s->len},
              {"control_batch", s->control_batch},
              {"control_heads", s->control_heads},
              {"control_dim", s->control_dim},
              {"rows", s->rows},
              {"samples", s->samples},
              {"draws", s->draws}};
  for (size_t i = 0; i < sizeof list / sizeof *list; i++)
    isc_sb_addf(b, ", \"%s\": %lld", list[i].name, (long long)list[i].value);
  isc_sb_add(b, ", \"score_scale\": ");
  isc_sb_add_double(b, s->score_scale);
}

static void add_stages(isc_sb *b, const bench_shape *s) {
  bench_result r;
  isc_sb_add(b, ", \"stages\": {");
  for (int64_t k = 0; bench_stage(s, k, &r); k++) {
    isc_sb_addf(b, "%s\"%s\": {\"unit\": \"%s\", \"units\": ", k ? ", " : "", r.stage, r.unit);
    isc_sb_add_double(b, r.units);
    isc_sb_add(b, ", \"flop\": ");
    isc_sb_add_double(b, r.flops);
    isc_sb_add(b, "}");
  }
  isc_sb_add(b, "}");
}

isc_status bench_describe(const bench_shape *s) {
  static const char *const families[] = {"gpt2", "llama", "gemma2"};
  char *text = NULL;
  isc_sb b = {0};
  isc_sb_addf(&b, "{\"shape\": \"%s\", \"family\": \"%s\"", s->name, families[s->family]);
  add_numbers(&b, s);
  add_sites(&b, s);
  add_stages(&b, s);
  isc_sb_add(&b, "}");
  ISC_TRY(isc_sb_finish(&b, &text));
  puts(text);
  free(text);
  return ISC_OK;
}
