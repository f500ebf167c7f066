# With help.awk: the page of man of the subcommand -v name=NAME -v summary=TEXT -v version=VERSION.
function quote(text) {
  gsub(/\\/, "\\e", text)
  gsub(/-/, "\\-", text)
  return text ~ /^['.]/ ? "\\&" text : text
}
# Words between back quotes are bold.
function prose(text,   n, part, i, out) {
  n = split(quote(text), part, "`")
  for (i = 1; i <= n; i++) out = out (i % 2 ? part[i] : "\\fB" part[i] "\\fR")
  return out
}
function usage(text) {
  if (!n_usages++) {
    printf ".TH MOIRE\\-%s 1 \"\" \"moire %s\" \"Moire\"\n", toupper(name), version
    printf ".SH NAME\nmoire\\-%s \\- %s\n.SH SYNOPSIS\n", name, prose(summary)
  } else print ".br"
  printf "\\fBmoire %s\\fR %s\n", name, quote(text)
}
function purpose(text) { print ".SH DESCRIPTION\n" prose(text) }
function option(short, long, value, text) {
  if (!n_listed++) print ".SH OPTIONS"
  printf ".TP\n%s\\fB\\-\\-%s\\fR%s\n%s\n", short ? "\\fB\\-" short "\\fR, " : "", quote(long),
    value ? "=\\fI" quote(value) "\\fR" : "", prose(text)
}
function group(text) {
  if (!n_listed++) print ".SH OPTIONS"
  print ".SS " prose(text)
}
function note(text) { print (n_notes++ ? ".PP\n" : ".SH NOTES\n") prose(text) }
function done() { print ".SH SEE ALSO\n\\fBmoire\\fR(1)" }
