/* SPDX-License-Identifier: Apache-2.0
 *
 * Facts about the reader of shared objects: it agrees with readelf, and no file can harm it.
 *
 * The damaged files are a real module with bytes changed in place.
 */
#include "support.h"
#include "plugin/elf.h"
#include <elf.h>
#include <fcntl.h>
#include <inversescope/rng.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HOSTILE "tests/fixtures/hostile/.libs/hostile.so"

static char path[1200];
static char *good;
static size_t size;
static int fd;

static void write_at(size_t at, const void *bytes, size_t n) {
  cr_assert_eq(pwrite(fd, bytes, n, (off_t)at), (ssize_t)n);
}

static void enter(void) {
  const char *dir = isc_test_dir("elf");
  cr_assert_not_null(dir);
  snprintf(path, sizeof path, "%s/x.so", dir);
  isc_assert_ok(isc_read_file(isc_test_build(HOSTILE), 1 << 24, &good, &size));
  fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  cr_assert_geq(fd, 0);
  write_at(0, good, size);
}

static void leave(void) {
  unlink(path);
  *strrchr(path, '/') = '\0';
  rmdir(path);
  close(fd);
  free(good);
}

TestSuite(elf, .init = enter, .fini = leave);

static isc_status read_it(void) {
  isc_elf e;
  isc_status st = isc_elf_open(path, &e);
  isc_elf_close(&e);
  return st;
}

/* ---- what it says */

/* "name U" or "name D" for each visible dynamic symbol, sorted, by readelf. */
static const char symbols_by_readelf[] =
    "readelf --dyn-syms -W '%s' | awk '$1 ~ /^[0-9]+:$/ && $1 != \"0:\" && "
    "($5 == \"GLOBAL\" || $5 == \"WEAK\" || $5 == \"UNIQUE\") && "
    "($6 == \"DEFAULT\" || $6 == \"PROTECTED\") "
    "{ sub(/@.*/, \"\", $8); print $8, ($7 == \"UND\" ? \"U\" : \"D\"), $3 }' | LC_ALL=C sort";
static const char needed_by_readelf[] =
    "readelf -d -W '%s' | sed -n 's/.*(NEEDED).*\\[\\(.*\\)\\].*/\\1/p' | LC_ALL=C sort";

static char *output_of(const char *format, const char *file) {
  char command[2048], part[512];
  isc_sb b = {0};
  char *text;
  snprintf(command, sizeof command, format, file);
  FILE *f = popen(command, "r");
  cr_assert_not_null(f);
  while (fgets(part, sizeof part, f))
    isc_sb_add(&b, part);
  cr_assert_eq(pclose(f), 0);
  isc_assert_ok(isc_sb_finish(&b, &text));
  return text;
}

static int by_text(const void *a, const void *b) {
  return strcmp(*(char *const *)a, *(char *const *)b);
}

static char *sorted(char **lines, int64_t n) {
  isc_sb b = {0};
  char *text;
  qsort(lines, (size_t)n, sizeof *lines, by_text);
  for (int64_t i = 0; i < n; i++) {
    isc_sb_addf(&b, "%s\n", lines[i]);
    free(lines[i]);
  }
  free(lines);
  isc_assert_ok(isc_sb_finish(&b, &text));
  return text;
}

static void agrees_with_readelf(const char *file) {
  isc_elf e;
  isc_assert_ok(isc_elf_open(file, &e));
  char **lines = calloc((size_t)e.n_symbols + 1, sizeof *lines);
  for (int64_t i = 0; i < e.n_symbols; i++)
    isc_assert_ok(isc_asprintf(&lines[i], "%s %c %llu", e.symbols[i].name,
                               e.symbols[i].defined ? 'D' : 'U',
                               (unsigned long long)e.symbols[i].size));
  char *ours = sorted(lines, e.n_symbols), *theirs = output_of(symbols_by_readelf, file);
  cr_assert(strlen(theirs) > 20 && strcmp(ours, theirs) == 0, "%s\nours:\n%s\nreadelf:\n%s", file,
            ours, theirs);
  free(ours);
  free(theirs);
  lines = calloc((size_t)e.n_needed + 1, sizeof *lines);
  for (int64_t i = 0; i < e.n_needed; i++)
    isc_assert_ok(isc_strdup(e.needed[i], &lines[i]));
  ours = sorted(lines, e.n_needed);
  theirs = output_of(needed_by_readelf, file);
  cr_assert_str_eq(ours, theirs);
  cr_assert(e.n_needed > 0);
  free(ours);
  free(theirs);
  isc_elf_close(&e);
}

Test(elf, symbols_and_libraries_are_those_that_readelf_lists) {
  static const char *const files[] = {".libs/libinversescope.so", "kernels/.libs/backend_cpu.so",
                                      "plugins/.libs/prior_ioi.so"};
  if (system("command -v readelf >/dev/null && command -v awk >/dev/null") != 0)
    cr_skip_test("SKIPPED: needs readelf and awk");
  agrees_with_readelf(path);
  for (size_t i = 0; i < sizeof files / sizeof *files; i++)
    agrees_with_readelf(isc_test_build(files[i]));
}

Test(elf, a_plugin_exports_its_datum_and_runs_nothing_at_load) {
  isc_elf e;
  isc_assert_ok(isc_elf_open(isc_test_build("tests/fixtures/registry/.libs/fix_good.so"), &e));
  const isc_elf_symbol *s = isc_elf_find(&e, "isc_plugin_v1");
  cr_assert(s && s->defined && !s->function && s->size == 40);
  cr_assert_null(isc_elf_find(&e, "isc_plugin_v2"));
  const int64_t own = e.n_constructors; /* none, but a sanitizer adds one to each module */
  cr_assert_leq(own, 1);
  cr_assert(!e.text_relocations && !e.executable_stack);
  isc_elf_close(&e);
  isc_assert_ok(isc_elf_open(path, &e));
  cr_assert_eq(e.n_constructors, own + 1);
  isc_elf_close(&e);
}

/* ---- broken files */

/* Put `value` of `n` bytes at `at`, expect the reason, put the old bytes back. */
static void refuses(size_t at, uint64_t value, size_t n, const char *part) {
  write_at(at, &value, n);
  isc_assert_fails(read_it(), ISC_E_FORMAT, part);
  write_at(at, good + at, n);
}

#define HEADER(field, value, part)                                                                 \
  refuses(offsetof(Elf64_Ehdr, field), (value), sizeof((Elf64_Ehdr *)0)->field, part)

Test(elf, each_field_of_the_header_is_checked) {
  refuses(0, 0, 4, "no ELF file");
  refuses(EI_CLASS, ELFCLASS32, 1, "no 64-bit");
  refuses(EI_DATA, ELFDATA2MSB, 1, "no little-endian");
  refuses(EI_VERSION, 9, 1, "malformed");
  HEADER(e_machine, EM_S390, "is built for s390, this machine is");
  HEADER(e_machine, 60000, "is built for machine 60000");
  HEADER(e_type, ET_REL, "no shared object");
  HEADER(e_type, ET_CORE, "no shared object");
  HEADER(e_version, 0, "malformed");
  HEADER(e_phentsize, 1, "malformed");
  HEADER(e_phnum, 0, "malformed");
  HEADER(e_phnum, 0xffff, "malformed");
  HEADER(e_phnum, 4000, "program headers");
  HEADER(e_phoff, size, "program headers");
  HEADER(e_phoff, UINT64_MAX - 8, "program headers");
  HEADER(e_shoff, size - 8, "section headers");
  HEADER(e_shoff, UINT64_MAX, "section headers");
  isc_assert_ok(read_it());
}

static const Elf64_Phdr *segment(uint32_t type, size_t *at) {
  const Elf64_Ehdr *h = (const void *)good;
  for (int i = 0; i < h->e_phnum; i++) {
    *at = h->e_phoff + (size_t)i * sizeof(Elf64_Phdr);
    const Elf64_Phdr *s = (const void *)(good + *at);
    if (s->p_type == type) return s;
  }
  cr_assert_fail("the fixture has no segment of type %u", type);
  return NULL;
}

#define SEGMENT(type, field, value, part)                                                          \
  do {                                                                                             \
    size_t at_;                                                                                    \
    segment(type, &at_);                                                                           \
    refuses(at_ + offsetof(Elf64_Phdr, field), (value), sizeof((Elf64_Phdr *)0)->field, part);     \
  } while (0)

Test(elf, each_segment_must_lie_in_the_file) {
  SEGMENT(PT_LOAD, p_offset, size + 1, "one of its segments");
  SEGMENT(PT_LOAD, p_offset, UINT64_MAX, "one of its segments");
  SEGMENT(PT_LOAD, p_filesz, size + 1, "one of its segments");
  SEGMENT(PT_LOAD, p_filesz, UINT64_MAX, "one of its segments");
  SEGMENT(PT_LOAD, p_vaddr, UINT64_MAX - 4, "addresses");
  SEGMENT(PT_LOAD, p_memsz, 1, "addresses");
  SEGMENT(PT_DYNAMIC, p_offset, UINT64_MAX, "one of its segments");
  SEGMENT(PT_DYNAMIC, p_type, PT_NOTE, "no dynamic section");
}

/* The file offset of the value of a dynamic entry. */
static size_t dynamic(int64_t tag) {
  size_t at;
  const Elf64_Phdr *s = segment(PT_DYNAMIC, &at);
  for (size_t i = 0; i < s->p_filesz / sizeof(Elf64_Dyn); i++) {
    at = s->p_offset + i * sizeof(Elf64_Dyn);
    if (((const Elf64_Dyn *)(const void *)(good + at))->d_tag == tag)
      return at + offsetof(Elf64_Dyn, d_un);
  }
  cr_assert_fail("the fixture has no dynamic entry %lld", (long long)tag);
  return 0;
}

static uint64_t value_at(size_t at) {
  uint64_t v;
  memcpy(&v, good + at, sizeof v);
  return v;
}

Test(elf, each_dynamic_table_must_lie_in_a_segment) {
  refuses(dynamic(DT_SYMTAB), UINT64_MAX - 8, 8, "damaged");
  refuses(dynamic(DT_SYMTAB), 0, 8, "malformed");
  refuses(dynamic(DT_SYMENT), 16, 8, "malformed");
  refuses(dynamic(DT_STRTAB), 1ull << 40, 8, "names");
  refuses(dynamic(DT_STRSZ), UINT64_MAX, 8, "names");
  refuses(dynamic(DT_STRSZ), 1, 8, "a name lies outside");
  refuses(dynamic(DT_STRSZ), value_at(dynamic(DT_STRSZ)) - 1, 8, "no end");
  refuses(dynamic(DT_NEEDED), UINT64_MAX, 8, "a name lies outside");
  refuses(dynamic(DT_GNU_HASH), UINT64_MAX - 2, 8, "hash table");
}

/* The first segment of a module starts at address and offset 0, so addresses in it are offsets. */
Test(elf, a_hash_table_cannot_ask_for_more_than_there_is) {
  const size_t table = value_at(dynamic(DT_GNU_HASH));
  refuses(table, UINT32_MAX, 4, "malformed");
  refuses(table, 1 << 20, 4, "hash table");
  refuses(table + 4, UINT32_MAX, 4, "malformed");
  refuses(table + 8, UINT32_MAX, 4, "malformed");
}

Test(elf, a_file_cut_anywhere_is_refused) {
  for (size_t k = 0; k < 200; k++) {
    const size_t len = k < 70 ? k : size - 1 - (200 - 1 - k) * (size / 140);
    cr_assert_eq(ftruncate(fd, (off_t)len), 0);
    cr_assert_eq(read_it(), ISC_E_FORMAT, "%zu of %zu bytes", len, size);
  }
  write_at(0, good, size);
  isc_assert_ok(read_it());
}

/* Extreme values in every aligned word of the header, the program headers and the dynamic section. */
static void bend_region(size_t from, size_t to) {
  static const uint64_t values[] = {0,          1,         0x7f,       0xffff,         0x7fffffff,
                                    0xffffffff, INT64_MAX, UINT64_MAX, UINT64_MAX - 15};
  for (size_t at = from; at + 8 <= to; at += 4)
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
      for (size_t n = 2; n <= 8; n *= 2) {
        write_at(at, &values[i], n);
        isc_status st = read_it();
        cr_assert(st == ISC_OK || st == ISC_E_FORMAT, "byte %zu: %s", at, isc_error());
        write_at(at, good + at, n);
      }
}

Test(elf, no_extreme_value_harms_the_reader) {
  size_t unused;
  const Elf64_Ehdr *h = (const void *)good;
  const Elf64_Phdr *d = segment(PT_DYNAMIC, &unused);
  bend_region(EI_NIDENT, sizeof *h);
  bend_region(h->e_phoff, h->e_phoff + h->e_phnum * sizeof(Elf64_Phdr));
  bend_region(d->p_offset, d->p_offset + d->p_filesz);
}

Test(elf, no_damage_harms_the_reader) {
  enum { SEED = 20240611, ROUNDS = 4000, START = 4096 };
  int64_t refused = 0;
  for (uint64_t i = 0; i < ROUNDS; i++) {
    isc_rng r = isc_rng_at(SEED, ISC_RNG_USER, i);
    uint64_t flips = 1 + isc_rng_below(&r, 8);
    size_t reach = isc_rng_below(&r, 4) && size > START ? START : size, at[8];
    for (uint64_t k = 0; k < flips; k++) {
      at[k] = isc_rng_below(&r, reach);
      unsigned char bent = (unsigned char)good[at[k]] ^ (unsigned char)(1 + isc_rng_below(&r, 255));
      write_at(at[k], &bent, 1);
    }
    isc_status st = read_it();
    cr_assert(st == ISC_OK || st == ISC_E_FORMAT, "seed %d, round %llu: %s", SEED,
              (unsigned long long)i, isc_error());
    refused += st != ISC_OK;
    for (uint64_t k = 0; k < flips; k++)
      write_at(at[k], good + at[k], 1);
  }
  /* Most flips hit code or padding, which the reader does not look at. */
  cr_assert(refused > ROUNDS / 50 && refused < ROUNDS, "%lld refused", (long long)refused);
}

Test(elf, failing_allocations_are_errors) {
  isc_assert_ok(read_it());
  for (int64_t k = 1; k < 100; k++) {
    isc_alloc_fail_at(k);
    isc_status st = read_it();
    isc_alloc_fail_at(0);
    if (st == ISC_OK) {
      cr_assert_gt(k, 5);
      return;
    }
    cr_assert_eq(st, ISC_E_NOMEM);
  }
  cr_assert_fail("reading a file of %zu bytes takes a hundred allocations", size);
}
