/* SPDX-License-Identifier: Apache-2.0
 *
 * Writing the project of a new plugin from the templates that are installed with the program.
 *
 * A template is a source file like any other; @NAME@ and its like stand for what differs between projects,
 * in the text and in the paths of the table below.
 */
#include "cli/project.h"
#include "base/base.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_TEMPLATE = 1 << 20 };

typedef enum with { ANY, MAKE, AUTOTOOLS } with;

static const struct {
  const char *from, *to; /* below the templates, below the project */
  with with;
} files[] = {
    {"@KIND@/plugin.c", "@PLUGIN@.c", ANY},
    {"@KIND@/test.c", "tests/@PLUGIN@.c", ANY},
    {"common/plugin_test.h", "tests/plugin_test.h", ANY},
    {"common/README.md", "README.md", ANY},
    {"common/gitignore", ".gitignore", ANY},
    {"common/Makefile", "Makefile", MAKE},
    {"common/Makefile.am", "Makefile.am", AUTOTOOLS},
    {"common/configure.ac", "configure.ac", AUTOTOOLS},
};
enum { N_FILES = sizeof files / sizeof *files };

/* ---- where the templates are */

/* Beside the program, wherever that has been moved to; else where it was to be installed. The environment variable is
 * for the program of a build tree, which has no templates beside it. */
static isc_status templates_dir(char **out) {
  const char *source = getenv("INVERSESCOPE_SRCDIR");
  char *program = NULL, *bin = NULL, *own = NULL;
  isc_status st = ISC_OK;
  *out = NULL;
  if (source) return isc_path_join(source, "core/cli/new", out);
  program = realpath("/proc/self/exe", NULL);
  if (program) {
    ISC_GO(isc_path_dir(program, &bin));
    ISC_GO(isc_path_join(bin, "../share/inversescope/new", &own));
    if (isc_is_dir(own)) {
      *out = own;
      own = NULL;
      goto done;
    }
  }
  if (isc_is_dir(ISC_DATA_DIR "/new"))
    st = isc_strdup(ISC_DATA_DIR "/new", out);
  else
    st = isc_fail(ISC_E_MISSING,
                  "the project templates are neither in %s nor in %s; install the program, or set "
                  "INVERSESCOPE_SRCDIR to its source directory",
                  own ? own : "a place beside the program", ISC_DATA_DIR "/new");
done:
  free(program);
  free(bin);
  free(own);
  return st;
}

/* ---- filling in */

typedef struct word {
  const char *token;
  char *value;
} word;
enum { KIND, NAME, PLUGIN, ABI, BUILD, N_WORDS };

static isc_status fill(const word *words, const char *text, char **out) {
  isc_sb b = {0};
  while (*text) {
    int w = 0;
    while (w < N_WORDS && strncmp(text, words[w].token, strlen(words[w].token)))
      w++;
    if (w < N_WORDS)
      isc_sb_add(&b, words[w].value);
    else
      isc_sb_addn(&b, text, 1);
    text += w < N_WORDS ? strlen(words[w].token) : 1;
  }
  return isc_sb_finish(&b, out);
}

static void free_words(word *words) {
  for (int i = 0; i < N_WORDS; i++)
    free(words[i].value);
}

static isc_status make_words(const isc_project *p, word *words) {
  const char *kind = isc_kind_name(p->kind);
  isc_status st = ISC_OK;
  words[KIND] = (word){"@KIND@", NULL};
  words[NAME] = (word){"@NAME@", NULL};
  words[PLUGIN] = (word){"@PLUGIN@", NULL};
  words[ABI] = (word){"@ABI@", NULL};
  words[BUILD] = (word){"@BUILD@", NULL};
  ISC_GO(isc_strdup(kind, &words[KIND].value));
  ISC_GO(isc_strdup(p->name, &words[NAME].value));
  ISC_GO(isc_asprintf(&words[PLUGIN].value, "%s_%s", kind, p->name));
  for (char *c = words[PLUGIN].value; *c; c++)
    if (*c == '-') *c = '_';
  ISC_GO(isc_asprintf(&words[ABI].value, "%d.%d", ISC_ABI_MAJOR, ISC_ABI_MINOR));
  ISC_GO(isc_strdup(p->autotools ? "autoreconf -i && ./configure && make" : "make",
                    &words[BUILD].value));
done:
  if (st != ISC_OK) free_words(words);
  return st;
}

/* ---- reading, then writing */

typedef struct output {
  char *path, *text;
} output;

/* A file of the other build system gives no text. */
static isc_status read_one(const isc_project *p, const char *templates, const word *words, int i,
                           output *o) {
  char *name = NULL, *path = NULL, *text = NULL, *to = NULL;
  size_t len;
  isc_status st = ISC_OK;
  if (files[i].with == (p->autotools ? MAKE : AUTOTOOLS)) return ISC_OK;
  ISC_GO(fill(words, files[i].from, &name));
  ISC_GO(isc_path_join(templates, name, &path));
  ISC_GO(isc_read_file(path, MAX_TEMPLATE, &text, &len));
  ISC_GO(fill(words, files[i].to, &to));
  ISC_GO(isc_path_join(p->dir, to, &o->path));
  ISC_GO(fill(words, text, &o->text));
done:
  free(name);
  free(path);
  free(text);
  free(to);
  return st;
}

static isc_status check_dir(const char *dir) {
  if (!isc_exists(dir)) return ISC_OK;
  if (!isc_is_dir(dir)) return isc_fail(ISC_E_USAGE, "%s: is there already and no directory", dir);
  if (!isc_dir_is_empty(dir))
    return isc_fail(ISC_E_USAGE, "%s: is there already and not empty; give another with --dir",
                    dir);
  return ISC_OK;
}

static isc_status write_all(const isc_project *p, const output *o) {
  char *tests = NULL;
  isc_status st = ISC_OK;
  ISC_GO(isc_path_join(p->dir, "tests", &tests));
  ISC_GO(isc_mkdirs(tests));
  for (int i = 0; i < N_FILES; i++)
    if (o[i].text) ISC_GO(isc_write_file(o[i].path, o[i].text, strlen(o[i].text)));
done:
  free(tests);
  return st;
}

isc_status isc_project_write(const isc_project *p) {
  output o[N_FILES] = {{NULL, NULL}};
  word words[N_WORDS];
  char *templates = NULL;
  isc_status st = ISC_OK;
  ISC_TRY(check_dir(p->dir));
  ISC_TRY(make_words(p, words));
  ISC_GO(templates_dir(&templates));
  for (int i = 0; i < N_FILES; i++)
    ISC_GO(read_one(p, templates, words, i, &o[i]));
  ISC_GO(write_all(p, o));
done:
  for (int i = 0; i < N_FILES; i++) {
    free(o[i].path);
    free(o[i].text);
  }
  free_words(words);
  free(templates);
  return st;
}
