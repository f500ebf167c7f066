#!/bin/bash
# Python modules and wheels of libraries: with NumPy and without, in processes and threads, they give what the command
# gives; what is wrong raises a sentence. The checks are in python_check.py.
# shellcheck source=tests/support/tool.sh
source "$(dirname "$0")/../support/tool.sh"
[[ -z ${MOIRE_SANITIZE:-} ]] || skip 'libraries are built as a user would'
python=${MOIRE_PYTHON:-python3}
"$python" -c 'import sys, ctypes; sys.exit(sys.version_info < (3, 8))' 2>/dev/null || skip "$python is no Python 3.8 with ctypes"
check=$SOURCE_DIR/tests/aot/python_check.py
compile=("$MOIRE" compile --cpu host --python)

# A Python that has no NumPy, whatever is installed.
mkdir none
echo 'raise ImportError("there is none here")' >none/numpy.py

# checked FOLDER WHAT ARGUMENT...: with the folder's modules, without NumPy and with it, if it is there.
checked() {
  local folder=$1
  shift
  PYTHONPATH=none:$folder timeout 250 "$python" "$check" "$@" >said.txt 2>&1 || complain "$1 $2: $(tail -n 3 said.txt)"
  if "$python" -c 'import numpy' 2>/dev/null; then
    PYTHONPATH=$folder timeout 250 "$python" "$check" "$@" >said.txt 2>&1 || complain "$1 $2, with NumPy: $(tail -n 3 said.txt)"
  fi
}
"$python" -c 'import numpy' 2>/dev/null || echo "$python has no NumPy: the modules are tried without it"

# --- recommenders: weights inside, in a file, and training
small_data data.txt
small_config config.yaml
"$MOIRE" train config.yaml --data data.txt --out run >/dev/null 2>log.txt || complain "train: $(cat log.txt)"
"$MOIRE" recommend --checkpoint run/best.safetensors --data data.txt --top 12 --json >wanted.json || complain recommend
mkdir lib other
"${compile[@]}" --checkpoint run/best.safetensors -o lib/small 2>log.txt || complain "compile: $(cat log.txt)"
"${compile[@]}" --checkpoint run/best.safetensors -o lib/other 2>log.txt || complain "compile: $(cat log.txt)"
"${compile[@]}" --checkpoint run/best.safetensors --weights external -o lib/apart 2>log.txt || complain "compile: $(cat log.txt)"
"${compile[@]}" --checkpoint run/best.safetensors --train -o lib/learner 2>log.txt || complain "compile: $(cat log.txt)"
checked lib recommend small data.txt wanted.json
checked lib external apart lib/apart.weights
checked lib absent small
small_items run/best.safetensors
"$MOIRE" recommend --checkpoint run/best.safetensors --data data.txt --top 12 --items films.items --json >found.json || complain recommend
checked lib find small data.txt found.json films.items more.items
checked lib train learner "$work"

# --- items by what the data call them
awk '{ for (i = 2; i <= NF; i++) print "u" $1 "\tx" $i "é\t5\t" i }' data.txt >named.txt
"$MOIRE" train config.yaml --data named.txt --out named >/dev/null 2>log.txt || complain "train: $(cat log.txt)"
"$MOIRE" recommend --checkpoint named/best.safetensors --data named.txt --top 5 --json >names.json || complain recommend
"${compile[@]}" --checkpoint named/best.safetensors -o lib/named 2>log.txt || complain "compile: $(cat log.txt)"
checked lib named named named.txt names.json

# --- tensors, and names that are none in Python
channel=$BUILD_DIR/examples/channel.so
printf 'model: %s\nepochs: 1\nbatch_size: 16\n' "$channel" >channel.yaml
"$python" - <<'PY'
import json, random, struct
random.seed(1)
n, head, data = 60, {}, b""
for name, dtype, shape in ("received", "C64", [n, 16]), ("measured", "F32", [n, 3]), ("wanted", "F32", [n, 2]):
    count = shape[0] * shape[1] * (2 if dtype == "C64" else 1)
    bytes_ = struct.pack("<%df" % count, *(random.uniform(-1, 1) for _ in range(count)))
    head[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(bytes_)]}
    data += bytes_
text = json.dumps(head).encode()
with open("records.safetensors", "wb") as file:
    file.write(struct.pack("<Q", len(text)) + text + data)
PY
"$MOIRE" train channel.yaml --data records.safetensors --out tensors >/dev/null 2>log.txt || complain "train: $(cat log.txt)"
model=(--checkpoint tensors/best.safetensors --model "$channel")
"$MOIRE" predict "${model[@]}" --data records.safetensors -o predicted.safetensors 2>log.txt || complain "predict: $(cat log.txt)"
"${compile[@]}" "${model[@]}" -o lib/channel 2>log.txt || complain "compile: $(cat log.txt)"
checked lib run channel records.safetensors predicted.safetensors

# --- every type, names that mean something in Python, and a training on them
cat >odd.c <<'C'
#include "moire/graph.h"
#include "moire/model.h"
static void build(moire_graph *g, const moire_config *config) {
  (void)config;
  moire_dim b = moire_extent(g, "B");
  moire_value x = moire_input(g, "lambda", MOIRE_F32, MOIRE_SHAPE(b, 3));
  moire_value row = moire_input(g, "n", MOIRE_I32, MOIRE_SHAPE(b));
  moire_value other = moire_input(g, "step", MOIRE_I64, MOIRE_SHAPE(b));
  moire_value kept = moire_input(g, "self", MOIRE_BOOL, MOIRE_SHAPE(b, 3));
  moire_value z = moire_input(g, "x.y", MOIRE_C64, MOIRE_SHAPE(b, 2));
  moire_value half = moire_input(g, "tuple", MOIRE_BF16, MOIRE_SHAPE(b, 3));
  moire_value wanted = moire_input(g, "wanted", MOIRE_F32, MOIRE_SHAPE(b, 3));
  moire_value table = moire_parameter(g, "table", MOIRE_SHAPE(5, 3), moire_init_uniform(-1, 1));
  moire_value y = moire_add(moire_mul(x, moire_cast(kept, MOIRE_F32)), moire_cast(half, MOIRE_F32));
  y = moire_add(y, moire_add(moire_gather(table, row), moire_gather(table, moire_cast(other, MOIRE_I32))));
  moire_output(g, "class", y);
  moire_output(g, "half", moire_cast(y, MOIRE_BF16));
  moire_output(g, "None", moire_scale(z, 2));
  moire_output(g, "flag", moire_less(x, y));
  moire_output(g, "count", row);
  moire_value off = moire_sub(y, wanted);
  moire_output(g, "loss", moire_mean_all(moire_mul(off, off)));
}
const moire_model *moire_model_main(void);
const moire_model *moire_model_main(void) {
  static const moire_model model = {
      .abi = MOIRE_MODEL_ABI, .task = "tensors", .name = "odd", .summary = "every type", .build = build};
  return &model;
}
C
gcc -shared -fPIC -I"$SOURCE_DIR/include" odd.c -o odd.so || complain 'odd.c'
printf 'model: ./odd.so\nlr: 0.1\n' >odd.yaml
"${compile[@]}" odd.yaml --train -o lib/odd 2>log.txt || complain "compile: $(cat log.txt)"
checked lib odd odd

# --- codes of items
cat >coder.yaml <<'YAML'
model: semantic_id
codebook_sizes: [8, 16, 33]
hidden: 12
code_dim: 6
epochs: 2
YAML
features=(--features run/best.safetensors --tensor item_embeddings.weight)
"$MOIRE" train coder.yaml "${features[@]}" --out coder >/dev/null 2>log.txt || complain "train: $(cat log.txt)"
"$MOIRE" encode --checkpoint coder/best.safetensors "${features[@]}" -o codes.tsv || complain 'encode'
"$MOIRE" decode --checkpoint coder/best.safetensors --ids codes.tsv -o decoded.npy || complain 'decode'
"$MOIRE" encode --checkpoint coder/best.safetensors --features decoded.npy -o again.tsv || complain 'encode again'
"${compile[@]}" --checkpoint coder/best.safetensors -o lib/coder 2>log.txt || complain "compile: $(cat log.txt)"
checked lib code coder decoded.npy again.tsv

# --- users by their ratings
small_ratings films hybrid.yaml
"$MOIRE" train hybrid.yaml --data films --out hybrid --threads 2 >/dev/null 2>log.txt || complain "train: $(cat log.txt)"
"$MOIRE" recommend --checkpoint hybrid/best.safetensors --data films --top 9 --json >rated.json || complain recommend
"${compile[@]}" --checkpoint hybrid/best.safetensors --data films -o lib/films 2>log.txt || complain "compile: $(cat log.txt)"
checked lib rate films films/u1.base rated.json

# --- words
small_tokenizer tokenizer.bin
small_texts texts.txt 200 1
"$MOIRE" tokenize texts.txt --tokenizer tokenizer.bin --length 32 -o tokens.safetensors 2>/dev/null
cat >llama.yaml <<'YAML'
model: llama
hidden_size: 16
intermediate_size: 24
num_hidden_layers: 2
num_attention_heads: 4
num_key_value_heads: 2
max_position_embeddings: 48
epochs: 3
batch_size: 16
lr: 0.01
tokenizer: tokenizer.bin
YAML
"$MOIRE" train llama.yaml --data tokens.safetensors --valid tokens.safetensors --out llama --quiet >log.txt 2>&1 || complain "train: $(cat log.txt)"
# asked MOST OPTIONS DRAW PROMPT...: a line for `generate`, with what the command says.
asked() {
  local most=$1 options=$2 draw=$3 prompts=() ids
  shift 3
  for ids in "$@"; do prompts+=(--ids "$ids"); done
  # shellcheck disable=SC2086
  ids=$("$MOIRE" generate --checkpoint llama/best.safetensors "${prompts[@]}" --max "$most" $options --json 2>/dev/null |
    sed -E 's/.*"ids":(\[[^]]*\]).*/\1/' | paste -sd,)
  printf '{"prompts":[%s],"most":%s,"draw":%s,"ids":[%s]}\n' "$(printf '[%s],' "${@// /,}" | sed 's/,$//')" "$most" "$draw" "$ids"
}
{
  asked 12 '' '{}' '1 260 262 270'
  asked 60 '' '{}' '1 260 262 270' '1'
  asked 20 '--temperature 0.9 --top-k 20 --top-p 0.95 --repetition-penalty 1.1 --seed 5' \
    '{"temperature":0.9,"top_k":20,"top_p":0.95,"repetition_penalty":1.1,"seed":5}' '1 262' '1 271 280' '1'
} >words.json
"$MOIRE" generate --checkpoint llama/best.safetensors --prompt 'the cat' --max 20 2>/dev/null >text.txt
"${compile[@]}" --checkpoint llama/best.safetensors -o lib/story 2>log.txt || complain "compile: $(cat log.txt)"
checked lib generate story words.json text.txt

# --- names
simple=(--checkpoint run/best.safetensors)
refused 1 lambda keyword -- "${compile[@]}" "${simple[@]}" -o lib/lambda
refused 1 json 'comes with Python' -- "${compile[@]}" "${simple[@]}" -o lib/json
refused 2 --wheel-version --wheel -- "${compile[@]}" "${simple[@]}" --wheel-version 1.0 -o lib/small
touch lib/taken
refused 1 lib/taken folder -- "${compile[@]}" "${simple[@]}" -o lib/taken
[[ ! -e lib/taken.so && ! -e lib/lambda.so ]] || complain 'what was refused has left files'
finish
