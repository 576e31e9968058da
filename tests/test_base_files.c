/* SPDX-License-Identifier: Apache-2.0
 *
 * Facts about files: whole reads, atomic writes, maps, directories, paths.
 *
 * Each test works in a fresh directory of its own. Write failures are real ones, made by the
 * process's file-size limit.
 */
#include <criterion/criterion.h>
#include "base/base.h"
#include <dirent.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[64];

static void enter(void) {
  strcpy(dir, "/tmp/isc-base-XXXXXX");
  cr_assert_not_null(mkdtemp(dir));
  cr_assert_eq(chdir(dir), 0);
}

static void leave(void) {
  char command[128];
  cr_assert_eq(chdir("/"), 0);
  snprintf(command, sizeof command, "rm -rf '%s'", dir);
  cr_assert_eq(system(command), 0);
}

static int entries(const char *path) {
  int n = 0;
  DIR *d = opendir(path);
  cr_assert_not_null(d);
  for (struct dirent *e; (e = readdir(d));)
    n += e->d_name[0] != '.';
  closedir(d);
  return n;
}

static void expect_content(const char *path, const char *want) {
  char *data;
  size_t len;
  cr_assert_eq(isc_read_file(path, 1 << 20, &data, &len), ISC_OK, "%s", isc_error());
  cr_assert_eq(len, strlen(want));
  cr_assert_str_eq(data, want);
  free(data);
}

TestSuite(files, .init = enter, .fini = leave);

Test(files, what_is_written_is_read_and_nothing_is_left_beside_it) {
  cr_assert_eq(isc_write_file("a", "hello", 5), ISC_OK);
  expect_content("a", "hello");
  cr_assert_eq(isc_write_file("a", "", 0), ISC_OK);
  expect_content("a", "");
  cr_assert_eq(entries("."), 1);
}

Test(files, reading_stops_at_the_limit) {
  char *data;
  size_t len;
  cr_assert_eq(isc_write_file("a", "12345", 5), ISC_OK);
  cr_assert_eq(isc_read_file("a", 5, &data, &len), ISC_OK);
  free(data);
  cr_assert_eq(isc_read_file("a", 4, &data, &len), ISC_E_FORMAT);
  cr_assert(strstr(isc_error(), "4 bytes"));
  /* a file without a size of its own */
  cr_assert_eq(isc_read_file("/dev/zero", 100000, &data, &len), ISC_E_FORMAT);
  cr_assert_eq(isc_read_file("/proc/self/status", 1 << 20, &data, &len), ISC_OK);
  cr_assert_gt(len, 10);
  free(data);
}

Test(files, missing_and_unreadable_are_told_apart) {
  char *data;
  size_t len;
  cr_assert_eq(isc_read_file("absent", 10, &data, &len), ISC_E_MISSING);
  cr_assert(strstr(isc_error(), "absent: cannot open"));
  cr_assert_eq(isc_read_file(".", 10, &data, &len), ISC_E_IO);
  cr_assert_eq(isc_write_file("no/such/dir", "x", 1), ISC_E_IO);
}

Test(files, a_write_that_fails_leaves_the_old_file) {
  char big[65536];
  memset(big, 'x', sizeof big);
  cr_assert_eq(isc_write_file("a", "old", 3), ISC_OK);
  signal(SIGXFSZ, SIG_IGN);
  cr_assert_eq(setrlimit(RLIMIT_FSIZE, &(struct rlimit){1000, 1000}), 0);
  cr_assert_eq(isc_write_file("a", big, sizeof big), ISC_E_IO);
  cr_assert(strstr(isc_error(), "a: cannot write"));
  cr_assert_eq(isc_write_file("b", big, 1100), ISC_E_IO, "the failure comes at the flush");
  expect_content("a", "old");
  cr_assert_eq(entries("."), 1);
}

Test(files, an_abandoned_write_leaves_the_old_file) {
  isc_atomic_file a;
  cr_assert_eq(isc_write_file("a", "old", 3), ISC_OK);
  cr_assert_eq(isc_atomic_open("a", &a), ISC_OK);
  fputs("new", a.f);
  isc_atomic_abandon(&a);
  isc_atomic_abandon(&a);
  expect_content("a", "old");
  cr_assert_eq(entries("."), 1);
}

Test(files, the_target_is_whole_until_the_commit) {
  isc_atomic_file a;
  cr_assert_eq(isc_write_file("a", "old", 3), ISC_OK);
  cr_assert_eq(isc_atomic_open("a", &a), ISC_OK);
  fputs("newer", a.f);
  fflush(a.f);
  expect_content("a", "old");
  cr_assert_eq(isc_atomic_commit(&a), ISC_OK);
  expect_content("a", "newer");
  isc_atomic_abandon(&a);
  expect_content("a", "newer");
}

Test(files, a_leftover_of_a_killed_run_is_reused) {
  cr_assert_eq(isc_write_file("a.tmp", "half of a longer text", 21), ISC_OK);
  cr_assert_eq(isc_write_file("a", "new", 3), ISC_OK);
  expect_content("a", "new");
  cr_assert_eq(entries("."), 1);
}

Test(files, a_second_writer_is_refused) {
  isc_atomic_file a, b;
  cr_assert_eq(isc_atomic_open("a", &a), ISC_OK);
  cr_assert_eq(isc_atomic_open("a", &b), ISC_E_IO);
  cr_assert(strstr(isc_error(), "another process"));
  isc_atomic_abandon(&b);
  fputs("first", a.f);
  cr_assert_eq(isc_atomic_commit(&a), ISC_OK);
  expect_content("a", "first");
}

Test(files, an_input_is_read_by_position_and_notices_a_cut) {
  isc_input in;
  char got[5];
  cr_assert_eq(isc_write_file("a", "hello", 5), ISC_OK);
  cr_assert_eq(isc_input_open("a", &in), ISC_OK);
  cr_assert_eq(in.size, 5);
  cr_assert_eq(isc_input_read(&in, 1, got, 3), ISC_OK);
  cr_assert_eq(memcmp(got, "ell", 3), 0);
  cr_assert_eq(isc_input_read(&in, 5, got, 0), ISC_OK);
  cr_assert_eq(isc_input_read(&in, 3, got, 3), ISC_E_FORMAT);
  cr_assert_eq(isc_input_read(&in, UINT64_MAX, got, 1), ISC_E_FORMAT);
  cr_assert_eq(isc_input_read(&in, 1, got, SIZE_MAX), ISC_E_FORMAT);
  cr_assert_eq(truncate("a", 2), 0);
  cr_assert_eq(isc_input_read(&in, 0, got, 2), ISC_OK);
  cr_assert_eq(isc_input_read(&in, 0, got, 3), ISC_E_IO);
  cr_assert(strstr(isc_error(), "from 5 to 2"));
  cr_assert_eq(isc_input_read(&in, 4, got, 1), ISC_E_IO);
  isc_input_close(&in);
  isc_input_close(&in);
}

Test(files, what_is_no_input_is_an_error) {
  isc_input in;
  cr_assert_eq(isc_input_open("absent", &in), ISC_E_MISSING);
  cr_assert_eq(isc_input_open(".", &in), ISC_E_IO);
  cr_assert_eq(isc_write_file("empty", "", 0), ISC_OK);
  cr_assert_eq(isc_input_open("empty", &in), ISC_E_FORMAT);
  cr_assert_eq(mkfifo("pipe", 0600), 0);
  cr_assert_eq(isc_input_open("pipe", &in), ISC_E_IO);
  isc_input_close(&in);
}

Test(files, directories_are_made_with_their_parents) {
  cr_assert_eq(isc_mkdirs("x/y//z/"), ISC_OK);
  cr_assert(isc_is_dir("x/y/z"));
  cr_assert_eq(isc_mkdirs("x/y"), ISC_OK);
  cr_assert_eq(isc_write_file("x/f", "", 0), ISC_OK);
  cr_assert(isc_exists("x/f") && !isc_is_dir("x/f") && !isc_exists("x/g"));
  cr_assert_eq(isc_mkdirs("x/f/g"), ISC_E_IO);
}

static void expect_path(isc_status st, char *got, const char *want) {
  cr_assert_eq(st, ISC_OK);
  cr_assert_str_eq(got, want);
  free(got);
}

Test(paths, join_and_dir) {
  static const char *const join[][3] = {
      {"a", "b", "a/b"}, {"a/", "b", "a/b"}, {"a", "/b", "/b"},
      {"", "b", "b"},    {"a", "", "a"},     {"/", "b", "/b"},
  };
  static const char *const parent[][2] = {
      {"a/b", "a"}, {"b", "."}, {"/b", "/"}, {"/", "/"}, {"a/b/", "a"}, {"a//b", "a"}, {"", "."},
  };
  char *p = NULL;
  for (size_t i = 0; i < sizeof join / sizeof *join; i++) {
    isc_status st = isc_path_join(join[i][0], join[i][1], &p);
    expect_path(st, p, join[i][2]);
  }
  for (size_t i = 0; i < sizeof parent / sizeof *parent; i++) {
    isc_status st = isc_path_dir(parent[i][0], &p);
    expect_path(st, p, parent[i][1]);
  }
}

Test(files, a_file_hashes_as_its_bytes) {
  isc_digest d;
  char hex[33];
  cr_assert_eq(isc_write_file("a", "ClickHouse", 10), ISC_OK);
  cr_assert_eq(isc_hash_file("a", &d), ISC_OK);
  isc_digest_hex(d, hex);
  cr_assert_str_eq(hex, "14c27b7bef95d36fecf5520ca2daf030"); /* ClickHouse's documented example */
  cr_assert_eq(isc_hash_file("absent", &d), ISC_E_MISSING);
  cr_assert_eq(isc_hash_file(".", &d), ISC_E_IO);
}
