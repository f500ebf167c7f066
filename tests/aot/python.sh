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
checked lib recommend learner data.txt wanted.json
checked lib external apart lib/apart.weights
checked lib absent small
checked lib train learner "$work"

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
refused 1 small_ 'a letter or a digit' -- "${compile[@]}" "${simple[@]}" --wheel -o lib/small_
refused 1 1.x 'such as 1.2' -- "${compile[@]}" "${simple[@]}" --wheel --wheel-version 1.x -o lib/small
refused 2 --wheel-version --wheel -- "${compile[@]}" "${simple[@]}" --wheel-version 1.0 -o lib/small
touch lib/taken
refused 1 lib/taken folder -- "${compile[@]}" "${simple[@]}" -o lib/taken
[[ ! -e lib/taken.so && ! -e lib/lambda.so ]] || complain 'what was refused has left files'

# --- wheels: the same bytes for the same model, and an installation that needs nothing of Moire
mkdir first second
for folder in first second; do
  "$MOIRE" compile --cpu host "${simple[@]}" --wheel --wheel-version 1.2.post3 -o $folder/Small 2>log.txt || complain "compile: $(cat log.txt)"
  (cd $folder && "$MOIRE" compile --cpu host --checkpoint ../run/best.safetensors --weights external --wheel -o apart 2>log.txt) ||
    complain "compile: $(cat $folder/log.txt)"
done
machine=$(uname -m) version=$("$MOIRE" --version | sed -n '1s/^moire \([0-9.]*\).*/\1/p')
wheel=first/small-1.2.post3-py3-none-linux_$machine.whl apart=first/apart-$version-py3-none-linux_$machine.whl
[[ -s $wheel && -s $apart ]] || complain "wheels: $(ls first)"
for file in first/*.whl; do cmp "$file" "second/${file#first/}" || complain "$file depends on more than the model"; done
[[ ! -e first/Small ]] || complain '--wheel leaves a module that nobody asked for'
"$python" - "$wheel" "$apart" <<'PY' >said.txt 2>&1 || complain "the archive: $(tail -n 3 said.txt)"
import base64, hashlib, sys, zipfile
for path in sys.argv[1:]:
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        record = next(name for name in names if name.endswith(".dist-info/RECORD"))
        rows = [line.split(",") for line in archive.read(record).decode().splitlines()]
        assert [row[0] for row in rows] == names, names
        for name, digest, size in rows[:-1]:
            data = archive.read(name)
            wanted = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            assert digest == "sha256=" + wanted and int(size) == len(data), name
        assert rows[-1][1:] == ["", ""], rows[-1]
PY

# install FOLDER WHEEL...: by pip into a virtual environment; or into a folder, or unpacked, where that cannot be made.
install() {
  local folder=$1 wheel
  shift
  if "$python" -m venv "$folder" >log.txt 2>&1 && "$folder/bin/python" -m pip install --no-index -q "$@" >log.txt 2>&1; then
    installed=("$folder/bin/python")
    return
  fi
  echo "$python makes no virtual environment with pip: wheels are unpacked"
  for wheel in "$@"; do "$python" -m zipfile -e "$wheel" "$folder" || complain "$wheel cannot be unpacked"; done
  installed=(env "PYTHONPATH=none:$folder" "$python")
}
install fresh "$wheel" "$apart"
mv lib hidden # nothing is found there
"${installed[@]}" "$check" recommend Small data.txt wanted.json >said.txt 2>&1 || complain "the wheel: $(tail -n 3 said.txt)"
"${installed[@]}" "$check" external apart second/apart.weights >said.txt 2>&1 || complain "the wheel with weights: $(tail -n 3 said.txt)"
if [[ ${installed[0]} == fresh/* ]]; then
  "${installed[@]}" -m pip show small >said.txt 2>&1 || true
  grep -q '^Version: 1.2.post3$' said.txt || complain "pip show: $(head -n 3 said.txt)"
fi
if command -v aarch64-linux-gnu-gcc >/dev/null; then
  mkdir arm
  "$MOIRE" compile "${simple[@]}" --target aarch64-linux-gnu --wheel -o arm/small 2>log.txt || complain "compile: $(cat log.txt)"
  [[ -s arm/small-$version-py3-none-linux_aarch64.whl ]] || complain "the wheel for aarch64: $(ls arm)"
fi
finish
