#!/bin/bash
# moire peaks: measures, keeps the figures in the cache folder, takes them from there, and says so where it cannot.
# That the figures are right is for tools/bench/peaks.c, on a machine that does nothing else.
# shellcheck source=tests/support/tool.sh
source "$SOURCE_DIR/tests/support/tool.sh"
export XDG_CACHE_HOME=$work/cache
file=$XDG_CACHE_HOME/moire/peaks.json

"$MOIRE" peaks --threads 1 >first.txt 2>busy.txt || complain "it fails"
for word in float32 GFLOP/s 'read memory' GB/s; do
  grep -qF -- "$word" first.txt || complain "no $word in the table"
done
[[ -s $file ]] || complain "the figures were not kept"
"$MOIRE" peaks --threads 1 >second.txt 2>/dev/null || complain "it fails with a file"
cmp -s first.txt second.txt || complain "the second time it does not say the same"

"$MOIRE" peaks --threads 1 --json >peaks.json 2>/dev/null || complain "--json fails"
grep -qF '"fma_unit"' peaks.json || complain "--json does not name the unit"
grep -qF '"matrix_unit": ""' peaks.json && sed -i '/"matrix": \[/,/\]/d' peaks.json # this processor has none
if grep -qE '(: |^ *)-?0(\.0*)?,?$' <(grep -v -e bytes -e sharers peaks.json); then complain "a rate is zero"; fi

# A file that is damaged counts as empty and is written anew.
for damage in '{' '{"version": 2, "machines": {}}'; do
  printf '%s' "$damage" >"$file"
  "$MOIRE" peaks --threads 1 >/dev/null 2>&1 || complain "it fails with a file that holds '$damage'"
  grep -q '"fma"' "$file" || complain "'$damage' was not replaced"
done
sed -i 's/"read"/"rede"/' "$file"
"$MOIRE" peaks --threads 1 >/dev/null 2>&1 || complain "it fails with an entry that is not whole"
grep -q '"read"' "$file" || complain "an entry that is not whole was not replaced"

refused 2 'no argument' -- "$MOIRE" peaks now
refused 2 '--threads' -- "$MOIRE" peaks --threads 0
XDG_CACHE_HOME='' HOME='' refused 1 'XDG_CACHE_HOME' -- "$MOIRE" peaks --threads 1
touch plain
XDG_CACHE_HOME=$work/plain refused 1 'plain' -- "$MOIRE" peaks --threads 1
finish
