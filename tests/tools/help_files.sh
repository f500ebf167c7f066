#!/bin/bash
# Man pages and completions are made of --help: each subcommand has its page, each option is in it, and shells complete
# subcommands, options and what options take.
# shellcheck source=tests/support/tool.sh
source "$(dirname "$0")/../support/tool.sh"
sh "$SOURCE_DIR/cmake/package/help_files.sh" "$MOIRE" made >log.txt 2>&1 || complain "not made: $(cat log.txt)"
pages=made/share/man/man1 bash=made/share/bash-completion/completions/moire zsh=made/share/zsh/vendor-completions/_moire

names=$("$MOIRE" --help | sed -n 's/^  \([a-z]*\) .*/\1/p')
[[ $(wc -w <<<"$names") -ge 16 ]] || complain "subcommands: $names"
[[ $(find $pages -type f | wc -l) == $(($(wc -w <<<"$names") + 1)) ]] || complain "pages: $(ls $pages)"
zcat $pages/moire.1.gz >moire.txt
for name in $names; do
  grep -q "moire..$name.fR(1)" moire.txt || complain "moire(1) does not name $name"
  zcat "$pages/moire-$name.1.gz" >page.txt
  grep -q '^\.SH DESCRIPTION$' page.txt || complain "moire-$name(1) describes nothing"
  "$MOIRE" "$name" --help | sed -n 's/^  \( \|-.,\)  *--\([a-z-]*\).*/\2/p' >options.txt
  "$MOIRE" "$name" --help | grep -n "^ \+$" && complain "an empty line in the help of $name"
  [[ -s options.txt ]] || complain "$name has no options"
  while read -r option; do
    grep -qF -- "--$option" <(sed 's/\\-/-/g' page.txt) || complain "moire-$name(1) has no --$option"
    grep -q -- " --$option[= ]" <(sed -n "s/^ *$name) _moire_words/& /p" $bash) || complain "bash has no $name --$option"
    sed -n "/^    ($name)$/,/;;/p" $zsh | grep -q -- "--$option[]=[}]" || complain "zsh has no $name --$option"
  done <options.txt
  if command -v groff >/dev/null; then
    groff -man -ww -Tutf8 page.txt 2>&1 >/dev/null | grep -v 'cannot adjust\|cannot break' >log.txt || true
    [[ ! -s log.txt ]] || complain "moire-$name(1): $(cat log.txt)"
  fi
done
zcat $pages/moire-runs.1.gz | grep -qxF '\fB\-\-format\fR=\fItext|markdown|json\fR' || complain 'the value of an option'
zcat $pages/moire-encode.1.gz | grep -qxF '\fB\-o\fR, \fB\-\-output\fR=\fIFILE\fR' || complain 'a short option'

# completes WANTED WORD...: what bash makes of the last word.
completes() {
  local wanted=$1 got
  shift
  got=$(
    compopt() { :; }
    # shellcheck source=/dev/null
    source $bash
    COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
    _moire
    printf '%s\n' "${COMPREPLY[@]}" | sort | xargs
  )
  [[ $got == "$wanted" ]] || complain "bash completes '$*' to '$got', not '$wanted'"
}
mkdir -p place/folder
touch place/file.txt
completes 'recommend runs' "$MOIRE" r
completes 'train' "$MOIRE" tr
completes '--precision=' "$MOIRE" eval --pr
completes 'bf16' "$MOIRE" eval --precision = b
completes 'bf16 f32 int8' "$MOIRE" eval --precision =
completes 'bf16 f32 int8' "$MOIRE" eval --precision ''
completes 'place/folder' "$MOIRE" train --out = place/
completes 'place/file.txt place/folder' "$MOIRE" train --json place/
completes 'place/file.txt' "$MOIRE" encode -o place/fi
completes '' "$MOIRE" train --threads = ''
completes 'qia' "$MOIRE" graph qi
completes "$("$MOIRE" graph --after list | grep '^lo' | sort -u | xargs)" "$MOIRE" graph --after = lo
completes '' "$MOIRE" nothing --pr
! command -v zsh >/dev/null || zsh -n $zsh || complain 'zsh cannot read its completion'
finish
