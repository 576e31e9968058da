/* SPDX-License-Identifier: Apache-2.0
 *
 * A group of settings as a commented stanza to start a config from.
 *
 * Every option stands there with its default, so that pasting the stanza changes nothing; those that
 * have none are commented out and say so.
 */
#include "config/tree.h"
#include <stdlib.h>
#include <string.h>

enum { WIDTH = 96 };

/* `text` as comment lines, broken between words. */
static void comment(isc_sb *b, const char *text) {
  size_t column = WIDTH;
  while (*text) {
    size_t len = strcspn(text, " \n");
    if (column + 1 + len > WIDTH) {
      isc_sb_add(b,
                 column == WIDTH && b->len && b->s && b->s[b->len - 1] == '\n' ? "  #" : "\n  #");
      column = 3;
    }
    isc_sb_add(b, " ");
    isc_sb_addn(b, text, len);
    column += 1 + len;
    text += len;
    text += strspn(text, " \n");
  }
  isc_sb_add(b, "\n");
}

static isc_status describe(const isc_option *o, isc_sb *out) {
  isc_sb b = {0};
  char *text;
  if (o->doc) isc_sb_addf(&b, "%s ", o->doc);
  isc_sb_addf(&b, "(%s", isc_option_type_name(o->type));
  for (size_t i = 0; o->choices && o->choices[i]; i++)
    isc_sb_addf(&b, "%s \"%s\"", i ? " |" : ":", o->choices[i]);
  size_t before = b.len;
  isc_sb_add(&b, " in ");
  isc_option_add_range(&b, o);
  if (!b.failed && b.len == before + 4) b.s[b.len = before] = '\0';
  if (o->unit) isc_sb_addf(&b, " %s", o->unit);
  if (o->flags & ISC_OPT_REQUIRED) isc_sb_add(&b, "; required");
  if (o->flags & ISC_OPT_MUST_EXIST) isc_sb_add(&b, "; must exist");
  if (o->flags & ISC_OPT_RUNTIME) isc_sb_add(&b, "; does not change results");
  isc_sb_add(&b, ")");
  ISC_TRY(isc_sb_finish(&b, &text));
  comment(out, text);
  free(text);
  return ISC_OK;
}

static const char *key_of(const isc_option *o) {
  const char *dot = strrchr(o->name, '.');
  return dot ? dot + 1 : o->name;
}

/* "backbone" of "backbone.lr"; "" of "lr". Groups stand together in an option table. */
static size_t group_len(const isc_option *o) {
  const char *dot = strrchr(o->name, '.');
  return dot ? (size_t)(dot - o->name) : 0;
}

static bool same_group(const isc_option *a, const isc_option *b) {
  const size_t len = group_len(a);
  return len == group_len(b) && strncmp(a->name, b->name, len) == 0;
}

static isc_status setting(const isc_option *o, isc_sb *b) {
  isc_pool pool = {0};
  isc_value *v;
  int64_t n;
  bool list = isc_option_is_list(o->type);
  isc_status st = ISC_OK;
  ISC_GO(describe(o, b));
  ISC_GO(isc_option_preset(o, &pool, &v, &n));
  for (int64_t i = 0; i < n; i++)
    ISC_GO(isc_value_check(o, &v[i]));
  if (!o->preset) {
    isc_sb_addf(b, "  # %s = %s;\n", key_of(o), list ? "[ … ]" : "…");
    goto done;
  }
  isc_sb_addf(b, "  %s = %s", key_of(o), list ? "[" : "");
  for (int64_t i = 0; i < n; i++) {
    if (i) isc_sb_add(b, ", ");
    isc_value_write(b, o, &v[i]);
  }
  isc_sb_add(b, list ? "];\n" : ";\n");
done:
  isc_pool_free(&pool);
  return st;
}

isc_status isc_option_stanza(const char *group, const char *plugin, const isc_option *options,
                             char **text) {
  isc_sb b = {0};
  isc_status st = ISC_OK;
  *text = NULL;
  isc_sb_addf(&b, "%s = {\n", group);
  if (plugin) isc_sb_addf(&b, "  plugin = \"%s\";\n", plugin);
  for (const isc_option *o = options; o && o->name; o++) {
    if (o != options || plugin) isc_sb_add(&b, "\n");
    const size_t len = group_len(o);
    if (len && (o == options || !same_group(o - 1, o)))
      isc_sb_addf(&b, "  %.*s = {\n", (int)len, o->name);
    ISC_GO(setting(o, &b));
    if (len && (!o[1].name || !same_group(o, o + 1))) isc_sb_add(&b, "  };\n");
  }
  isc_sb_add(&b, "};\n");
  ISC_GO(isc_sb_finish(&b, text));
done:
  isc_sb_free(&b);
  return st;
}
