# With help.awk: the arguments of zsh's _arguments for the subcommand -v name=NAME.
function quote(text) {
  gsub(/\\/, "\\\\", text)
  gsub(/'/, "'\\''", text)
  gsub(/\[/, "\\[", text)
  gsub(/\]/, "\\]", text)
  gsub(/:/, "\\:", text)
  return text
}
function action(value) {
  if (value ~ /^[a-z0-9]+(\|[a-z0-9]+)+$/) {
    gsub(/\|/, " ", value)
    return "(" value ")"
  }
  if (value == "PASS") return "{compadd -- $(moire graph --after list 2>/dev/null)}"
  if (value ~ /^(MODEL|NAME\|PATH)$/) return "_moire_models"
  if (value == "DIR") return "_files -/"
  if (value ~ /FILE|CHECKPOINT|PATH|RANKS|DIR/) return "_files"
  return " "
}
function usage(text) {
  sub(/^\[OPTION\.\.\.\] */, "", text)
  if (!more && text !~ /^-/) more = text
}
function purpose(text) { printf "    (%s)\n      _arguments -S", name }
function group(text) { }
function note(text) { }
function option(short, long, value, text) {
  if (short == "?") short = ""
  printf " \\\n        "
  if (short) printf "'(-%s --%s)'{-%s%s,--%s%s}", short, long, short, value ? "+" : "", long, value ? "=" : ""
  printf "'%s%s[%s]%s'", short ? "" : "--" long, !short && value ? "=" : "", quote(text),
    value ? ":" quote(value) ":" action(value) : ""
}
function done() {
  if (more ~ /^\[?MODEL/) printf " \\\n        '*:model:_moire_models'"
  else if (more ~ /^DIR/) printf " \\\n        '*:folder:_files -/'"
  else if (more) printf " \\\n        '*:file:_files'"
  print "\n      ;;"
}
