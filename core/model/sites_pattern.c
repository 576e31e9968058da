/* SPDX-License-Identifier: Apache-2.0
 *
 * Site names and patterns: our own, TransformerLens's and the paper's, read into one form.
 *
 * A pattern is a glob over the kinds of place and a range for each index, so "*", "head.0-2.*",
 * "resid_*.3", "blocks.9.attn.hook_result.6" and "L9H6" are all the same thing.
 */
#include "model/sites_internal.h"
#include <fnmatch.h>
#include <string.h>

static const isc_site_range ALL = {0, INT64_MAX};
static const char *const PLACES[ISC_PLACE_COUNT] = {
    [ISC_RESID_PRE] = "resid_pre", [ISC_HEADS] = "head",      [ISC_ATTN_OUT] = "attn_out",
    [ISC_RESID_MID] = "resid_mid", [ISC_MLP_OUT] = "mlp_out", [ISC_RESID_POST] = "resid_post",
};
static const char *const LENS[ISC_PLACE_COUNT] = {
    [ISC_RESID_PRE] = "hook_resid_pre", [ISC_HEADS] = "attn.hook_result",
    [ISC_ATTN_OUT] = "hook_attn_out",   [ISC_RESID_MID] = "hook_resid_mid",
    [ISC_MLP_OUT] = "hook_mlp_out",     [ISC_RESID_POST] = "hook_resid_post",
};

const char *isc_place_name(isc_place place) {
  return PLACES[place];
}

static bool read_number(const char **s, int64_t *out) {
  int digits = 0;
  *out = 0;
  for (; **s >= '0' && **s <= '9' && digits < 9; digits++)
    *out = *out * 10 + (*(*s)++ - '0');
  return digits > 0;
}

/* "*", "3" or "0-2" at *s, which moves behind it. */
static bool read_range(const char **s, isc_site_range *out) {
  *out = ALL;
  if (**s == '*') {
    ++*s;
    return true;
  }
  if (!read_number(s, &out->lo)) return false;
  out->hi = out->lo;
  if (**s != '-') return true;
  ++*s;
  return read_number(s, &out->hi) && out->lo <= out->hi;
}

/* Nothing, ".L" or ".L.H" to the end of the text. */
static bool read_indices(const char *s, isc_site_pattern *out) {
  if (!*s) return true;
  if (*s++ != '.' || !read_range(&s, &out->layer)) return false;
  if (!*s) return true;
  out->names_head = true;
  return *s++ == '.' && read_range(&s, &out->head) && !*s;
}

static bool parse_own(const char *s, isc_site_pattern *out) {
  char kind[32];
  bool any = false;
  size_t n = strcspn(s, ".");
  if (n == 0 || n >= sizeof kind) return false;
  memcpy(kind, s, n);
  kind[n] = '\0';
  for (int p = 0; p < ISC_PLACE_COUNT; p++) {
    out->place[p] = fnmatch(kind, PLACES[p], 0) == 0;
    any = any || out->place[p];
  }
  return any && read_indices(s + n, out);
}

static bool parse_lens(const char *s, isc_site_pattern *out) {
  s += strlen("blocks.");
  if (!read_range(&s, &out->layer) || *s++ != '.') return false;
  for (int p = 0; p < ISC_PLACE_COUNT; p++) {
    size_t n = strlen(LENS[p]);
    if (strncmp(s, LENS[p], n) != 0) continue;
    out->place[p] = true;
    s += n;
    if (!*s) return true;
    out->names_head = true;
    return p == ISC_HEADS && *s++ == '.' && read_range(&s, &out->head) && !*s;
  }
  return false;
}

static bool parse_paper(const char *s, isc_site_pattern *out) {
  s++;
  out->place[ISC_HEADS] = true;
  out->names_head = true;
  return read_range(&s, &out->layer) && *s++ == 'H' && read_range(&s, &out->head) && !*s;
}

bool isc_site_pattern_parse(const char *text, isc_site_pattern *out) {
  *out = (isc_site_pattern){.layer = ALL, .head = ALL};
  if (strncmp(text, "blocks.", 7) == 0) return parse_lens(text, out);
  if (text[0] == 'L') return parse_paper(text, out);
  return parse_own(text, out);
}

static bool inside(isc_site_range r, int64_t i) {
  return r.lo <= i && i <= r.hi;
}

bool isc_site_pattern_has(const isc_site_pattern *p, isc_place place, int64_t layer, int64_t head) {
  if (!p->place[place] || !inside(p->layer, layer)) return false;
  return place == ISC_HEADS ? inside(p->head, head) : !p->names_head;
}

bool isc_site_pattern_is_one(const isc_site_pattern *p) {
  int places = 0;
  for (int i = 0; i < ISC_PLACE_COUNT; i++)
    places += p->place[i];
  if (places != 1 || p->layer.lo != p->layer.hi) return false;
  return p->place[ISC_HEADS] ? p->names_head && p->head.lo == p->head.hi : !p->names_head;
}
