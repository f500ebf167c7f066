# Reads what `moire SUBCOMMAND --help` prints with ARGP_HELP_FMT=opt-doc-col=60,rmargin=9999,no-dup-args-note and calls, in
# its order: usage(ARGUMENTS), purpose(TEXT), group(TEXT), option(SHORT, LONG, VALUE, TEXT), note(TEXT), and
# at the end done(). SHORT is
# "o" or "", VALUE is "" for an option that takes none. The script beside this one defines them.
function read_option(line,   at, names, text, short, value) {
  at = match(line, /   +[^ -]/) # also a name that is longer than its column has three spaces behind it
  names = at ? substr(line, 1, at - 1) : line
  text = at ? substr(line, at + RLENGTH - 1) : ""
  sub(/ +$/, "", names)
  short = ""
  if (match(names, /^-[^-], /)) {
    short = substr(names, 2, 1)
    names = substr(names, RLENGTH + 1)
  }
  at = index(names, "=")
  value = at ? substr(names, at + 1) : ""
  option(short, at ? substr(names, 3, at - 3) : substr(names, 3), value, text)
}
/^(Usage:|  or: ) +moire / {
  sub(/^.*: +moire [a-z]+ */, "")
  usage($0)
  next
}
/^ +-/ {
  sub(/^ +/, "")
  read_option($0)
  n_options++
  next
}
/^ *$/ { next }
/^ / {
  sub(/^ +/, "")
  group($0)
  next
}
n_options { note($0) }
!n_options { purpose($0) }
END { done() }
