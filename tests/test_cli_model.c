/* SPDX-License-Identifier: Apache-2.0
 *
 * Facts about the commands that take a model: generate, inspect, and run --dry-run.
 *
 * The shipped model that adds says what is right by arithmetic; the shape of a tiny Gemma is in its config.json.
 */
#include "support.h"
#include "support_run.h"
#include "support_target.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ARGS(...) ((const char *const[]){__VA_ARGS__, NULL})

static isc_cli cli(const char *cwd, int status, const char *const *args) {
  isc_cli c = isc_cli_run(cwd, args, NULL);
  cr_assert_eq(c.status, status, "%s %s: ended with %d: %s", args[0], args[1] ? args[1] : "",
               c.status, c.err);
  return c;
}

static const char *adder(void) {
  return isc_test_source("conf/models/addition");
}

static const char *family(const char *name) {
  static char path[1024];
  snprintf(path, sizeof path, "%s/%s", isc_test_source("tests/data/families"), name);
  return path;
}

static const char *with_tokenizer(void) {
  static char set[1024];
  snprintf(set, sizeof set, "target.tokenizer=%s", isc_test_family_tokenizer());
  return set;
}

static json_t *parsed(const isc_cli *c) {
  json_error_t why;
  json_t *j = json_loads(c->out, JSON_REJECT_DUPLICATES, &why);
  cr_assert(j, "line %d: %s: %s", why.line, why.text, c->out);
  return j;
}

/* ---- generate */

Test(cli_model, generate_lets_the_adder_add) {
  isc_cli c =
      cli("/", 0, ARGS("generate", adder(), "--text", "123+264=", "--greedy", "--max-tokens=3"));
  cr_assert_str_eq(c.out, "123+264=387\n");
  cr_assert(strstr(c.err, "target gpt2 (it reads model_type \"gpt2\") on CPU"), "%s", c.err);
  cr_assert(strstr(c.err, "3 tokens, log P "), "%s", c.err);
  isc_cli_free(&c);
}

Test(cli_model, generate_takes_texts_from_the_line_and_from_a_file_in_their_order) {
  const char *dir = isc_scratch("cli-model");
  static const char lines[] = "111+222=\n\n250+149=\r\n";
  isc_test_write(dir, "lines.txt", lines, strlen(lines));
  isc_cli c = cli(dir, 0,
                  ARGS("generate", adder(), "--text-file", "lines.txt", "--text",
                       "300+64=", "--text", "123+264=", "--greedy", "--max-tokens", "3"));
  const char *order[] = {"[text 1: ", "300+64=",       "[text 2: ", "123+264=387\n",
                         "[text 3: ", "111+222=333\n", "[text 4: ", "250+149=399\n"};
  const char *at = c.out;
  for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
    at = strstr(at, order[i]);
    cr_assert(at, "no \"%s\" there: %s", order[i], c.out);
  }
  isc_cli_free(&c);
  c = cli(dir, 66, ARGS("generate", adder(), "--text-file", "other.txt"));
  cr_assert(strstr(c.err, "other.txt"));
  isc_cli_free(&c);
  isc_test_write(dir, "lines.txt", "\n", 1);
  c = cli(dir, 65, ARGS("generate", adder(), "--text-file", "lines.txt"));
  cr_assert(strstr(c.err, "there is no text in it"));
  isc_cli_free(&c);
}

/* Continuation j of text i as JSON. */
static json_t *text_at(json_t *j, size_t i) {
  return json_array_get(json_object_get(j, "texts"), i);
}

Test(cli_model, generate_gives_a_continuation_whatever_else_is_asked_for) {
  const char *set = with_tokenizer();
  isc_cli all = cli("/", 0,
                    ARGS("generate", family("llama-gqa"), "--set", set, "--text", "t3 t4", "--text",
                         "t9", "-n", "3", "--json", "--seed", "5", "--max-tokens", "9")),
          one =
              cli("/", 0,
                  ARGS("generate", family("llama-gqa"), "--set", set, "--text", "t3 t4", "-n", "2",
                       "--json", "--seed", "5", "--max-tokens", "9", "--set", "target.batch=1")),
          other = cli("/", 0,
                      ARGS("generate", family("llama-gqa"), "--set", set, "--text", "t3 t4", "-n",
                           "2", "--json", "--set", "run.seed=6", "--max-tokens", "9"));
  json_t *a = parsed(&all), *b = parsed(&one), *c = parsed(&other);
  cr_assert_str_eq(json_string_value(json_object_get(a, "target")), "llama");
  cr_assert_eq(json_array_size(json_object_get(a, "texts")), 6);
  for (size_t i = 0; i < 2; i++) {
    cr_assert(json_equal(text_at(a, i), text_at(b, i)));
    cr_assert(!json_equal(text_at(a, i), text_at(c, i)));
  }
  cr_assert(
      !json_equal(json_object_get(text_at(a, 0), "ids"), json_object_get(text_at(a, 1), "ids")));
  json_decref(a);
  json_decref(b);
  json_decref(c);
  isc_cli_free(&all);
  isc_cli_free(&one);
  isc_cli_free(&other);
}

Test(cli_model, generate_ends_before_a_stop_text) {
  isc_cli c = cli("/", 0,
                  ARGS("generate", adder(), "--text", "123+264=", "--greedy", "--stop", "nothing",
                       "--stop", "87", "--json"));
  json_t *j = parsed(&c);
  cr_assert_str_eq(json_string_value(json_object_get(text_at(j, 0), "text")), "3");
  cr_assert_str_eq(json_string_value(json_object_get(text_at(j, 0), "end")), "stop text");
  json_decref(j);
  isc_cli_free(&c);
}

Test(cli_model, generate_scores_texts_and_their_tokens) {
  isc_cli c = cli("/", 0,
                  ARGS("generate", adder(), "--score", "--json", "--text", "123+264=387", "--text",
                       "123+264=388"));
  json_t *j = parsed(&c), *right = text_at(j, 0), *wrong = text_at(j, 1), *token;
  double sum = 0;
  size_t i;
  json_array_foreach(json_object_get(right, "tokens"), i, token) {
    if (i == 0)
      cr_assert(json_is_null(json_object_get(token, "log_p")), "nothing is before the first");
    else
      sum += json_real_value(json_object_get(token, "log_p"));
  }
  const double total = json_number_value(json_object_get(right, "log_p"));
  cr_assert_eq(json_integer_value(json_object_get(right, "counted")), 10);
  cr_assert_float_eq(total, sum, 1e-9);
  cr_assert_float_eq(json_number_value(json_object_get(right, "perplexity")), exp(-total / 10),
                     1e-9);
  cr_assert_gt(total, json_number_value(json_object_get(wrong, "log_p")) + 3);
  json_decref(j);
  isc_cli_free(&c);
  c = cli("/", 0, ARGS("generate", adder(), "--score", "--text", "123+264=387", "--text", "12"));
  double all, each, perplexity;
  int tokens;
  const char *row = strstr(c.out, "\n     11 ");
  cr_assert(row && strstr(row, "(all)"), "%s", c.out);
  cr_assert_eq(sscanf(row, "%d %lf %lf %lf", &tokens, &all, &each, &perplexity), 4);
  cr_assert(tokens == 11 && fabs(each - all / 11) < 1e-4 && fabs(perplexity - exp(-each)) < 1e-2);
  isc_cli_free(&c);
}

/* The prompt is shown again; what in it a terminal would obey is not. */
Test(cli_model, generate_keeps_control_characters_from_the_terminal) {
  const char *dir = isc_scratch("cli-model"), *words[61];
  static char word[61][8];
  char set[1100];
  isc_tokenizer *t;
  for (int i = 0; i < 61; i++) {
    snprintf(word[i], sizeof word[i], "t%d", i);
    words[i] = word[i];
  }
  words[1] = "<eos>";
  words[7] = "\x1b[31m\xc2\x9b";
  isc_assert_ok(isc_tokenizer_from_words(words, 61, words[1], &t));
  isc_assert_ok(isc_tokenizer_save(t, dir));
  isc_tokenizer_close(t);
  snprintf(set, sizeof set, "target.tokenizer=%s", dir);
  isc_cli c = cli("/", 0,
                  ARGS("generate", family("llama"), "--set", set, "--text", words[7],
                       "--max-tokens", "2", "--greedy")),
          score =
              cli("/", 0,
                  ARGS("generate", family("llama"), "--set", set, "--text", words[7], "--score"));
  cr_assert(!strncmp(c.out, "?[31m?? ", 8), "%s", c.out);
  cr_assert_null(strpbrk(c.out, "\x1b\x9b"));
  cr_assert_null(strpbrk(score.out, "\x1b\x9b"));
  isc_cli_free(&c);
  isc_cli_free(&score);
}

/* ---- which plugin */

Test(cli_model, the_plugin_is_found_by_what_the_model_calls_itself) {
  static const char *const models[][2] = {{"gpt2", "gpt2"},
                                          {"llama", "llama"},
                                          {"mistral", "llama"},
                                          {"qwen2", "llama"},
                                          {"qwen3", "llama"},
                                          {"gemma2", "gemma2"},
                                          {"gemma3", "gemma3"},
                                          {"qwen3/qwen3.gguf", "llama"},
                                          {"gemma2/gemma2.gguf", "gemma2"}};
  for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
    isc_cli c = cli("/", 0, ARGS("inspect", family(models[i][0]), "--json"));
    json_t *j = parsed(&c);
    cr_assert_str_eq(json_string_value(json_object_get(j, "target")), models[i][1], "%s",
                     models[i][0]);
    json_decref(j);
    isc_cli_free(&c);
  }
}

Test(cli_model, a_model_that_no_plugin_reads_is_told_with_what_there_is) {
  const char *dir = isc_scratch("cli-model");
  size_t len;
  char *weights = isc_test_read(family("llama"), "model.safetensors", &len);
  isc_test_write(dir, "model.safetensors", weights, len);
  isc_test_write(dir, "config.json", "{\"model_type\": \"rwkv\"}", 22);
  isc_cli c = cli("/", 66, ARGS("generate", dir, "--text", "x"));
  cr_assert(strstr(c.err, "reads model_type \"rwkv\" (there are: ") &&
                strstr(c.err, "llama of llama, mistral, qwen2, qwen3"),
            "%s", c.err);
  isc_cli_free(&c);
  c = cli("/", 70, ARGS("inspect", dir, "--plugin", "llama"));
  cr_assert(strstr(c.err, "model_type is \"rwkv\", and this reads"), "%s", c.err);
  isc_cli_free(&c);
  c = cli("/", 78, ARGS("inspect", dir, "--plugin", "lama"));
  cr_assert(strstr(c.err, "did you mean \"llama\"?"), "%s", c.err);
  isc_cli_free(&c);
  isc_test_write(dir, "config.json", "{}", 2);
  c = cli("/", 65, ARGS("inspect", dir));
  cr_assert(strstr(c.err, "config.json: \"model_type\" is missing"), "%s", c.err);
  isc_cli_free(&c);
  free(weights);
}

Test(cli_model, wrong_usage_is_told) {
  static const char *const cases[][5] = {
      {"generate", NULL, NULL, NULL, "which model?"},
      {"generate", "m", NULL, NULL, "--text or --text-file is needed"},
      {"generate", "m", "--text", NULL, "--text needs"},
      {"generate", "m", "n", NULL, "one model at a time"},
      {"generate", "--max-tokens", "0", NULL, "--max-tokens needs"},
      {"generate", "--top-p", "1.5", NULL, "--top-p needs"},
      {"generate", "--top-k", "-1", NULL, "--top-k needs"},
      {"generate", "--temperature", "nan", NULL, "--temperature needs"},
      {"generate", "--stop=", NULL, NULL, "not empty"},
      {"generate", "--device", NULL, NULL, "--device needs"},
      {"generate", "--plugin", NULL, NULL, "--plugin needs"},
      {"generate", "--set", NULL, NULL, "--set needs"},
      {"generate", "--sett", NULL, NULL, "--sett: unknown option"},
      {"inspect", NULL, NULL, NULL, "which model?"},
      {"inspect", "m", "--harvest", "0", "--harvest needs"},
      {"inspect", "m", "--tokens", "x", "--tokens needs"},
      {"inspect", "m", "--greedy", NULL, "--greedy: unknown option"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    isc_cli c = cli("/", 64, ARGS(cases[i][0], cases[i][1], cases[i][2], cases[i][3]));
    cr_assert(strstr(c.err, cases[i][4]), "no \"%s\" in: %s", cases[i][4], c.err);
    cr_assert_str_empty(c.out);
    isc_cli_free(&c);
  }
  isc_cli c = cli("/", 66, ARGS("generate", "/no/such/model", "--text", "x"));
  cr_assert(strstr(c.err, "/no/such/model: there is no such file"), "%s", c.err);
  isc_cli_free(&c);
  c = cli("/", 78, ARGS("generate", adder(), "--text", "1", "--set", "target.precison=bf16"));
  cr_assert(strstr(c.err, "did you mean \"precision\"?"), "%s", c.err);
  isc_cli_free(&c);
}

/* ---- inspect */

static int64_t number(const json_t *j, const char *key) {
  cr_assert(json_is_number(json_object_get(j, key)), "%s", key);
  return (int64_t)json_number_value(json_object_get(j, key));
}

Test(cli_model, inspect_tells_the_shape_that_config_json_has) {
  json_error_t why;
  isc_cli c = cli("/", 0,
                  ARGS("inspect", family("gemma3"), "--json", "--set", with_tokenizer(),
                       "--harvest", "1000", "--tokens", "12"));
  json_t *j = parsed(&c),
         *config = json_load_file(isc_test_path(family("gemma3"), "config.json"), 0, &why);
  static const char *const same[][2] = {{"n_layer", "num_hidden_layers"},
                                        {"n_head", "num_attention_heads"},
                                        {"n_kv_head", "num_key_value_heads"},
                                        {"d_model", "hidden_size"},
                                        {"d_head", "head_dim"},
                                        {"d_mlp", "intermediate_size"},
                                        {"vocab", "vocab_size"}};
  for (size_t i = 0; i < sizeof same / sizeof *same; i++)
    cr_assert_eq(number(j, same[i][0]), number(config, same[i][1]), "%s", same[i][0]);
  /* The head is tied, so the file holds every parameter once: all of them bf16 there. */
  const json_t *stored = json_array_get(json_object_get(j, "files"), 0);
  cr_assert_eq(json_array_size(json_object_get(j, "files")), 1);
  cr_assert_str_eq(json_string_value(json_object_get(stored, "type")), "BF16");
  cr_assert_eq(number(stored, "elements"), number(j, "parameters"));
  const json_t *memory = json_object_get(j, "memory");
  cr_assert_eq(number(json_object_get(memory, "weights"), "f32"), 4 * number(j, "parameters"));
  const json_t *tokenizer = json_object_get(j, "tokenizer");
  cr_assert_eq(number(tokenizer, "ids"), 61);
  cr_assert_str_eq(json_string_value(json_object_get(tokenizer, "kind")), "words");
  cr_assert_str_eq(json_string_value(json_object_get(tokenizer, "eos_token")), "<eos>");
  cr_assert_eq(json_array_size(json_object_get(j, "sites")), 6);
  /* All heads, by default: a factor each of 1000 texts. */
  const json_t *harvest = json_object_get(j, "harvest");
  cr_assert_eq(number(harvest, "sites"), number(j, "n_layer") * number(j, "n_head"));
  cr_assert_eq(number(harvest, "disk"), 1000 * 4 * number(harvest, "sites") * number(j, "d_head"));
  json_decref(j);
  json_decref(config);
  isc_cli_free(&c);
}

Test(cli_model, inspect_prints_what_people_want_to_know) {
  isc_cli c = cli("/", 0, ARGS("inspect", adder())),
          all = cli("/", 0,
                    ARGS("inspect", adder(), "--sites", "--harvest", "100", "--set",
                         "target.resident=stream"));
  static const char *const parts[] = {"target      gpt2, which reads model_type \"gpt2\"",
                                      "tokenizer   words, ",
                                      "a text begins without BOS",
                                      "head.0-",
                                      "all weights",
                                      "one layer",
                                      "keys and values"};
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
    cr_assert(strstr(c.out, parts[i]), "no \"%s\" in: %s", parts[i], c.out);
  cr_assert_null(strstr(c.out, "harvest of"));
  cr_assert(strstr(all.out, "\n  head.1.2 "), "%s", all.out);
  cr_assert(strstr(all.out, "f32, streamed"), "%s", all.out);
  cr_assert(strstr(all.out, "residual streams"), "%s", all.out);
  isc_cli_free(&c);
  isc_cli_free(&all);
}

Test(cli_model, inspect_goes_on_without_a_tokenizer) {
  isc_cli c = cli("/", 0, ARGS("inspect", family("llama"))),
          json = cli("/", 0, ARGS("inspect", family("llama"), "--json"));
  json_t *j = parsed(&json);
  cr_assert(strstr(c.out, "tokenizer   cannot be opened: "), "%s", c.out);
  cr_assert(json_is_null(json_object_get(j, "tokenizer")));
  cr_assert(json_is_string(json_object_get(j, "tokenizer_problem")));
  json_decref(j);
  isc_cli_free(&c);
  isc_cli_free(&json);
}

/* A copy of a model with the last element of its file (BF16) replaced by NaN. */
static const char *damaged(void) {
  const char *dir = isc_scratch("cli-model");
  size_t len;
  char *config = isc_test_read(family("llama"), "config.json", &len);
  isc_test_write(dir, "config.json", config, len);
  free(config);
  char *weights = isc_test_read(family("llama"), "model.safetensors", &len);
  memset(weights + len - 4, 0xFF, 4);
  isc_test_write(dir, "model.safetensors", weights, len);
  free(weights);
  return dir;
}

Test(cli_model, inspect_verifies_every_value_and_hashes_the_files) {
  isc_cli good = cli("/", 0, ARGS("inspect", family("llama"), "--verify")),
          bad = cli("/", 70, ARGS("inspect", damaged(), "--verify")),
          json = cli("/", 70, ARGS("inspect", damaged(), "--verify", "--json"));
  isc_digest digest;
  char hex[33];
  isc_assert_ok(isc_hash_file(isc_test_path(family("llama"), "model.safetensors"), &digest));
  isc_digest_hex(digest, hex);
  cr_assert(strstr(good.out, hex), "%s: %s", hex, good.out);
  cr_assert(strstr(good.out, "every value of "), "%s", good.out);
  cr_assert_null(strstr(bad.out, "every value of "));
  cr_assert(strstr(bad.err, "NaN") && strstr(bad.err, "1 tensors are not finite"), "%s", bad.err);
  json_t *j = parsed(&json);
  cr_assert_eq(number(j, "tensors_not_finite"), 1);
  cr_assert_eq(json_array_size(json_object_get(j, "verified")), 1);
  json_decref(j);
  isc_cli_free(&good);
  isc_cli_free(&bad);
  isc_cli_free(&json);
}

/* Every tensor is looked for, although none is read. */
Test(cli_model, inspect_refuses_a_model_that_lacks_a_tensor) {
  const char *dir = isc_scratch("cli-model");
  size_t len;
  char *config = isc_test_read(family("llama"), "config.json", &len),
       *layers = strstr(config, "\"num_hidden_layers\": ");
  cr_assert(layers);
  layers[strlen("\"num_hidden_layers\": ")] = '9';
  isc_test_write(dir, "config.json", config, len);
  free(config);
  char *weights = isc_test_read(family("llama"), "model.safetensors", &len);
  isc_test_write(dir, "model.safetensors", weights, len);
  free(weights);
  isc_cli c = cli("/", 66, ARGS("inspect", dir));
  cr_assert(strstr(c.err, "the model has no tensor \"model.layers."), "%s", c.err);
  isc_cli_free(&c);
}

/* ---- run --dry-run, and the first text in a run's log */

Test(cli_model, a_dry_run_tells_memory_and_makes_nothing) {
  const char *dir = isc_micro_new("cli-model");
  isc_cli c = cli(dir, 0, ARGS("run", "study.cfg", "--dry-run"));
  static const char *const parts[] = {"target      gpt2\n", "held out; the first 64 have ",
                                      "all weights",        "harvest of ",
                                      "together",           "of this machine's memory"};
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
    cr_assert(strstr(c.out, parts[i]), "no \"%s\" in: %s", parts[i], c.out);
  cr_assert(!isc_exists(isc_test_path(dir, "study")));
  isc_cli_free(&c);
  c = cli(dir, 78, ARGS("run", "study.cfg", "--dry-run", "--set", "method.control.stepps=3"));
  cr_assert(strstr(c.err, "did you mean"), "%s", c.err);
  isc_cli_free(&c);
  c = cli(dir, 66, ARGS("run", "study.cfg", "--dry-run", "--set", "target.sites=[\"head.9.9\"]"));
  cr_assert(strstr(c.err, "head.9.9"), "%s", c.err);
  isc_cli_free(&c);
}

static void use_own_tmp(void) {
  setenv("TMPDIR", "tmp", 1);
}

Test(cli_model, a_dry_run_of_several_methods_leaves_no_temporary_file) {
  const char *dir = isc_micro_new("cli-model");
  isc_assert_ok(isc_mkdirs(isc_test_path(dir, "tmp")));
  isc_cli c =
      isc_cli_run(dir,
                  ARGS("run", "study.cfg", "--dry-run", "--set",
                       "baselines=({plugin=\"inversionview\"; layers=1; heads=1; width=8;})"),
                  use_own_tmp);
  cr_assert_eq(c.status, 0, "%s", c.err);
  cr_assert(strstr(c.out, "inversionview/decoder"), "%s", c.out);
  isc_cli_free(&c);
  cr_assert_eq(rmdir(isc_test_path(dir, "tmp")), 0, "something is left there");
}

Test(cli_model, a_harvest_tells_the_tokens_of_its_first_text_once) {
  const char *dir = isc_micro_new("cli-model");
  isc_cli c = cli(dir, 0,
                  ARGS("run", "study.cfg", "--set", "method.backbone.steps=2", "--set",
                       "method.control.steps=2"));
  char *log = isc_test_read(dir, "study/log.jsonl", NULL), *save = NULL;
  const char *shown = strstr(c.err, "first text: ");
  int lines = 0;
  cr_assert(shown && !strstr(shown + 1, "first text: "), "%s", c.err);
  for (char *line = strtok_r(log, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
    json_t *j = json_loads(line, JSON_REJECT_DUPLICATES, NULL), *tokens, *token;
    char text[64];
    size_t i;
    cr_assert(j, "%s", line);
    tokens = json_object_get(j, "tokens");
    if (tokens) lines++;
    json_array_foreach(tokens, i, token) {
      snprintf(text, sizeof text, "%lld \"%s\"",
               (long long)json_integer_value(json_object_get(token, "id")),
               json_string_value(json_object_get(token, "token")));
      cr_assert(i >= 24 || strstr(shown, text), "no %s in: %s", text, shown);
    }
    cr_assert(!tokens || json_array_size(tokens) > 5);
    json_decref(j);
  }
  cr_assert_eq(lines, 1);
  free(log);
  isc_cli_free(&c);
}
