# SPDX-License-Identifier: Apache-2.0
#
# One header as a part of a documentation page. After headers.awk, members.awk and prose.awk.
#
# Variables: part = "head" (the comment at the top), "ops" (the ops table, a section a member) or "rest" (all other
# declarations); level = number of the heading above.

function hashes(n,    s) { while (n-- > 0) s = s "#"; return s }

# C as it is read: without the marks of the linker.
function plain(s,    n, i, line_of, out) {
  n = split(s, line_of, "\n")
  for (i = 1; i <= n; i++) {
    if (i > 1 && s ~ /^ISC_API /) sub(/^        /, "", line_of[i])
    out = out (i > 1 ? "\n" : "") line_of[i]
  }
  sub(/^ISC_API /, "", out)
  return out
}

# A phrase beside a declaration as the sentence that it is below it.
function sentence(s) {
  if (s !~ /^[a-z]+ [a-z]/ || s ~ /\n/) return s
  return toupper(substr(s, 1, 1)) substr(s, 2) (s ~ /[.!?:;]$/ ? "" : ".")
}

function print_members(s,    i, j, k) {
  members(s)
  for (i = 1; i <= member_count; i = j) {
    if (member_name[i] == "size") { j = i + 1; continue }
    for (j = i + 1; j <= member_count && member_shares[j]; j++) ;
    printf "%s", hashes(level + 1)
    for (k = i; k < j; k++) printf("%s %s", (k > i ? "," : ""), member_name[k])
    printf "\n\n```c\n"
    for (k = i; k < j; k++) print member_text[k]
    print "```\n"
    print prose(sentence(member_comment[i]))
  }
}

function is_ops(g) { return from[g] == to[g] && name[from[g]] ~ /_ops$/ && what[from[g]] == "struct" }

function print_group(g,    d, anchors) {
  anchored[name[from[g]]] = 1
  printf "%s %s\n\n", hashes(level + (sectioned ? 2 : 1)), name[from[g]]
  for (d = from[g] + 1; d <= to[g]; d++)
    if (!anchored[name[d]]++) anchors = anchors "<a id=\"" name[d] "\"></a>"
  if (anchors != "") print anchors "\n"
  print "```c"
  for (d = from[g]; d <= to[g]; d++) print plain(text[d])
  print "```\n"
  if (comment[g] != "") print prose(comment[g])
}

END {
  if (part == "head") { print prose(head); exit }
  for (g = 1; g <= groups; g++) {
    if (part == "ops" && is_ops(g)) { print prose(comment[g]); print_members(text[from[g]]) }
    if (part != "rest") continue
    if (section[g] != "") { printf "%s %s\n\n", hashes(level + 1), section[g]; sectioned = 1 }
    if (from[g] > to[g]) { if (comment[g] != "") print prose(comment[g]); continue }
    if (!is_ops(g)) print_group(g)
  }
}
