#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Write core/model/unicode_canonical.c: canonical combining classes, decompositions and compositions.

    pip install unicodedata2==16.0.0 tokenizers==0.23
    python tests/golden/unicode_canonical.py > core/model/unicode_canonical.c
    python tests/golden/unicode_canonical.py test      the hashes of tests/test_text_compose.c

Run by hand. The tokenizers library normalises by an old Unicode (9) whatever version the rest of it follows, and ids must be its
ids, so what it does not know is left out: a mark that it does not reorder, a character that it does not take apart. What is
known never changes between versions of Unicode.
"""
import sys

import unicodedata2 as u
from tokenizers.normalizers import NFC, NFD

assert u.unidata_version == "16.0.0"
nfc, nfd = NFC().normalize_str, NFD().normalize_str
IOTA_BELOW, OVERLAY = "\u0345", "\u0334"  # of the classes 240 and 1
HANGUL = range(0xAC00, 0xD7A4)
points = [c for c in range(1, 0x110000) if not 0xD800 <= c < 0xE000 and c not in HANGUL]


def fnv(text, h):
    for byte in text.encode() + b"\n":
        h = (h ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return h


# What the library makes of every character, alone and among marks, and of sequences of characters that go together.
def print_hashes():
    start, planes = 0xCBF29CE484222325, [0xCBF29CE484222325] * 17
    for c in range(1, 0x110000):
        if not 0xD800 <= c < 0xE000:
            planes[c >> 16] = fnv(nfc(chr(c)) + nfc("a" + IOTA_BELOW + chr(c) + OVERLAY + "\u0301"), planes[c >> 16])
    print(", ".join("0x%x" % h for h in planes))
    ranges = [(0x41, 0x5A), (0x300, 0x36F), (0x1100, 0x11FF), (0xAC00, 0xAC3F), (0x900, 0xDFF), (0x1E00, 0x1FFF), (0x591, 0x6DC)]
    state, h = 1, start
    for i in range(20000):
        text = ""
        for k in range(i % 60):
            state = (state * 6364136223846793005 + 1442695040888963407) & 0xFFFFFFFFFFFFFFFF
            first, last = ranges[(state >> 60) % 7]
            text += chr(first + (state >> 33 & 0xFFFF) % (last - first + 1))
        h = fnv(nfc(text), h)
    print("0x%x" % h)


if len(sys.argv) > 1:
    print_hashes()
    sys.exit()


def known_class(c):
    s = chr(c)
    k = u.combining(s)
    after, before = "a" + IOTA_BELOW + s, "a" + s + OVERLAY
    moves = nfd(after) == u.normalize("NFD", after) and nfd(before) == u.normalize("NFD", before)
    return k if moves else 0


def known_parts(c):
    s = chr(c)
    parts = u.decomposition(s)
    if not parts or parts[0] == "<" or nfd(s) == s:
        return None
    assert nfd(s) == u.normalize("NFD", s), hex(c)
    return ([int(p, 16) for p in parts.split()] + [0])[:2]


runs, last, rows = [], 0, []
for c in points:
    k = known_class(c)
    if k != last:
        runs.append(c << 8 | k)
        last = k
for c in points:
    parts = known_parts(c)
    if parts:
        composes = parts[1] != 0 and nfc("".join(map(chr, parts))) == chr(c)
        assert composes == (parts[1] != 0 and u.normalize("NFC", chr(c)) == chr(c)), hex(c)
        rows.append((c, parts[0], parts[1], composes))
pairs = sorted((a, b, i) for i, (c, a, b, composes) in enumerate(rows) if composes)


def table(items, n):
    for i in range(0, len(items), n):
        print("  " + ",".join(items[i:i + n]) + ",")


print("""/* SPDX-License-Identifier: Apache-2.0
 *
 * Canonical combining classes, decompositions and compositions of Unicode 9. Made by tests/golden/unicode_canonical.py.
 *
 * The version is that of the library by which published models cut their texts, not the newest.
 */
#include "model/unicode_canonical.h"

/* clang-format off */
const uint32_t isc_combining_runs[] = {""")
table(["0x%x" % r for r in runs], 12)
print("};\nconst isc_canonical_parts isc_canonical[] = {")
table(["{0x%x,0x%x,0x%x}" % r[:3] for r in rows], 5)
print("};\nconst uint16_t isc_canonical_pairs[] = {")
table(["%d" % p[2] for p in pairs], 20)
print("""};
/* clang-format on */
const size_t isc_n_combining_runs = sizeof isc_combining_runs / sizeof *isc_combining_runs;
const size_t isc_n_canonical = sizeof isc_canonical / sizeof *isc_canonical;
const size_t isc_n_canonical_pairs = sizeof isc_canonical_pairs / sizeof *isc_canonical_pairs;""")
