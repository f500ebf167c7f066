#!/bin/bash
# `moire graph` prints every stage, and what it printed of graphs and kernels reads back to the same text.
# shellcheck source=tests/support/tool.sh
source "$(dirname "$0")/../support/tool.sh"

cat >model.yaml <<'END'
model: qia
item_size: 20
hidden_size: 8
num_hidden_layers: 1
num_attention_heads: 2
inner_size: 8
max_seq_length: 5
band_kernel_sizes: [2, 3]
band_dilations: [1, 2]
END

# stage GOAL [OPTION...]: text.txt is what is printed; it is not empty, and not an error.
stage() {
  "$MOIRE" graph model.yaml --goal "$@" >text.txt 2>log.txt || complain "--goal $*: $(cat log.txt)"
  [[ -s text.txt ]] || complain "--goal $* prints nothing"
}

# read_back WHAT: text.txt reads back to itself.
read_back() {
  "$MOIRE" graph text.txt >again.txt 2>log.txt || complain "$* does not read back: $(cat log.txt)"
  cmp text.txt again.txt || complain "$* reads back differently"
}

passes=$("$MOIRE" graph --after list | awk '!seen[$0]++')
for goal in train loss infer; do
  stage "$goal"
  read_back "--goal $goal"
  for pass in $passes; do
    stage "$goal" --after "$pass"
    case $pass in
      llvm | assembly) ;;
      *) read_back "--goal $goal --after $pass" ;;
    esac
  done
done

# A graph that was read is as good as the model.
stage infer
cp text.txt graph.txt
"$MOIRE" graph graph.txt --goal infer --outputs logits --after lower >from_text.txt || complain 'lowering what was read'
"$MOIRE" graph model.yaml --goal infer --after lower | sed 's/ at "[^"]*"//' >from_model.txt
sed -i 's/ at "[^"]*"//' from_text.txt
cmp from_text.txt from_model.txt || complain 'a graph that was read is lowered differently'

"$MOIRE" graph model.yaml --goal infer --outputs layers.0,logits --after select >both.txt
[[ $(grep -c '^  output' both.txt) == 2 ]] || complain "two outputs: $(grep output both.txt)"
refused 1 nothing -- "$MOIRE" graph model.yaml --goal infer --outputs nothing --after lower

# Values of a configuration, or of none.
for source in model.yaml qia; do
  "$MOIRE" graph $source --set hidden_size=12 --set num_attention_heads=3 --set item_size=30 >set.txt 2>log.txt ||
    complain "--set: $(cat log.txt)"
  grep -q 'item_embeddings.weight : f32\[30,12\]' set.txt || complain "$source --set: $(grep item_embeddings set.txt)"
done
"$MOIRE" graph model.yaml --set model=wearec --set max_seq_length=6 >set.txt 2>log.txt || complain "$(cat log.txt)"
grep -q "^graph @wearec" set.txt || complain "another model: $(cat log.txt set.txt | head -n 3)"
refused 1 --set nothing -- "$MOIRE" graph qia --set nothing=1
refused 1 hidden_size -- "$MOIRE" graph model.yaml --set hidden_size=7
refused 1 key=value -- "$MOIRE" graph qia --set hidden_size
refused 2 graph.txt --set -- "$MOIRE" graph graph.txt --set hidden_size=12

for after in '' --after=fuse; do
  "$MOIRE" graph model.yaml --format dot $after >drawing.txt
  [[ $(head -c 7 drawing.txt) == digraph ]] || complain "--format dot $after"
done

sed '7s/:/;/' graph.txt >bad.txt
refused 1 bad.txt:7 -- "$MOIRE" graph bad.txt
head -n 12 graph.txt >bad.txt
refused 1 bad.txt -- "$MOIRE" graph bad.txt
"$MOIRE" graph model.yaml --goal infer --after lower >kernels.txt
line=$(grep -n '^kernel ' kernels.txt | sed -n '2s/:.*//p')
sed "$((line + 1))s/.*/  nonsense/" kernels.txt >bad.txt
refused 1 "bad.txt:$((line + 1))" -- "$MOIRE" graph bad.txt
printf 'graph @g inference {\0}\n' >bad.txt
refused 1 bad.txt NUL -- "$MOIRE" graph bad.txt
: >empty.txt
refused 1 empty.txt -- "$MOIRE" graph empty.txt
finish
