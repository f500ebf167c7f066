#!/bin/bash
# moire compile: what it writes, and what it refuses; nothing half-written is left behind.
# shellcheck source=tests/support/tool.sh
source "$(dirname "$0")/../support/tool.sh"
[[ -z ${MOIRE_SANITIZE:-} ]] || skip 'the border of the compiler is that of the other tools'

small_config qia.yaml
echo 'item_size: 30' >>qia.yaml
compile=("$MOIRE" compile qia.yaml --train --cpu host)
mkdir lib
"${compile[@]}" --emit loops,llvm,asm -o lib/small 2>log.txt || complain "compile: $(cat log.txt)"
files=$(find lib -mindepth 1 -printf '%f\n' | sed -E 's/^small\.(x86-64|aarch64|generic)[^.]*/small.CPU/' | sort | paste -sd' ')
[[ $files == 'small.CPU.ll small.CPU.loops.txt small.CPU.s small.a small.h small.pc small.so' ]] ||
  complain "it writes $files"
grep -q '^kernel ' lib/small.*.loops.txt || complain 'no kernels in the loops'
grep -q '^define ' lib/small.*.ll || complain 'no functions in the LLVM IR'

# Only the library's own names are global, and the header is C99 and C++ alike.
nm -D --defined-only lib/small.so | awk '$3 !~ /^small_/ { print; bad = 1 } END { exit bad }' || complain 'the names of small.so'
nm -g --defined-only lib/small.a | awk 'NF == 3 && $3 !~ /^small_/ { print; bad = 1 } END { exit bad }' ||
  complain 'the names of small.a'
strict=(-Wall -Wextra -Wpedantic -Werror -fsyntax-only -include lib/small.h -x)
echo 'int main(void) { return small_state_count() > 0; }' >main.c
for std in c89 c99 c11; do gcc -std=$std "${strict[@]}" c main.c || complain "the header is not $std"; done
if command -v g++ >/dev/null; then
  for std in c++98 c++11; do g++ -std=$std "${strict[@]}" c++ main.c || complain "the header is not $std"; done
fi

# Two builds are alike, wherever they are made; and two libraries can stand in one program.
mkdir again
"${compile[@]}" -o again/small
for end in a so h pc; do cmp "lib/small.$end" "again/small.$end" || complain "small.$end differs from build to build"; done
"${compile[@]}" -o lib/other
echo 'int small_state_count(void), other_state_count(void);
int main(void) { return small_state_count() != other_state_count(); }' >both.c
gcc both.c lib/small.a lib/other.a -lm -o both && ./both || complain 'two libraries in one program'

# Names that the run time of libraries has itself, and those of its own prefix.
for name in run state check library; do
  "${compile[@]}" -o "$name" 2>log.txt || complain "the name $name: $(cat log.txt)"
  echo "#include \"$name.h\"
int main(void) { return ${name}_state_count() < 1 || ${name}_status_text(${name^^}_OK)[0] != 'a'; }" >named.c
  gcc -I. named.c "$name.a" -lm -o named && ./named || complain "a library named $name"
done

# Wrong requests.
refused 2 '--target' 'riscv64-linux-gnu' -- "${compile[@]}" --target riscv64-linux-gnu -o lib/bad
refused 1 'x86-64-v9' 'x86-64-v4' -- "$MOIRE" compile qia.yaml --train --cpu x86-64-v9 -o lib/bad
refused 1 'different architectures' -- "$MOIRE" compile qia.yaml --train --cpu x86-64-v3,aarch64 -o lib/bad
refused 1 'comes twice' -- "$MOIRE" compile qia.yaml --train --cpu x86-64-v3,x86-64-v3 -o lib/bad
refused 2 '--cpu' -- "${compile[@]}" --cpu , -o lib/bad
for name in 1st a-b a.b '' 'a b' über moire moire_x _x MOIRE Moire_x; do
  refused 1 'name' -- "${compile[@]}" -o "lib/$name"
done
for name in r w x f; do refused 1 "name \"$name\"" "${name^^}_OK is a macro" -- "${compile[@]}" -o "lib/$name"; done
refused 1 'name "mq"' mq_close -- "${compile[@]}" -o lib/mq
refused 1 'wanted a C identifier' 'lib.so' -- "${compile[@]}" -o lib.so
refused 1 qia.yaml -- "${compile[@]}" -o qia.yaml/bad
if [[ $(id -u) != 0 ]]; then
  mkdir locked
  chmod 500 locked
  refused 1 locked -- "${compile[@]}" -o locked/bad
fi
refused 1 'not-a-compiler' -- "${compile[@]}" --cc not-a-compiler -o lib/bad
refused 1 'false failed' -- "${compile[@]}" --cc false -o lib/bad
refused 2 '-o' -- "$MOIRE" compile qia.yaml --train
refused 2 '--checkpoint' -- "$MOIRE" compile -o lib/bad
refused 2 'no weights' -- "$MOIRE" compile qia.yaml -o lib/bad
refused 2 '--weights' -- "${compile[@]}" --weights inside -o lib/bad
refused 2 '--emit' 'jpeg' -- "${compile[@]}" --emit jpeg -o lib/bad
refused 1 'absent.safetensors' -- "$MOIRE" compile --checkpoint absent.safetensors -o lib/bad
refused 1 'absent.yaml' -- "$MOIRE" compile absent.yaml --train -o lib/bad
mkdir lib/taken.so
refused 1 'taken.so' 'folder' -- "${compile[@]}" -o lib/taken
left=$(find lib -name '*bad*' -o -name 'taken.?' -o -name '.moire*')
[[ -z $left ]] || complain "left behind: $left"

# Ended by a signal at any moment, it leaves either nothing or a whole library.
for signal in TERM INT HUP TERM TERM; do
  "${compile[@]}" -o lib/bad >log.txt 2>&1 &
  sleep "0.$((RANDOM % 4))$((RANDOM % 10))"
  kill -s "$signal" $! 2>/dev/null || true
  ended=0
  wait $! || ended=$?
  left=$(find lib -name '.moire*')
  [[ -z $left ]] || complain "SIG$signal leaves behind: $left"
  ((ended == 0 || ended > 128)) || complain "SIG$signal: exit status $ended: $(cat log.txt)"
  [[ $ended == 0 || ! -e lib/bad.so || -e lib/bad.h ]] || complain "SIG$signal leaves half a library"
  rm -f lib/bad*
done

# A full disk, as the compiler meets it.
(ulimit -f 8 && exec "${compile[@]}" -o lib/full) >log.txt 2>&1 && complain 'it wrote through a full disk'
left=$(find lib -name '*full*' -o -name '.moire*')
[[ -z $left ]] || complain "a full disk leaves behind: $left"
finish
