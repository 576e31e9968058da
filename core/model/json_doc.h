/* SPDX-License-Identifier: Apache-2.0
 *
 * The parsed document behind isc_json, for the core's own readers of nested JSON.
 *
 * Public callers see top-level keys only; tokenizers and shard indexes walk the tree itself.
 */
#ifndef ISC_CORE_JSON_DOC_H
#define ISC_CORE_JSON_DOC_H

#include <inversescope/json.h>
#include <jansson.h>

struct isc_json {
  char *path;   /* of the file; of an object in it, with the keys that lead there */
  json_t *root; /* an object                                                      */
  char *key;    /* of an object in another: its key there                         */
  struct isc_json *child, *next; /* the objects asked for so far                  */
};

/* A document of a tree made in memory, which it takes over when it succeeds. */
isc_status isc_json_adopt(const char *path, json_t *root, isc_json **out);

/* Limits on what a file may make the parser build. */
enum {
  ISC_JSON_MAX_BYTES = 128 << 20, /* the largest published tokenizer.json is about 35 MB */
  ISC_JSON_MAX_VALUES = 8 << 20,  /* values and keys; it holds about 2 million           */
  ISC_JSON_MAX_DEPTH = 64
};

/* `key` of an object that must have it with the given type; `where` names the object in messages. */
isc_status isc_json_child(const isc_json *j, const json_t *object, const char *where,
                          const char *key, json_type type, json_t **out);
/* The same, NULL when the key is absent or null. */
isc_status isc_json_child_or_null(const isc_json *j, const json_t *object, const char *where,
                                  const char *key, json_type type, json_t **out);
/* A string child that must be there, and one equal to `want` or absent. */
isc_status isc_json_child_string(const isc_json *j, const json_t *object, const char *where,
                                 const char *key, const char **out);

#endif
