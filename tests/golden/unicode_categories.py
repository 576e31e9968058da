#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Write core/model/unicode_categories.c: the general category of every code point of Unicode 16.

    pip install unicodedata2==16.0.0
    python tests/golden/unicode_categories.py > core/model/unicode_categories.c

Run by hand; the version is the one of the tokenizers library (0.23) that the tests compare with.
"""
import unicodedata2

NAMES = ["Cc", "Cf", "Cn", "Co", "Cs", "Ll", "Lm", "Lo", "Lt", "Lu", "Mc", "Me", "Mn", "Nd", "Nl", "No",
         "Pc", "Pd", "Pe", "Pf", "Pi", "Po", "Ps", "Sc", "Sk", "Sm", "So", "Zl", "Zp", "Zs"]

assert unicodedata2.unidata_version == "16.0.0"
runs, last = [], None
for cp in range(0x110000):
    category = unicodedata2.category(chr(cp))
    if category != last:
        runs.append(cp << 5 | NAMES.index(category))
        last = category

print("""/* SPDX-License-Identifier: Apache-2.0
 *
 * The general category of every code point of Unicode 16, as runs. Made by tests/golden/unicode_categories.py.
 *
 * Of its own, because which ids a text gets must not depend on the Unicode version of a library of the machine.
 */
#include "model/unicode_categories.h"
#include <string.h>

/* clang-format off */
static const char names[ISC_CATEGORIES][3] = {""")
for i in range(0, len(NAMES), 10):
    print("  " + ", ".join('"%s"' % n for n in NAMES[i:i + 10]) + ",")
print("};\n\nconst uint32_t isc_category_runs[] = {")
for i in range(0, len(runs), 10):
    print("  " + ",".join("0x%x" % r for r in runs[i:i + 10]) + ",")
print("""};
/* clang-format on */
const size_t isc_n_category_runs = sizeof isc_category_runs / sizeof *isc_category_runs;

uint32_t isc_category_mask(const char *name, size_t len) {
  uint32_t mask = 0;
  for (unsigned i = 0; i < ISC_CATEGORIES; i++)
    if ((len == 1 || len == 2) && memcmp(names[i], name, len) == 0) mask |= 1u << i;
  return mask;
}""")
