#!/bin/sh
# help_files.sh MOIRE FOLDER: man pages and completions of the command MOIRE, made of its own --help, go to
# FOLDER/share/… as they are installed.
set -eu
moire=$1
here=$(cd "$(dirname "$0")" && pwd)
man=$2/share/man/man1 bash=$2/share/bash-completion/completions zsh=$2/share/zsh/vendor-completions
mkdir -p "$man" "$bash" "$zsh"
export LC_ALL=C ARGP_HELP_FMT=opt-doc-col=60,rmargin=9999,no-dup-args-note
version=$("$moire" --version | sed -n '1s/^moire //p')
names=$("$moire" --help | sed -n 's/^  \([a-z][a-z]*\) .*/\1/p')
help=$2/help
mkdir -p "$help"
for name in $names; do "$moire" "$name" --help >"$help/$name.txt"; done

# of SCRIPT NAME [OPTION...]: what the script makes of the subcommand's help.
of() {
  script=$1 name=$2
  shift 2
  awk -v name="$name" "$@" -f "$here/help.awk" -f "$here/$script" "$help/$name.txt"
}

"$moire" --help | awk -v version="$version" -f "$here/man_all.awk" >"$man/moire.1"
for name in $names; do
  summary=$("$moire" --help | sed -n "s/^  $name  *//p")
  of man.awk "$name" -v version="$version" -v summary="$summary" >"$man/moire-$name.1"
done
gzip -9nf "$man"/*.1

for name in $names; do of bash.awk "$name"; done >"$help/bash.txt"
# cases KIND: the lines of that kind, without it.
cases() { sed -n "s/^$1 /    /p" "$help/bash.txt"; }
{
  cat "$here/completion.bash"
  printf '  if ((COMP_CWORD == 1)); then\n    _moire_words %s --help --version\n    return\n  fi\n' "$(echo $names)"
  printf '  case $name,$option in\n' && cases value && printf '  esac\n'
  printf '  if [[ $word == -* ]]; then\n    case $name in\n' && cases option && printf '    esac\n    return 0\n  fi\n'
  printf '  case $name in\n' && cases argument && printf '  esac\n  return 0\n}\ncomplete -F _moire moire\n'
} >"$bash/moire"

{
  cat <<'EOF'
#compdef moire
# Made of `moire --help`.
_moire_models() {
  compadd -- $(moire models 2>/dev/null | sed -n 's/^\([a-z][a-z0-9_]*\).*/\1/p')
  _files
}
_moire() {
  local -a names
  names=(
EOF
  "$moire" --help | sed -n "s/'/'\\\\''/g; s/^  \([a-z][a-z]*\)  *\(.*\)/    '\1:\2'/p"
  cat <<'EOF'
  )
  if ((CURRENT == 2)); then
    _describe subcommand names
    compadd -- --help --version
    return
  fi
  shift words
  ((CURRENT--))
  case $words[1] in
EOF
  for name in $names; do of zsh.awk "$name"; done
  printf '  esac\n}\n_moire "$@"\n'
} >"$zsh/_moire"
rm -r "$help"
