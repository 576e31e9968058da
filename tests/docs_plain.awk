# SPDX-License-Identifier: Apache-2.0
#
# The text of a man page's source, for tests: escapes undone, requests left in their lines.
# Run with LC_ALL=C.

function utf8(hex,    i, v) {
  for (i = 1; i <= length(hex); i++) v = v * 16 + index("0123456789ABCDEF", substr(hex, i, 1)) - 1
  if (v < 2048) return sprintf("%c%c", 192 + int(v / 64), 128 + v % 64)
  return sprintf("%c%c%c", 224 + int(v / 4096), 128 + int(v / 64) % 64, 128 + v % 64)
}

{
  out = ""
  gsub(/\\f[BIR]/, ""); gsub(/\\&/, ""); gsub(/\\-/, "-"); gsub(/\\\(dq/, "\"")
  while (match($0, /\\\[u[0-9A-F]+\]/)) {
    out = out substr($0, 1, RSTART - 1) utf8(substr($0, RSTART + 3, RLENGTH - 4))
    $0 = substr($0, RSTART + RLENGTH)
  }
  $0 = out $0
  gsub(/\\e/, "\\")
  print
}
