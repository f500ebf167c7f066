#!/bin/bash
# A .pt2 goes wherever the name of a model does: import, models, graph, train, eval, predict, compile, profile. What
# was trained has the names and types of the state dict.
# shellcheck source=tests/support/tool.sh
source "$SOURCE_DIR/tests/support/tool.sh"
need_shared pt2/QIAComplex.pt2 goldens/qia_small.safetensors
program=$shared/pt2/QIAComplex.pt2 training=$shared/pt2/QIAComplex_train.pt2

# has FILE TEXT: the header of the safetensors file holds the text.
has() {
  head -c 4000 "$1" | grep -aqF "$2" || complain "$1 does not hold $2"
}

# The batch of the golden, as records: what they are called in the training's program, and in the other.
"$MOIRE" import "$training" -o imported >said.txt 2>/dev/null || complain 'import fails'
grep -q 'input    x: i64\[B, 8\]' said.txt || complain "import says: $(cat said.txt)"
grep -q 'output   loss: f32\[\]' said.txt || complain "import says: $(cat said.txt)"
has imported/QIAComplex_train.safetensors '"model.weight":{"dtype":"C64","shape":[3,16,16]'
"$MOIRE" graph imported/QIAComplex_train.txt >/dev/null || complain 'the graph that import writes cannot be read'
"$MOIRE" models "$program" >said.txt
grep -q '^  dropout ' said.txt || complain 'models does not list the key dropout'
"$MOIRE" graph "$program" --goal infer >said.txt
grep -q '"pt2_models.py":77' said.txt || complain 'the graph does not name the lines of Python'

# Records: i64 .npy files, written by hand. 64 rows of 8 items from 1 to 49, and targets.
npy() { # npy FILE SHAPE NUMBERS...: numbers below 256
  local file=$1 shape=$2 header
  shift 2
  header=$(printf "%-117s" "{'descr': '|u1', 'fortran_order': False, 'shape': $shape, }")
  {
    printf '\x93NUMPY\x01\x00\x76\x00%s\n' "$header"
    printf "$(printf '\\x%02x' "$@")"
  } >"$file"
}
mkdir records ids
numbers=() targets=()
for ((i = 0; i < 512; i++)); do numbers+=($(((i * i + 3 * i) % 49 + 1))); done
for ((i = 0; i < 64; i++)); do targets+=($((i % 7 + 1))); done
npy records/x.npy '(64, 8)' "${numbers[@]}"
npy records/target.npy '(64,)' "${targets[@]}"
npy ids/ids.npy '(64, 8)' "${numbers[@]}"

"$MOIRE" train imported/QIAComplex_train.yaml --data records --out run --set epochs=2 --set lr=0.01 --quiet >said.txt 2>&1 ||
  complain "train: $(cat said.txt)"
has run/best.safetensors '"model.weight":{"dtype":"C64","shape":[3,16,16]'
has run/best.safetensors '"model.items.weight":{"dtype":"F32"'
"$MOIRE" train "$training" --data records --out run2 --set epochs=2 --set lr=0.01 --quiet >said.txt 2>&1 ||
  complain "train of a program: $(cat said.txt)"
cmp -s run/best.safetensors run2/best.safetensors || complain 'a configuration and the program itself train differently'
"$MOIRE" train "$training" --data records --out run3 --set epochs=1 --set lr=0.01 --quiet >said.txt 2>&1 &&
  "$MOIRE" train "$training" --data records --out run3 --set epochs=2 --set lr=0.01 --resume --quiet >said.txt 2>&1 ||
  complain "resume: $(cat said.txt)"
cmp -s run/best.safetensors run3/best.safetensors || complain 'a resumed training ends elsewhere'

"$MOIRE" eval --checkpoint run/best.safetensors --model "$training" --data records >said.txt || complain 'eval fails'
grep -q '^loss' said.txt || complain "eval says: $(cat said.txt)"
"$MOIRE" eval --checkpoint "$training" --data records >before.txt || complain 'eval of the program itself fails'
cmp -s before.txt said.txt && complain 'training changed nothing'

# What was trained within a module that holds the model serves the model alone.
"$MOIRE" predict --checkpoint run/best.safetensors --model "$program" --data ids -o trained.safetensors || complain 'predict fails'
"$MOIRE" predict --checkpoint "$program" --data ids -o own.safetensors || complain 'predict by the program itself fails'
has own.safetensors '"output":{"dtype":"F32","shape":[64,50]'
cmp -s own.safetensors trained.safetensors && complain 'predict does not take the trained weights'

mkdir lib
"$MOIRE" compile --checkpoint "$program" --cpu host -o lib/net >/dev/null || complain 'compile fails'
grep -q net_run lib/net.h || complain 'the library has no net_run'
"$MOIRE" profile "$training" --data records >said.txt 2>/dev/null || complain 'profile fails'
grep -q 'pt2_models.py:77' said.txt || complain "the profile names no lines of Python: $(cat said.txt)"

refused 1 'no output "loss"' -- "$MOIRE" train "$program" --data ids --out nowhere
refused 1 '.pt2' 'wanted --model' -- "$MOIRE" eval --checkpoint run/best.safetensors --data records
refused 1 'nowhere.pt2' -- "$MOIRE" import nowhere.pt2
refused 2 '.pt2' -- "$MOIRE" import "$shared/pt2/FNet.safetensors"
((failures == 0))
