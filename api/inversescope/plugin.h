/* SPDX-License-Identifier: Apache-2.0
 *
 * The one datum a plugin exports, and the class descriptors it names.
 *
 * A plugin is a .so whose only dynamic symbol is `isc_plugin_v1`, a const isc_plugin. Everything in
 * it is plain data, so the plugin can be listed and documented without running its code.
 *
 * The binary interface. The major version is in the symbol's name; a library speaks one major. Within a
 * major, structs and ops tables start with their own size and only ever grow at the end; a plugin built
 * against an older minor is read as if what it lacks were zero, and one built against a newer minor is
 * refused. The same holds for structs a plugin passes to the library: it sets `size`, and members beyond
 * it count as zero. Structs without a size are either made by the library alone (a plugin reads them
 * through a pointer, never copies or makes them) or frozen: isc_list, isc_text, isc_rng, isc_metric,
 * isc_noise_draw, isc_step_mark, isc_template_slot, isc_template_conf, isc_template_list_conf, isc_regex_conf,
 * isc_word_count, isc_tensor, isc_recipe, isc_corpus, isc_corpus_batch, isc_dropout. What is added to a struct begins behind its old end, never in
 * what was padding.
 */
#ifndef ISC_PLUGIN_H
#define ISC_PLUGIN_H

#include <inversescope/option.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The version of the binary interface that these headers describe. */
#define ISC_ABI_MAJOR 1
#define ISC_ABI_MINOR 1

/* What a class is. Append only. */
typedef enum isc_kind {
  ISC_TARGET = 1,
  ISC_PRIOR = 2,
  ISC_KERNEL = 3,
  ISC_FEATURE = 4,
  ISC_METHOD = 5,
  ISC_BACKEND = 6
} isc_kind;
#define ISC_KIND_COUNT 6 /* kinds are 1 … ISC_KIND_COUNT */

/* "target", "prior", …; NULL outside the enum. Static; any thread. */
ISC_API const char *isc_kind_name(isc_kind kind);

/* One thing a plugin offers, of one kind. */
typedef struct isc_class {
  size_t size;        /* sizeof(isc_class)                                         */
  size_t option_size; /* sizeof(isc_option): from one option to the next           */
  isc_kind kind;
  const char *name;          /* [a-z][a-z0-9-]*, unique within its kind                   */
  const char *version;       /* "1.2.0"; part of every fingerprint                        */
  const char *summary;       /* one line                                                  */
  const char *licence;       /* SPDX expression                                           */
  const char *source;        /* paper, section or URL the class implements; may be NULL   */
  const isc_option *options; /* ends with ISC_OPTIONS_END; NULL = no options              */
  size_t conf_size;          /* bytes of the conf struct the options fill                 */
  const void *ops;           /* the kind's ops table: isc_target_ops, isc_prior_ops, …    */
} isc_class;

/* The first members of every class, in C and in C++: {ISC_CLASS(ISC_PRIOR), "ioi", "1.0.0", …}; in C designators
 * may follow: {ISC_CLASS(ISC_PRIOR), .name = "ioi", …}. */
#define ISC_CLASS(class_kind) sizeof(isc_class), sizeof(isc_option), (class_kind)

/* What isc_plugin_v1 is. */
typedef struct isc_plugin {
  size_t size;        /* sizeof(isc_plugin)                                        */
  uint32_t abi_minor; /* ISC_ABI_MINOR the plugin was built against                */
  const char *name;
  const char *version;
  const isc_class *const *classes; /* NULL-terminated                                     */
} isc_plugin;

/* In exactly one file of a plugin: ISC_PLUGIN("name", "1.0.0", &class_a, &class_b); */
#ifdef __cplusplus
#define ISC_PLUGIN_EXTERN extern "C"
#else
#define ISC_PLUGIN_EXTERN
#endif
#define ISC_PLUGIN(plugin_name, plugin_version, ...)                                               \
  static const isc_class *const isc_plugin_classes_[] = {__VA_ARGS__, NULL};                       \
  ISC_PLUGIN_EXTERN ISC_API const isc_plugin isc_plugin_v1;                                        \
  const isc_plugin isc_plugin_v1 = {sizeof(isc_plugin), ISC_ABI_MINOR, plugin_name,                \
                                    plugin_version, isc_plugin_classes_}

/* Instead of that, for a plugin of one class, which names it. The class's other members follow the version, in the order
 * of isc_class or, in C, with designators:
 * ISC_PLUGIN_CLASS(ISC_PRIOR, "ioi", "1.0.0", .summary = "…", .licence = "…", .ops = &ops); */
#define ISC_PLUGIN_CLASS(class_kind, class_name, class_version, ...)                               \
  static const isc_class isc_plugin_class_ = {ISC_CLASS(class_kind), class_name, class_version,    \
                                              __VA_ARGS__};                                        \
  ISC_PLUGIN(class_name, class_version, &isc_plugin_class_)

#ifdef __cplusplus
}
#endif
#endif
