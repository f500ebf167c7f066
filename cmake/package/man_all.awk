# Reads what `moire --help` prints: moire(1), which names the pages of the subcommands. -v version=VERSION.
function prose(text,   n, part, i, out) {
  gsub(/-/, "\\-", text)
  n = split(text, part, "`")
  for (i = 1; i <= n; i++) out = out (i % 2 ? part[i] : "\\fB" part[i] "\\fR")
  return out
}
BEGIN {
  printf ".TH MOIRE 1 \"\" \"moire %s\" \"Moire\"\n.SH NAME\n", version
  print "moire \\- compiles, trains and runs neural networks with complex values"
}
/^usage: / {
  sub(/^usage: moire */, "")
  print ".SH SYNOPSIS\n\\fBmoire\\fR " $0 "\n.br\n\\fBmoire \\-\\-help\\fR | \\fB\\-\\-version\\fR\n.SH SUBCOMMANDS"
  next
}
/^  [a-z]/ {
  name = $1
  sub(/^ +[a-z]+ +/, "")
  printf ".TP\n\\fBmoire\\-%s\\fR(1)\n%s\n", name, prose($0)
  next
}
/./ { rest = rest prose($0) "\n" }
END { printf ".SH NOTES\n%s", rest }
