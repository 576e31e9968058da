# SPDX-License-Identifier: Apache-2.0
#
# Reads a public header: its comments and what they are about.
#
# A group is a comment and the declarations that follow it without a blank line. Run with LC_ALL=C, so that text is
# bytes, and with header.awk's caller (page.awk or lint.awk) behind it, which finds at END of the file:
#   head                        the comment at the top, without its licence line
#   groups, and of group g:     comment[g], section[g] (a heading that stands before it), from[g] … to[g]
#   of declaration d:           text[d], name[d], what[d] (function, struct, enum, type, variable, macro), trailing[d],
#                               line[d]

# Text of a comment without its frame; lines keep their indentation beyond one blank.
function bare(s,    n, i, part, out) {
  sub(/^[ \t]*\/\*+ ?/, "", s); sub(/[ \t]*\*+\/[ \t]*$/, "", s)
  n = split(s, part, "\n")
  out = part[1]
  for (i = 2; i <= n; i++) { sub(/^[ \t]*\*? ?/, "", part[i]); out = out "\n" part[i] }
  sub(/^\n+/, "", out); sub(/[ \t\n]+$/, "", out)
  return out
}

# The text of C without its comments.
function code_of(s,    a, b, out) {
  while ((a = index(s, "/*")) > 0) {
    out = out substr(s, 1, a - 1)
    s = substr(s, a + 2)
    b = index(s, "*/")
    s = b ? substr(s, b + 2) : ""
  }
  return out s
}

# The comment that ends a declaration's last line.
function trailing_of(s,    a) {
  if (s !~ /\*\/[ \t]*$/) return ""
  for (a = length(s); a > 0 && substr(s, a, 2) != "/*"; a--) ;
  return code_of(substr(s, 1, a - 1)) ~ /;[ \t\n]*$/ ? bare(substr(s, a)) : ""
}

function classify(d,    s) {
  s = code_of(text[d])
  gsub(/[ \t\n]+/, " ", s); sub(/^ /, "", s)
  if (s ~ /^#define/) { what[d] = "macro"; sub(/^#define /, "", s); sub(/[^A-Za-z0-9_].*/, "", s) }
  else if (s ~ /^enum/) { what[d] = "enum"; sub(/^enum ?[{] ?/, "", s); sub(/[^A-Z0-9_].*/, "", s) }
  else if (s ~ /^typedef (enum|struct).*[{]/) {
    what[d] = s ~ /^typedef enum/ ? "enum" : "struct"
    sub(/^.*[}] ?/, "", s); sub(/ ?;.*/, "", s)
  }
  else if (s ~ /^typedef .*\(\*/) { what[d] = "type"; sub(/^[^(]*\(\*/, "", s); sub(/\).*/, "", s) }
  else if (s ~ /^typedef/) { what[d] = "type"; sub(/ ?;.*/, "", s); sub(/^.* \**/, "", s) }
  else if (s ~ /^(ISC_API|static).*\(/) { what[d] = "function"; sub(/\(.*/, "", s); sub(/^.*[ *]/, "", s) }
  else { what[d] = "variable"; sub(/ ?(\[|;|=).*/, "", s); sub(/^.*[ *]/, "", s) }
  name[d] = s
}

function end_group() { open_group = 0 }

function begin_group(about) {
  groups++
  comment[groups] = about
  section[groups] = pending_section
  pending_section = ""
  from[groups] = declarations + 1
  to[groups] = declarations
  open_group = 1
}

# "---- title. More." opens a section; what follows the title is a comment like any other.
function begin_section(s,    dot) {
  sub(/^---- */, "", s)
  dot = match(s, /\.[ \n]/)
  pending_section = dot ? substr(s, 1, dot - 1) : s
  end_group()
  if (dot) { s = substr(s, dot + 2); begin_group(s) }
}

function take_comment(s) {
  s = bare(s)
  if (!seen_head) { seen_head = 1; sub(/^SPDX[^\n]*\n+/, "", s); head = s; return }
  if (s ~ /^----/) begin_section(s)
  else { end_group(); begin_group(s) }
}

function take_declaration(s) {
  if (!open_group) begin_group("")
  text[++declarations] = s
  line[declarations] = started
  trailing[declarations] = trailing_of(s)
  to[groups] = declarations
  classify(declarations)
}

# Is the declaration in `buffer` whole?
function is_whole(    s, o, c) {
  s = buffer
  o = gsub(/\/\*/, "", s)
  c = gsub(/\*\//, "", s)
  if (o != c) return 0
  s = code_of(buffer)
  o = gsub(/[{]/, "", s)
  c = gsub(/[}]/, "", s)
  return o == c && (s ~ /;[ \t\n]*$/ || o > 0 && code_of(buffer) ~ /[}][ \t\n]*$/)
}

reading == "comment" {
  buffer = buffer "\n" $0
  if (index($0, "*/")) { reading = ""; take_comment(buffer) }
  next
}
reading == "macro" {
  buffer = buffer "\n" $0
  if ($0 !~ /\\$/) { reading = ""; take_declaration(buffer) }
  next
}
reading == "declaration" {
  buffer = buffer "\n" $0
  if (is_whole()) { reading = ""; take_declaration(buffer) }
  next
}
/^[ \t]*$/ { end_group(); next }
/^\/\*/ {
  buffer = $0; started = FNR
  if (index($0, "*/")) take_comment(buffer); else reading = "comment"
  next
}
/^#define ISC_[A-Z_]+_H$/ { next }
/^#define/ {
  buffer = $0; started = FNR
  if ($0 ~ /\\$/) reading = "macro"; else take_declaration(buffer)
  next
}
/^#/ || /^extern "C" [{]$/ || /^[}]$/ { next }
{
  buffer = $0; started = FNR
  if (is_whole()) take_declaration(buffer); else reading = "declaration"
}
