# SPDX-License-Identifier: Apache-2.0
#
# The program's own help as mdoc: `inversescope COMMAND --help` on standard input, a subsection on standard output.
#
# The first line is the usage. Indented lines that begin with a word, two blanks or more and a text are entries of a
# list; lines indented further go on with the entry above; the rest is text.

function escaped(s) {
  gsub(/\\/, "\\e", s); gsub(/-/, "\\-", s)
  if (s ~ /^[.']/) s = "\\&" s
  return s
}

# roff wants a line for each sentence.
function text(s,    out) {
  s = escaped(s)
  while (match(s, /[.:] +[A-Z]/)) {
    if (substr(s, RSTART, 1) == ".") out = out substr(s, 1, RSTART) "\n"
    else out = out substr(s, 1, RSTART) " "
    s = substr(s, RSTART + RLENGTH - 1)
  }
  return out s
}

# Options bold, what stands for a value in italics; the rest as it is.
function styled(s,    out, w) {
  while (match(s, /[A-Za-z0-9_-]+/)) {
    out = out escaped(substr(s, 1, RSTART - 1))
    w = substr(s, RSTART, RLENGTH)
    if (w ~ /^-/) w = "\\fB" escaped(w) "\\fR"
    else if (w ~ /^[A-Z][A-Z0-9_-]*$/) w = "\\fI" escaped(w) "\\fR"
    out = out w
    s = substr(s, RSTART + RLENGTH)
  }
  return out s
}

function close_list() { if (in_list) print ".El"; in_list = 0 }

NR == 1 {
  sub(/^usage: inversescope /, "")
  command = $1
  print ".Ss " escaped(command)
  n = split($0, form, / \| /)
  for (i = 1; i <= n; i++) {
    rest = form[i]
    sub("^" command " *", "", rest)
    if (i > 1) print ".br"
    printf("\\fBinversescope %s\\fR %s\n", escaped(command), styled(rest))
  }
  next
}
/^[ \t]*$/ { close_list(); gap = 1; next }
/^ ? ? ?[^ ].*  +[^ ]/ && /^ / {
  if (!in_list) print ".Bl -tag -width Ds"
  in_list = 1
  match($0, /[^ ]  +/)
  tag = substr($0, 1, RSTART)
  rest = substr($0, RSTART + RLENGTH)
  sub(/^ +/, "", tag)
  print ".It " styled(tag)
  print text(rest)
  gap = 0
  next
}
/^    / && in_list { sub(/^ +/, ""); print text($0); next }
{
  close_list()
  sub(/^ +/, "")
  if (gap) print ".Pp"
  gap = 0
  print text($0)
}
END { close_list() }
