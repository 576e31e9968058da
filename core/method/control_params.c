/* SPDX-License-Identifier: Apache-2.0
 *
 * The parameters of the control layers and site projections: shapes, initial values, files.
 *
 * Sites share everything but their projection. A site narrower than the widest keeps a square matrix whose
 * spare rows are zero, so that a batch over all sites is one tensor.
 */
#include "method/control.h"
#include "base/base.h"
#include "model/params_io.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static isc_status add(isc_control_layers *l, const char *name, int32_t group, int32_t ndim,
                      int64_t a, int64_t b, int64_t c, isc_param **out) {
  const int64_t shape[] = {a, b, c};
  return isc_params_add(l->params, name, ndim, shape, group, out);
}

static isc_status add_named(isc_control_layers *l, int64_t layer, const char *field, int32_t ndim,
                            int64_t a, int64_t b, int64_t c, isc_param **out) {
  char name[64];
  snprintf(name, sizeof name, "control.%lld.%s", (long long)layer, field);
  return add(l, name, ISC_GROUP_CONTROL, ndim, a, b, c, out);
}

static isc_status add_layer(isc_control_layers *l, int64_t i) {
  const isc_control_spec *c = &l->spec;
  isc_control_layer *p = &l->layer[i];
  bool projected = c->value == ISC_VALUE_PROJECTED;
  int64_t keys = c->heads * c->head_dim, values = c->heads * (projected ? c->head_dim : c->d_model);
  ISC_TRY(add_named(l, i, "ln.weight", 1, c->d_model, 0, 0, &p->ln_weight));
  ISC_TRY(add_named(l, i, "ln.bias", 1, c->d_model, 0, 0, &p->ln_bias));
  ISC_TRY(add_named(l, i, "query.weight", 3, c->heads, c->head_dim, c->d_model, &p->q));
  ISC_TRY(add_named(l, i, "query.bias", 2, c->heads, c->head_dim, 0, &p->q_bias));
  ISC_TRY(add_named(l, i, "key.weight", 2, l->d_z, keys, 0, &p->k));
  ISC_TRY(add_named(l, i, "key.bias", 1, keys, 0, 0, &p->k_bias));
  ISC_TRY(add_named(l, i, "value.weight", 2, l->d_z, values, 0, &p->v));
  ISC_TRY(add_named(l, i, "value.bias", 1, values, 0, 0, &p->v_bias));
  if (!projected) return ISC_OK;
  return add_named(l, i, "output.weight", 3, c->heads, c->head_dim, c->d_model, &p->o);
}

static isc_status add_block(isc_control_layers *l, int64_t i) {
  isc_control_block *b = &l->block[i];
  const int64_t wide = 4 * l->d_z;
  const struct {
    const char *field;
    int64_t rows, columns; /* rows 0 = a vector */
    isc_param **out;
  } parts[] = {{"ln.weight", 0, l->d_z, &b->ln_weight}, {"ln.bias", 0, l->d_z, &b->ln_bias},
               {"in.weight", l->d_z, wide, &b->in},     {"in.bias", 0, wide, &b->in_bias},
               {"out.weight", wide, l->d_z, &b->out},   {"out.bias", 0, l->d_z, &b->out_bias}};
  for (size_t k = 0; k < sizeof parts / sizeof *parts; k++) {
    const bool matrix = parts[k].rows > 0;
    char name[64];
    snprintf(name, sizeof name, "block.%lld.%s", (long long)i, parts[k].field);
    ISC_TRY(add(l, name, ISC_GROUP_CONTROL, matrix ? 2 : 1,
                matrix ? parts[k].rows : parts[k].columns, matrix ? parts[k].columns : 0, 0,
                parts[k].out));
  }
  return ISC_OK;
}

static isc_status add_site(isc_control_layers *l, int64_t g, const isc_site *site) {
  isc_status st = ISC_OK;
  isc_param *w, *b;
  char *name = NULL;
  l->site_dim[g] = site->dim;
  ISC_GO(isc_asprintf(&name, "site.%s.weight", site->name));
  ISC_GO(add(l, name, ISC_GROUP_SITES, 2, l->d_z, l->d_z, 0, &w));
  free(name);
  name = NULL;
  ISC_GO(isc_asprintf(&name, "site.%s.bias", site->name));
  ISC_GO(add(l, name, ISC_GROUP_SITES, 1, l->d_z, 0, 0, &b));
  l->site_w[g] = &w->value;
  l->site_b[g] = &b->value;
done:
  free(name);
  return st;
}

static isc_status check_spec(const isc_control_spec *c, int64_t *d_z) {
  bool uneven = false;
  *d_z = 0;
  for (int64_t g = 0; g < c->n_sites; g++) {
    uneven |= c->sites[g].dim != c->sites[0].dim;
    if (c->sites[g].dim > *d_z) *d_z = c->sites[g].dim;
  }
  if (c->n_layer < 1 || c->d_model < 1 || c->heads < 1 || c->head_dim < 1 || c->n_sites < 1 ||
      *d_z < 1)
    return isc_fail(
        ISC_E_USAGE,
        "control: layers, width, heads, head width, sites and their dims must be positive");
  if (uneven && c->normalise == ISC_CONDITION_LAYERNORM)
    return isc_fail(ISC_E_CONFIG,
                    "control.normalise = \"layernorm\" needs sites of one dimension; use \"rms\"");
  return ISC_OK;
}

static isc_status allocate(isc_control_layers *l) {
  const isc_control_spec *c = &l->spec;
  size_t n = (size_t)c->n_sites;
  ISC_TRY(isc_calloc((size_t)c->n_layer, sizeof *l->layer, "control layers", (void **)&l->layer));
  ISC_TRY(
      isc_calloc((size_t)c->blocks + 1, sizeof *l->block, "control blocks", (void **)&l->block));
  ISC_TRY(isc_calloc(n, sizeof(void *), "site projections", (void **)&l->site_w));
  ISC_TRY(isc_calloc(n, sizeof(void *), "site projections", (void **)&l->site_b));
  ISC_TRY(isc_calloc(n, sizeof *l->site_dim, "site projections", (void **)&l->site_dim));
  ISC_TRY(isc_calloc(n, sizeof *l->host_scale, "site projections", (void **)&l->host_scale));
  if (c->with)
    l->params = c->with;
  else
    ISC_TRY(isc_params_new(l->device, &l->params));
  l->first = isc_params_count(l->params);
  ISC_TRY(isc_params_new(l->device, &l->constants));
  return isc_params_add(l->constants, "site_scale", 1, &c->n_sites, 0, &l->scale);
}

isc_status isc_control_layers_new(isc_device *dev, const isc_control_spec *spec,
                                  isc_control_layers **out) {
  isc_status st = ISC_OK;
  isc_control_layers *l = NULL;
  int64_t d_z;
  *out = NULL;
  ISC_TRY(check_spec(spec, &d_z));
  ISC_TRY(isc_calloc(1, sizeof *l, "control layers", (void **)&l));
  *l = (isc_control_layers){.device = dev, .spec = *spec, .d_z = d_z};
  l->spec.sites = NULL;
  ISC_GO(allocate(l));
  for (int64_t i = 0; i < spec->n_layer; i++)
    ISC_GO(add_layer(l, i));
  for (int64_t i = 0; i < spec->blocks; i++)
    ISC_GO(add_block(l, i));
  for (int64_t g = 0; g < spec->n_sites; g++) {
    ISC_GO(add_site(l, g, &spec->sites[g]));
    l->host_scale[g] = 1;
  }
  ISC_GO(isc_control_layers_set_scale(l, l->host_scale));
  *out = l;
  l = NULL;
done:
  isc_control_layers_free(l);
  return st;
}

void isc_control_layers_free(isc_control_layers *l) {
  if (!l) return;
  if (l->params && !l->spec.with) isc_params_free(l->params);
  if (l->constants) isc_params_free(l->constants);
  free(l->layer);
  free(l->block);
  free(l->site_w);
  free(l->site_b);
  free(l->site_dim);
  free(l->host_scale);
  free(l);
}

isc_status isc_control_layers_set_scale(isc_control_layers *l, const float *scale) {
  memmove(l->host_scale, scale, (size_t)l->spec.n_sites * sizeof *scale);
  return isc_param_set(l->constants, l->scale, l->host_scale);
}

static isc_status kaiming(isc_control_layers *l, isc_param *p, uint64_t seed, int64_t fan_in) {
  return isc_param_init_normal(l->params, p, seed, sqrt(2.0 / (double)fan_in));
}

/* Rows a narrow site has no numbers for. */
static isc_status clear_spare_rows(isc_control_layers *l, int64_t g) {
  int64_t used = l->site_dim[g] * l->d_z, all = l->d_z * l->d_z;
  if (used == all) return ISC_OK;
  return l->device->ops->zero(l->device->impl, l->site_w[g]->data + used,
                              (size_t)(all - used) * sizeof(float));
}

isc_status isc_control_layers_init(isc_control_layers *l, uint64_t seed) {
  const isc_control_spec *c = &l->spec;
  for (int64_t i = l->first; i < isc_params_count(l->params); i++)
    ISC_TRY(isc_param_fill(l->params, isc_params_at(l->params, i), 0));
  for (int64_t i = 0; i < c->n_layer; i++) {
    isc_control_layer *p = &l->layer[i];
    ISC_TRY(isc_param_fill(l->params, p->ln_weight, 1));
    ISC_TRY(kaiming(l, p->q, seed, c->d_model));
    ISC_TRY(kaiming(l, p->k, seed, l->d_z));
    if (p->o) ISC_TRY(kaiming(l, p->o, seed, c->heads * c->head_dim));
  }
  for (int64_t i = 0; i < c->blocks; i++) {
    ISC_TRY(isc_param_fill(l->params, l->block[i].ln_weight, 1));
    ISC_TRY(kaiming(l, l->block[i].in, seed, l->d_z));
  }
  for (int64_t g = 0; g < c->n_sites; g++) {
    ISC_TRY(kaiming(l, l->site_w[g]->param, seed, l->site_dim[g]));
    ISC_TRY(clear_spare_rows(l, g));
  }
  return ISC_OK;
}

static const char *const PREFIX[] = {"", "constant."};

isc_status isc_control_layers_save(isc_control_layers *l, const char *path) {
  isc_params *const sets[] = {l->params, l->constants};
  return isc_params_save(path, sets, PREFIX, 2, NULL, 0);
}

isc_status isc_control_layers_load(isc_control_layers *l, const char *path) {
  isc_params *const sets[] = {l->params, l->constants};
  ISC_TRY(isc_params_restore(path, sets, PREFIX, 2, NULL, 0));
  return isc_param_get(l->constants, l->scale, l->host_scale);
}
