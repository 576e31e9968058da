/* SPDX-License-Identifier: Apache-2.0
 *
 * A family of models on the shared decoder: how its config.json reads as a spec, and what its tensors are called.
 *
 * That, an option table and a class are the whole of a target plugin; plugins/targets/llama.c is an example. Opening a
 * directory or a GGUF file, precision, streaming and the tokenizer are the library's. One thread at a time. Since 1.1.
 */
#ifndef ISC_DECODER_FAMILY_H
#define ISC_DECODER_FAMILY_H

#include <inversescope/decoder_target.h>
#include <inversescope/json.h>
#include <inversescope/option.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One parameter of the decoder and the tensors that make it, in their order. */
typedef struct isc_weight_name {
  const char *parameter; /* its canonical name (decoder.h), in a layer without "h.L."             */
  const char *tensor[3]; /* names in the file, in a layer without the layer's prefix; NULL = none */
  float offset; /* added to every element: 1 where the model says norm(x)·(1 + w)        */
} isc_weight_name;

/* A family, as constant data. */
typedef struct isc_decoder_family {
  size_t size;                    /* sizeof(isc_decoder_family) */
  const char *const *model_types; /* values of config.json's model_type; NULL-terminated */
  /* Fills *out, which is zero but for its size. Reads every setting that changes numbers and refuses, by name, those that a
   * spec cannot say (ISC_E_UNSUPPORTED). */
  isc_status (*spec)(isc_json *config, isc_decoder_spec *out);
  isc_weight_layout layout; /* of the linear maps in the file        */
  const char *layer;        /* prefix of layer L: "model.layers.%d." */
  const isc_weight_name
      *names;         /* a row for every parameter that a spec can have; parameter NULL ends it */
  const char *prefix; /* of all tensors, in files that have it: "transformer."; NULL = none     */
} isc_decoder_family;

/* What the user says; a conf struct has one. Frozen. */
typedef struct isc_decoder_options {
  const char *path;      /* directory, or GGUF file                                       */
  const char *tokenizer; /* directory or file of another tokenizer; NULL = the model's    */
  int32_t precision, resident, bos; /* indices into the choices below                     */
  int64_t n_ctx; /* longest sequence; 0 = the model's                             */
} isc_decoder_options;

ISC_API extern const char *const isc_decoder_precisions[]; /* "f32", "bf16"              */
ISC_API extern const char *const isc_decoder_residents[];  /* "all", "stream"            */
ISC_API extern const char *const isc_decoder_bos[];        /* "model", "always", "never" */

/* In an option table: path, tokenizer, precision, resident, bos and n_ctx. `member` is the isc_decoder_options. */
#define ISC_DECODER_OPTIONS(conf, member)                                                          \
  {"path",                                                                                         \
   ISC_OPT_PATH,                                                                                   \
   ISC_OPT_REQUIRED | ISC_OPT_MUST_EXIST,                                                          \
   offsetof(conf, member.path),                                                                    \
   NULL,                                                                                           \
   NULL,                                                                                           \
   0,                                                                                              \
   0,                                                                                              \
   NULL,                                                                                           \
   "Directory with config.json, the weights as safetensors and the tokenizer's files, or a GGUF "  \
   "file."},                                                                                       \
      {"tokenizer",                                                                                \
       ISC_OPT_PATH,                                                                               \
       ISC_OPT_MUST_EXIST,                                                                         \
       offsetof(conf, member.tokenizer),                                                           \
       NULL,                                                                                       \
       NULL,                                                                                       \
       0,                                                                                          \
       0,                                                                                          \
       NULL,                                                                                       \
       "Directory of the tokenizer, where it is not with the weights."},                           \
      {"precision",                                                                                \
       ISC_OPT_ENUM,                                                                               \
       0,                                                                                          \
       offsetof(conf, member.precision),                                                           \
       NULL,                                                                                       \
       "f32",                                                                                      \
       0,                                                                                          \
       0,                                                                                          \
       isc_decoder_precisions,                                                                     \
       "bf16 keeps the matrices in half the memory and multiplies faster; activations then agree " \
       "with f32 to about 1 %."},                                                                  \
      {"resident",                                                                                 \
       ISC_OPT_ENUM,                                                                               \
       ISC_OPT_RUNTIME,                                                                            \
       offsetof(conf, member.resident),                                                            \
       NULL,                                                                                       \
       "all",                                                                                      \
       0,                                                                                          \
       0,                                                                                          \
       isc_decoder_residents,                                                                      \
       "stream keeps one layer's weights in memory, or two where the device copies while it "      \
       "computes, and runs large batches layer by layer, for models larger than the machine; the " \
       "numbers are the same."},                                                                   \
      {"bos",                                                                                      \
       ISC_OPT_ENUM,                                                                               \
       0,                                                                                          \
       offsetof(conf, member.bos),                                                                 \
       NULL,                                                                                       \
       "model",                                                                                    \
       0,                                                                                          \
       0,                                                                                          \
       isc_decoder_bos,                                                                            \
       "Does a text begin with the tokenizer's BOS: as its files say, always or never."},          \
  {                                                                                                \
    "n_ctx", ISC_OPT_INT, 0, offsetof(conf, member.n_ctx), "tokens", "0", 0, 1 << 24, NULL,        \
        "Longest sequence to accept; 0 is what config.json says."                                  \
  }

/* The ops table of a target of one family: its `open_` ends in isc_decoder_target_new, and `member_` of its conf struct is
 * the isc_decoder_options. */
#define ISC_DECODER_FAMILY_OPS(open_, family_, conf_, member_)                                     \
  {                                                                                                \
    .size = sizeof(isc_target_ops), .open = (open_), .close = isc_decoder_target_close,            \
    .info = isc_decoder_target_info, .tokenizer = isc_decoder_target_tokenizer,                    \
    .forward = isc_decoder_target_forward, .logits = isc_decoder_target_logits,                    \
    .head_map = isc_decoder_target_head_map, .fingerprint = isc_decoder_target_fingerprint,        \
    .kv_cache = isc_decoder_target_kv_cache, .family = (family_),                                  \
    .family_options = offsetof(conf_, member_)                                                     \
  }

/* A target's `open`: *self for the members of that table. */
ISC_API isc_status isc_decoder_family_open(const isc_decoder_family *family,
                                           const isc_decoder_options *options, isc_device *dev,
                                           void **self);
/* The spec that the options give, before anything is loaded; the caller sets out->size. */
ISC_API isc_status isc_decoder_family_spec(const isc_decoder_family *family,
                                           const isc_decoder_options *options,
                                           isc_decoder_spec *out);
/* The same in two, for a target that changes the decoder before isc_decoder_target_new. Both are the caller's. */
ISC_API isc_status isc_decoder_family_decoder(const isc_decoder_family *family,
                                              const isc_decoder_options *options, isc_device *dev,
                                              isc_decoder **out);
ISC_API isc_status isc_decoder_family_tokenizer(const isc_decoder_options *options,
                                                isc_tokenizer **out);

/* ---- Settings that families share, for `spec` */
/* All of a GPT-2 config. */
ISC_API isc_status isc_config_gpt2(isc_json *config, isc_decoder_spec *spec);
/* Size by `key`, 1 … 2^24; `or` 0 = the key must be there. */
ISC_API isc_status isc_config_size(const isc_json *config, const char *key, int64_t or_else,
                                   int64_t *out);
/* An activation function's name at `key`. */
ISC_API isc_status isc_config_act(const isc_json *config, const char *key, const char *or_else,
                                  isc_act *out);
/* rope_theta and rope_scaling, or rope_parameters in their place (of "full_attention" and "sliding_attention" layers, where
 * they differ): positions, rope_… of the spec. Scalings other than linear, llama3 and yarn are refused by name. */
ISC_API isc_status isc_config_rope(isc_json *config, isc_decoder_spec *spec);
/* sliding_window and layer_types: window and full_every. `full_every` is the family's where layer_types says nothing.
 * n_layer must be set. A pattern that is not "every n-th layer attends to all" is refused. */
ISC_API isc_status isc_config_windows(const isc_json *config, int64_t full_every,
                                      isc_decoder_spec *spec);

#ifdef __cplusplus
}
#endif
#endif
