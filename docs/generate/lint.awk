# SPDX-License-Identifier: Apache-2.0
#
# What a public header leaves undocumented, a line each: declarations, members of ops tables, a thread rule.
# After headers.awk and members.awk; one header at a time.

function problem(n, s) { printf "%s:%d: %s\n", FILENAME, n, s; bad = 1 }

END {
  if (head == "") problem(1, "the header has no comment that says what it is")
  threads = head ~ /thread/
  for (g = 1; g <= groups; g++) {
    for (d = from[g]; d <= to[g]; d++) {
      if (comment[g] == "" && trailing[d] == "") problem(line[d], name[d] " has no comment")
      if (what[d] == "function" && (comment[g] trailing[d]) !~ /[Tt]hread/) silent[++silents] = d
      if (name[d] !~ /_ops$/) continue
      members(text[d])
      for (m = 1; m <= member_count; m++)
        if (member_comment[m] == "" && member_name[m] != "size")
          problem(line[d], name[d] "." member_name[m] " has no comment")
    }
  }
  if (!threads && silents) problem(line[silent[1]], name[silent[1]] " has no thread rule, and neither has the header")
  exit bad
}
