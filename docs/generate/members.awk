# SPDX-License-Identifier: Apache-2.0
#
# Takes a struct apart: its members and the comment of each, grouped as declarations are (headers.awk).
#
# members(s) leaves, for i = 1 … member_count: member_text[i], member_name[i], member_comment[i] (its own or, where
# member_shares[i], that of the group it is in), member_shares[i].

function add_member(s, about, shares,    t, c) {
  t = code_of(s)
  gsub(/[ \t\n]+/, " ", t); sub(/^ /, "", t); sub(/ $/, "", t)
  member_text[++member_count] = t
  c = t
  if (c ~ /\(\*/) { sub(/^[^(]*\(\*/, "", c); sub(/[()].*/, "", c) }
  else { sub(/ ?(\[|;).*/, "", c); sub(/^.*[ *]/, "", c) }
  member_name[member_count] = c
  t = trailing_of(s)
  member_comment[member_count] = t != "" ? t : about
  member_shares[member_count] = t != "" ? 0 : shares
}

function members(s,    n, i, part, buf, about, used, o, c, t) {
  member_count = 0
  n = split(s, part, "\n")
  about = ""; buf = ""; used = 0
  for (i = 2; i < n; i++) {
    if (buf == "" && part[i] ~ /^[ \t]*$/) { about = ""; used = 0; continue }
    buf = buf == "" ? part[i] : buf "\n" part[i]
    t = buf; o = gsub(/\/\*/, "", t); c = gsub(/\*\//, "", t)
    if (o != c) continue
    t = code_of(buf)
    if (t ~ /^[ \t\n]*$/) { about = bare(buf); used = 0; buf = ""; continue }
    if (t !~ /;[ \t\n]*$/) continue
    add_member(buf, about, used)
    used = about != ""
    buf = ""
  }
}
