/* SPDX-License-Identifier: Apache-2.0
 *
 * Memory plans as tables and as JSON.
 */
#include "cli/memory_show.h"
#include "cli/cli.h"

#include <stdio.h>

void isc_show_shape(const isc_memory_plan *p) {
  const isc_decoder_spec *s = &p->spec;
  printf("shape       %lld layers, d_model %lld, %lld heads of %lld", (long long)s->n_layer,
         (long long)s->d_model, (long long)s->n_head, (long long)s->d_head);
  if (s->n_kv_head && s->n_kv_head != s->n_head)
    printf(" (%lld of keys and values)", (long long)s->n_kv_head);
  printf(", %sMLP %lld, %s positions, vocabulary %s\n", s->mlp == ISC_MLP_GATED ? "gated " : "",
         (long long)s->d_mlp, isc_cli_count(s->n_ctx), isc_cli_count(s->vocab));
  printf("parameters  %s\n", isc_cli_count(p->info.parameters));
}

void isc_show_memory(const isc_memory_plan *p) {
  static const struct {
    const char *name;
    bool streamed;
  } rows[] = {{"all weights", false}, {"streamed", true}};
  printf("\n%-24s %12s %12s\n", "memory", "f32", "bf16");
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    printf("  %-22s %12s %12s\n", rows[i].name,
           isc_cli_bytes(isc_plan_weights(p, ISC_F32, rows[i].streamed)),
           isc_cli_bytes(isc_plan_weights(p, ISC_BF16, rows[i].streamed)));
  printf("    %-20s %12s %12s\n", "outside the layers", isc_cli_bytes(p->outside[ISC_F32]),
         isc_cli_bytes(p->outside[ISC_BF16]));
  printf("    %-20s %12s %12s  %s\n", "one layer", isc_cli_bytes(p->layer[ISC_F32]),
         isc_cli_bytes(p->layer[ISC_BF16]),
         p->held > 1 ? "of which two are held" : "two on a device that copies while it computes");
  printf("  %-22s %12s  a token of a text that is written on\n", "keys and values",
         isc_cli_bytes(isc_plan_cache(p, 1, 1)));
}

static void row(const char *name, double bytes, const char *what) {
  printf("  %-22s %12s  %s\n", name, isc_cli_bytes(bytes), what);
}

void isc_show_harvest(const isc_memory_plan *p, const isc_harvest_plan *h) {
  printf("\nharvest of %s texts of up to %lld tokens at %s sites, %lld texts at once\n",
         isc_cli_count(h->texts), (long long)h->len, isc_cli_count(h->sites.sites),
         (long long)h->batch);
  char how[48];
  snprintf(how, sizeof how, "%s%s%s", p->spec.weights == ISC_BF16 ? "bf16" : "f32",
           p->streamed ? ", streamed" : "", p->streamed && p->held > 1 ? " by two layers" : "");
  row("weights", h->weights, how);
  row("a pass", h->pass, "what a batch takes in one layer; scratch space comes on top");
  if (p->streamed) row("residual streams", h->waiting, "that wait between layers");
  if (h->sites.heads) row("head maps", h->maps, "W_O of the head sites, in f32");
  row("activations", h->chunk, "of a chunk of texts, until it is written");
  row("together", h->peak, "");
  row("on disk", h->disk, "activations of all texts");
}

/* ---- JSON */

static void member(isc_sb *b, const char *name, double v) {
  isc_sb_addf(b, ", \"%s\": ", name);
  isc_sb_add_double(b, v);
}

static void both(isc_sb *b, const char *name, double f32, double bf16) {
  isc_sb_addf(b, ", \"%s\": {\"f32\": ", name);
  isc_sb_add_double(b, f32);
  isc_sb_add(b, ", \"bf16\": ");
  isc_sb_add_double(b, bf16);
  isc_sb_add(b, "}");
}

void isc_add_memory_json(isc_sb *b, const isc_memory_plan *p) {
  const isc_decoder_spec *s = &p->spec;
  member(b, "parameters", (double)p->info.parameters);
  member(b, "n_layer", (double)s->n_layer);
  member(b, "d_model", (double)s->d_model);
  member(b, "n_head", (double)s->n_head);
  member(b, "n_kv_head", (double)(s->n_kv_head ? s->n_kv_head : s->n_head));
  member(b, "d_head", (double)s->d_head);
  member(b, "d_mlp", (double)s->d_mlp);
  member(b, "n_ctx", (double)s->n_ctx);
  member(b, "vocab", (double)s->vocab);
  isc_sb_add(b, ",\n \"memory\": {\"unit\": \"bytes\"");
  both(b, "weights", isc_plan_weights(p, ISC_F32, false), isc_plan_weights(p, ISC_BF16, false));
  both(b, "streamed", isc_plan_weights(p, ISC_F32, true), isc_plan_weights(p, ISC_BF16, true));
  both(b, "outside_layers", p->outside[ISC_F32], p->outside[ISC_BF16]);
  both(b, "layer", p->layer[ISC_F32], p->layer[ISC_BF16]);
  member(b, "layers_held", (double)p->held);
  member(b, "keys_and_values_per_token", isc_plan_cache(p, 1, 1));
  isc_sb_add(b, "}");
}

void isc_add_harvest_json(isc_sb *b, const isc_harvest_plan *h) {
  isc_sb_add(b, ",\n \"harvest\": {\"unit\": \"bytes\"");
  member(b, "texts", (double)h->texts);
  member(b, "tokens", (double)h->len);
  member(b, "batch", (double)h->batch);
  member(b, "sites", (double)h->sites.sites);
  member(b, "weights", h->weights);
  member(b, "pass", h->pass);
  member(b, "waiting", h->waiting);
  member(b, "head_maps", h->maps);
  member(b, "activations", h->chunk);
  member(b, "together", h->peak);
  member(b, "disk", h->disk);
  isc_sb_add(b, "}");
}
