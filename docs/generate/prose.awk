# SPDX-License-Identifier: Apache-2.0
#
# A comment as Markdown.
#
# Lines keep their breaks; those indented by two blanks or more are formulas and tables, which stay as they are.

# Marks that Markdown would take for its own, and our names as code. Text between backticks is left alone.
function inline(s,    n, i, part, out) {
  n = split(s, part, "`")
  for (i = 1; i <= n; i++) {
    if (i % 2) {
      gsub(/</, "\\&lt;", part[i])
      part[i] = starless(part[i])
      part[i] = named(part[i])
    }
    out = out (i > 1 ? "`" : "") part[i]
  }
  return out
}

# A star is a pointer's, unless two of them hold a phrase.
function starless(s,    out, a) {
  while ((a = index(s, "*")) > 0) {
    out = out substr(s, 1, a - 1)
    s = substr(s, a)
    if (match(s, /^\*[A-Z][A-Za-z ]*[a-z]\*/)) { out = out substr(s, 1, RLENGTH); s = substr(s, RLENGTH + 1) }
    else { out = out "\\*"; s = substr(s, 2) }
  }
  return out s
}

function named(s,    out, word) {
  while (match(s, /(^|[^A-Za-z0-9_\/])(isc_|ISC_)[A-Za-z0-9_]*[A-Za-z0-9](\(\))?/)) {
    word = substr(s, RSTART, RLENGTH)
    out = out substr(s, 1, RSTART - 1)
    if (word !~ /^[iI]/) { out = out substr(word, 1, 1); word = substr(word, 2) }
    out = out "`" word "`"
    s = substr(s, RSTART + RLENGTH)
  }
  return out s
}

function prose(s,    n, i, part, in_code, out, t) {
  n = split(s, part, "\n")
  for (i = 1; i <= n; i++) {
    if (part[i] ~ /^  / && !in_code) { out = out (i > 1 && part[i - 1] != "" ? "\n" : "") "```\n"; in_code = 1 }
    if (part[i] !~ /^  / && in_code) { out = out "```\n" (part[i] != "" ? "\n" : ""); in_code = 0 }
    if (in_code) { t = part[i]; sub(/^  /, "", t); sub(/^ /, "", t) }
    else { t = inline(part[i]); if (t ~ /^([-+#>]|[0-9]+[.)]) /) t = "\\" t }
    out = out t "\n"
  }
  return out (in_code ? "```\n" : "")
}
