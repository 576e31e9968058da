/* SPDX-License-Identifier: Apache-2.0
 *
 * @include: which file is meant, and whether a config may read it.
 *
 * A config is untrusted: by default it may pull in only files below its own directory. The check is
 * made on canonical paths, so neither ".." nor a symbolic link leads out.
 */
#include "config/lint.h"
#include <stdlib.h>
#include <string.h>

static bool below(const char *real, const char *tree) {
  size_t n = strlen(tree);
  if (strcmp(tree, "/") == 0) return true;
  return strncmp(real, tree, n) == 0 && real[n] == '/';
}

static isc_status check_place(const isc_lint *l, const isc_lint_stack *stack, const char *name,
                              const char *real) {
  if (!l->allow_outside && !below(real, l->tree))
    return isc_fail(ISC_E_CONFIG, "@include \"%s\": %s lies outside the config's own directory %s",
                    name, real, l->tree);
  for (int i = 0; i < stack->depth; i++) {
    const char *open = l->file[stack->file[i]].real;
    if (open && strcmp(open, real) == 0)
      return isc_fail(ISC_E_CONFIG, "@include \"%s\": includes itself", name);
  }
  return ISC_OK;
}

/* The name for messages: beside the includer's own, as the user wrote both. */
static isc_status shown_name(isc_lint *l, const isc_lint_file *includer, const char *name,
                             char **out) {
  char *dir = NULL, *joined = NULL;
  isc_status st = ISC_OK;
  bool bare = !strchr(includer->name, '/');
  ISC_GO(isc_path_dir(includer->name, &dir));
  ISC_GO(isc_path_join(bare ? "" : dir, name, &joined));
  ISC_GO(isc_pool_strndup(l->pool, joined, strlen(joined), out));
done:
  free(dir);
  free(joined);
  return st;
}

isc_status isc_lint_read(const char *path, char **text, size_t *len) {
  isc_status st = isc_read_file(path, ISC_LINT_MAX_BYTES, text, len);
  /* Too large is the only way a readable file has the wrong format here. */
  return st == ISC_E_FORMAT ? isc_fail(ISC_E_CONFIG, "%s", isc_error()) : st;
}

static isc_status lint_one(isc_lint *l, isc_lint_stack *stack, const char *name, const char *real) {
  const isc_lint_file includer = l->file[stack->file[stack->depth - 1]];
  char *dir = NULL, *shown, *text = NULL, *kept_dir, *kept_real;
  size_t len;
  isc_status st = ISC_OK;
  ISC_GO(shown_name(l, &includer, name, &shown));
  ISC_GO(isc_path_dir(real, &dir));
  ISC_GO(isc_pool_strndup(l->pool, dir, strlen(dir), &kept_dir));
  ISC_GO(isc_pool_strndup(l->pool, real, strlen(real), &kept_real));
  ISC_GO(isc_lint_read(real, &text, &len));
  ISC_GO(isc_lint_push_file(l, stack,
                            &(isc_lint_file){.name = shown, .dir = kept_dir, .real = kept_real}));
  st = isc_lint_file_text(l, stack, text, len);
  stack->depth--;
done:
  free(dir);
  free(text);
  return st;
}

isc_status isc_lint_include(isc_lint *l, isc_lint_stack *stack, const char *name) {
  const char *dir = l->file[stack->file[stack->depth - 1]].dir;
  char *path = NULL, *real = NULL;
  isc_status st = ISC_OK;
  if (!l->tree) return isc_fail(ISC_E_CONFIG, "@include is not allowed here");
  if (stack->depth > ISC_LINT_MAX_INCLUDES)
    return isc_fail(ISC_E_CONFIG, "@include \"%s\": more than %d files deep", name,
                    ISC_LINT_MAX_INCLUDES);
  ISC_GO(isc_path_join(dir, name, &path));
  real = realpath(path, NULL);
  if (!real) ISC_GO(isc_fail(ISC_E_CONFIG, "@include \"%s\": there is no file %s", name, path));
  ISC_GO(check_place(l, stack, name, real));
  ISC_GO(lint_one(l, stack, name, real));
done:
  free(path);
  free(real);
  return st;
}
