# With help.awk: what bash completes of the subcommand -v name=NAME: two lists of cases, told apart by their first word.
function usage(text) {
  sub(/^\[OPTION\.\.\.\] */, "", text)
  if (!more && text !~ /^-/) more = text
}
function purpose(text) { }
function group(text) { }
function note(text) { }
function action(value) {
  if (value ~ /^[a-z0-9]+(\|[a-z0-9]+)+$/) {
    gsub(/\|/, " ", value)
    return "_moire_words " value
  }
  if (value == "PASS") return "_moire_words $(\"$moire\" graph --after list 2>/dev/null)"
  if (value ~ /^(MODEL|NAME\|PATH)$/) return "_moire_models"
  if (value == "DIR") return "_moire_folders"
  if (value ~ /FILE|CHECKPOINT|PATH|RANKS|DIR/) return "_moire_files"
  return ":"
}
function option(short, long, value, text) {
  words = words " --" long (value ? "=" : "")
  if (value) printf "value %s,--%s%s) %s; return ;;\n", name, long, short ? " | " name ",-" short : "", action(value)
}
function done() {
  printf "option %s) _moire_words%s ;;\n", name, words
  if (more) printf "argument %s) %s ;;\n", name, more ~ /^\[?MODEL/ ? "_moire_models" : more ~ /^DIR/ ? "_moire_folders" : "_moire_files"
}
