/* SPDX-License-Identifier: Apache-2.0
 *
 * See counting_texts.h.
 */
#include "counting_texts.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- how many there are */

/* a·b for a, b ≥ 0; −1 when it or a factor has more than 63 bits. */
static int64_t times(int64_t a, int64_t b) {
  if (a < 0 || b < 0) return -1;
  return a > 0 && b > INT64_MAX / a ? -1 : a * b;
}

/* n over k, 0 ≤ k ≤ n ≤ 60 = 3·COUNTING_MOST: below 2^57, and no product on the way is more than 30 times that. */
static int64_t choose(int n, int k) {
  int64_t c = 1;
  if (k > n - k) k = n - k;
  for (int i = 1; i <= k; i++)
    c = c * (n - k + i) / i;
  return c;
}

int64_t counting_arrangements(const int count[3]) {
  const int rest = count[1] + count[2];
  return times(choose(count[0] + rest, count[0]), choose(rest, count[1]));
}

static void counts_of(const counting_texts *t, int64_t cell, int count[3]) {
  const int64_t n = t->max - t->min + 1;
  count[0] = (int)(t->min + cell / (n * n));
  count[1] = (int)(t->min + cell / n % n);
  count[2] = (int)(t->min + cell % n);
}

static int64_t cell_of(const counting_texts *t, const int count[3]) {
  const int64_t n = t->max - t->min + 1;
  return ((count[0] - t->min) * n + count[1] - t->min) * n + count[2] - t->min;
}

static isc_status too_many(const counting_texts *t) {
  return isc_fail(ISC_E_CONFIG,
                  "counts of %" PRId64 " … %" PRId64 " of %" PRId64
                  " letters make more than 2^63 texts; lower max",
                  t->min, t->max, t->n_letters);
}

isc_status counting_texts_number(counting_texts *t) {
  const int64_t n = t->n_letters, range = t->max - t->min + 1;
  t->sets = n * (n - 1) * (n - 2) / 6;
  t->cells = range * range * range;
  t->before = calloc((size_t)t->cells + 1, sizeof *t->before);
  if (!t->before) return isc_fail(ISC_E_NOMEM, "no memory for %" PRId64 " triples", t->cells);
  for (int64_t c = 0; c < t->cells; c++) {
    int count[3];
    counts_of(t, c, count);
    const int64_t more = counting_arrangements(count);
    if (more < 0 || more > INT64_MAX - t->before[c]) return too_many(t);
    t->before[c + 1] = t->before[c] + more;
  }
  t->words = t->before[t->cells];
  t->support = times(times(t->sets, 3), t->words);
  return t->support < 0 ? too_many(t) : ISC_OK;
}

void counting_texts_free(counting_texts *t) {
  free(t->before);
  t->before = NULL;
}

/* ---- sets of letters, in lexicographic order */

static int64_t set_of(const counting_texts *t, const int letter[3]) {
  const int n = (int)t->n_letters;
  int64_t set = 0;
  for (int a = 0; a < letter[0]; a++)
    set += choose(n - 1 - a, 2);
  for (int b = letter[0] + 1; b < letter[1]; b++)
    set += n - 1 - b;
  return set + letter[2] - letter[1] - 1;
}

static void letters_of(const counting_texts *t, int64_t set, int letter[3]) {
  const int n = (int)t->n_letters;
  int a = 0, b;
  for (; set >= choose(n - 1 - a, 2); a++)
    set -= choose(n - 1 - a, 2);
  for (b = a + 1; set >= n - 1 - b; b++)
    set -= n - 1 - b;
  letter[0] = a;
  letter[1] = b;
  letter[2] = b + 1 + (int)set;
}

/* ---- numbers */

/* The last cell that begins at or before this word. */
static int64_t cell_at(const counting_texts *t, int64_t word) {
  int64_t low = 0, high = t->cells - 1;
  while (low < high) {
    const int64_t middle = (low + high + 1) / 2;
    if (t->before[middle] <= word)
      low = middle;
    else
      high = middle - 1;
  }
  return low;
}

counting_parts counting_parts_at(const counting_texts *t, int64_t i) {
  counting_parts p;
  const int64_t word = i % t->words, cell = cell_at(t, word);
  letters_of(t, i / t->words / 3, p.letter);
  p.asked = (int)(i / t->words % 3);
  counts_of(t, cell, p.count);
  p.rank = word - t->before[cell];
  return p;
}

int64_t counting_number(const counting_texts *t, const counting_parts *p) {
  return (set_of(t, p->letter) * 3 + p->asked) * t->words + t->before[cell_of(t, p->count)] +
         p->rank;
}

/* ---- texts */

/* Arrangements of what is left that begin with letter k. */
static int64_t beginning_with(int left[3], int k) {
  if (left[k] == 0) return 0;
  left[k]--;
  const int64_t n = counting_arrangements(left);
  left[k]++;
  return n;
}

isc_status counting_write(const counting_texts *t, counting_parts p, isc_text *out) {
  char text[3 * COUNTING_MOST + 3];
  const char asked = t->letter[p.letter[p.asked]][0];
  int n = 0;
  for (int left = p.count[0] + p.count[1] + p.count[2]; left > 0; left--) {
    int k = 0;
    for (int64_t here = beginning_with(p.count, 0); p.rank >= here;
         here = beginning_with(p.count, k)) {
      p.rank -= here;
      k++;
    }
    p.count[k]--;
    text[n++] = t->letter[p.letter[k]][0];
  }
  text[n++] = '|';
  text[n++] = asked;
  text[n++] = ':';
  return isc_text_set(out, text, (size_t)n);
}

static int letter_at(const counting_texts *t, char c) {
  for (int k = 0; k < t->n_letters; k++)
    if (t->letter[k][0] == c) return k;
  return -1;
}

/* How often each letter of the alphabet comes; false when something else does. */
static bool tally(const counting_texts *t, const char *word, size_t len,
                  int often[COUNTING_LETTERS]) {
  memset(often, 0, COUNTING_LETTERS * sizeof *often);
  for (size_t i = 0; i < len; i++) {
    const int k = letter_at(t, word[i]);
    if (k < 0) return false;
    often[k]++;
  }
  return true;
}

static int64_t rank_of(const counting_texts *t, const char *word, size_t len,
                       const counting_parts *p) {
  int left[3] = {p->count[0], p->count[1], p->count[2]};
  int64_t rank = 0;
  for (size_t i = 0; i < len; i++) {
    int k = 0;
    for (; t->letter[p->letter[k]][0] != word[i]; k++)
      rank += beginning_with(left, k);
    left[k]--;
  }
  return rank;
}

bool counting_read(const counting_texts *t, const char *text, size_t len, counting_parts *out) {
  int often[COUNTING_LETTERS], n = 0;
  if (len < 6 || len > 3 * (size_t)t->max + 3) return false;
  const size_t word = len - 3;
  if (text[word] != '|' || text[word + 2] != ':' || !tally(t, text, word, often)) return false;
  out->asked = -1;
  for (int k = 0; k < t->n_letters; k++) {
    if (often[k] == 0) continue;
    if (n == 3 || often[k] < t->min || often[k] > t->max) return false;
    if (t->letter[k][0] == text[word + 1]) out->asked = n;
    out->letter[n] = k;
    out->count[n++] = often[k];
  }
  if (n < 3 || out->asked < 0) return false;
  out->rank = rank_of(t, text, word, out);
  return true;
}
