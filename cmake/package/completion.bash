# Made of `moire --help`.
_moire_words() { mapfile -t COMPREPLY < <(compgen -W "$*" -- "$word"); [[ ${COMPREPLY[*]} != *= ]] || compopt -o nospace; }
_moire_files() { compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$word"); }
_moire_folders() { compopt -o filenames; mapfile -t COMPREPLY < <(compgen -d -- "$word"); }
_moire_models() {
  local models
  models=$("$moire" models 2>/dev/null | sed -n 's/^\([a-z][a-z0-9_]*\).*/\1/p')
  compopt -o filenames
  mapfile -t COMPREPLY < <(compgen -W "$models" -- "$word"; compgen -f -- "$word")
}
# A word that `=` has split is three words here.
_moire() {
  local moire=${COMP_WORDS[0]} name=${COMP_WORDS[1]} word=${COMP_WORDS[COMP_CWORD]} option=
  COMPREPLY=()
  if [[ $word == = ]]; then
    word= option=${COMP_WORDS[COMP_CWORD - 1]}
  elif [[ ${COMP_WORDS[COMP_CWORD - 1]} == = ]]; then
    option=${COMP_WORDS[COMP_CWORD - 2]}
  else
    option=${COMP_WORDS[COMP_CWORD - 1]}
  fi
