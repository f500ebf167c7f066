#!/bin/bash
# The example programs, with a model that was trained a moment ago: what they print is what the command prints.
# shellcheck source=tests/support/tool.sh
source "$(dirname "$0")/../support/tool.sh"
[[ -z ${MOIRE_SANITIZE:-} ]] || skip 'the examples are built as a user would'
examples=$SOURCE_DIR/docs/examples/aot
flags=(-O2 -Wall -Wextra -Werror -D_GNU_SOURCE -I.)

small_data data.txt
small_config qia.yaml
"$MOIRE" train qia.yaml --data data.txt --out run >log.txt 2>&1 || complain "train: $(cat log.txt)"
"$MOIRE" compile --checkpoint run/best.safetensors -o qia --cpu host 2>log.txt || complain "compile: $(cat log.txt)"

# A program that evaluates, linked with either library.
"$MOIRE" eval --checkpoint run/best.safetensors --data data.txt >eval.txt
want="HR@10 $(awk '$1 == "HR@10" { print $2 }' eval.txt), NDCG@10 $(awk '$1 == "NDCG@10" { print $2 }' eval.txt)"
gcc "${flags[@]}" "$examples/evaluate.c" -o evaluate ./qia.so -Wl,-rpath,. -lm
gcc "${flags[@]}" "$examples/evaluate.c" -o evaluate_static qia.a -lm
for program in evaluate evaluate_static; do
  ./$program data.txt >got.txt || complain "$program failed"
  grep -qF "$want" got.txt || complain "$program says $(cat got.txt), the command $want"
done
(($(wc -l <"$examples/evaluate.c") < 60)) || complain 'evaluate.c has 60 lines or more'
ldd ./evaluate | grep -vE 'linux-vdso|ld-linux|libc\.so|libm\.so|qia\.so' && complain 'ldd names more than libc and libm'

# One user, in C; all of them, in C++.
"$MOIRE" recommend --checkpoint run/best.safetensors --data data.txt --top 5 --users 1 --json >want.json 2>log.txt ||
  complain "recommend: $(cat log.txt)"
gcc "${flags[@]}" "$examples/recommend.c" -o recommend $(PKG_CONFIG_PATH=. pkg-config --cflags --libs qia)
# shellcheck disable=SC2046
./recommend $(head -1 data.txt | cut -d' ' -f2-) >got.txt || complain 'recommend failed'
items=$(cut -d' ' -f1 got.txt | paste -sd,)
grep -qF "[$items]" want.json || complain "recommend lists $items, the command $(cat want.json)"
./recommend 0 2>log.txt && complain 'recommend takes item 0'
grep -q 'an item is not from 1' log.txt || complain "recommend says $(cat log.txt)"
if command -v g++ >/dev/null; then
  g++ "${flags[@]}" -std=c++11 "$examples/recommend.cpp" -o recommend_cpp qia.a -lm -lpthread
  cut -d' ' -f2- data.txt | ./recommend_cpp >all.txt || complain 'recommend_cpp failed'
  [[ $(wc -l <all.txt) == $(wc -l <data.txt) ]] || complain 'recommend_cpp has not a line for each user'
  [[ $(head -1 all.txt) == "${items//,/ }" ]] || complain "recommend_cpp lists $(head -1 all.txt) first"
else
  complain 'there is no g++'
fi

# Training on the device; what it writes is a checkpoint.
items=$(awk '{ for (i = 2; i <= NF; i++) if ($i > most) most = $i } END { print most + 1 }' data.txt)
"$MOIRE" compile qia.yaml --train --set item_size="$items" -o qia --cpu host 2>log.txt || complain "compile: $(cat log.txt)"
gcc "${flags[@]}" "$examples/train_on_device.c" -o train_on_device qia.a -lm
./train_on_device data.txt state.safetensors >got.txt || complain 'train_on_device failed'
awk '/^pass/ { if (last && $4 >= last) exit 1; last = $4 }' got.txt || complain "the loss does not fall: $(cat got.txt)"
"$MOIRE" eval --checkpoint state.safetensors --data data.txt >eval.txt 2>log.txt || complain "eval: $(cat log.txt)"
finish
