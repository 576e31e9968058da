# SPDX-License-Identifier: Apache-2.0
#
# roff source in ASCII: every other character by its number, so that no formatter has to guess the encoding.
# Run with LC_ALL=C.

BEGIN { for (i = 128; i < 256; i++) byte[sprintf("%c", i)] = i }

{
  out = ""
  for (i = 1; i <= length($0); i++) {
    c = substr($0, i, 1)
    b = byte[c]
    if (!b) { out = out c; continue }
    more = b >= 240 ? 3 : b >= 224 ? 2 : 1
    code = b - (more == 3 ? 240 : more == 2 ? 224 : 192)
    while (more-- > 0) code = code * 64 + byte[substr($0, ++i, 1)] - 128
    out = out sprintf("\\[u%04X]", code)
  }
  print out
}
