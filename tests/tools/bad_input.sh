#!/bin/bash
# What is wrong with a configuration, a data set, a checkpoint, an argument, a disk: one sentence each that names
# the place, exit status 1 (2 for wrong usage), and nothing lost that was there before.
# shellcheck source=tests/support/tool.sh
source "$(dirname "$0")/../support/tool.sh"

small_data data.txt
small_config good.yaml
"$MOIRE" train good.yaml --data data.txt --out run --set epochs=1 >run.txt 2>log.txt || complain "$(cat log.txt)"
best=run/best.safetensors

# ---- usage -----------------------------------------------------------------------------------------------------

refused 2 usage -- "$MOIRE"
refused 2 "'evla'" "did you mean 'eval'" -- "$MOIRE" evla
refused 2 xyzzyxyzzy --help -- "$MOIRE" xyzzyxyzzy
refused 2 configuration -- "$MOIRE" train
refused 2 frobnicate -- "$MOIRE" train good.yaml --frobnicate
refused 2 --precision "'fp8'" -- "$MOIRE" verify --precision fp8 golden.safetensors
refused 1 precision fp8 -- "$MOIRE" train good.yaml --data data.txt --out none --set precision=fp8
refused 1 hidden_size 'at least 2' -- "$MOIRE" train good.yaml --data data.txt --out none --set model=pm_ssd \
  --set hidden_size=1 --set num_attention_heads=1
refused 2 --threads 0 -- "$MOIRE" train good.yaml --threads 0
refused 2 --threads many -- "$MOIRE" eval --threads many
refused 2 --checkpoint --data -- "$MOIRE" eval
refused 2 --split train -- "$MOIRE" eval --checkpoint "$best" --data data.txt --split train
refused 2 --top -- "$MOIRE" recommend --checkpoint "$best" --data data.txt --top 0
refused 2 golden -- "$MOIRE" verify
refused 2 --engine gpu -- "$MOIRE" verify --engine gpu x
refused 2 --format pdf -- "$MOIRE" graph qia --format pdf
refused 2 --burst 1.5 -- "$MOIRE" synth --burst 1.5
refused 1 items -- "$MOIRE" synth --items 10
refused 2 --kind radar signals -- "$MOIRE" synth --kind radar
refused 2 --records 'of --kind signals' -- "$MOIRE" synth --records 10
refused 2 --burst 'of --kind sequences' -- "$MOIRE" synth --burst 0.5 --kind signals -o s.safetensors
refused 2 --out signals -- "$MOIRE" synth --kind signals
refused 2 --records 0 -- "$MOIRE" synth --kind signals -o s.safetensors --records 0
refused 1 length 15 -- "$MOIRE" synth --kind signals -o s.safetensors --length 15
refused 1 'most snr' -- "$MOIRE" synth --kind signals -o s.safetensors --least-snr 5 --most-snr 4
refused 1 no/such -- "$MOIRE" synth --kind signals -o no/such/s.safetensors --records 8
[[ ! -e s.safetensors ]] || complain 'a refused synth leaves a file'
refused 1 nosuch qia -- "$MOIRE" graph nosuch
refused 1 nosuch select fuse -- "$MOIRE" graph qia --after nosuch

# ---- configurations --------------------------------------------------------------------------------------------

# config WORD... <<TEXT: a configuration that is refused with these words.
config() {
  cat >bad.yaml
  refused 1 bad.yaml "$@" -- "$MOIRE" train bad.yaml --data data.txt --out none
}

config bad.yaml:3: <<<$'model: qia\nhidden_size: [3'
config :3: hiden_size <<<$'model: qia\nepochs: 1\nhiden_size: 8'
config :2: hidden_size 65536 <<<$'model: qia\nhidden_size: 0'
config :2: hidden_dropout_prob 1.5 <<<$'model: qia\nhidden_dropout_prob: 1.5'
config :2: lr much <<<$'model: qia\nlr: much'
config :2: epochs 1.5 <<<$'model: qia\nepochs: 1.5'
config :2: hidden_act relu gelu <<<$'model: qia\nhidden_act: relu'
config :2: stop_metric NDCG@3 <<<$'model: qia\nstop_metric: NDCG@3'
config :3: epochs 'line 2' <<<$'model: qia\nepochs: 1\nepochs: 2'
config num_attention_heads hidden_size 30 <<<$'model: qia\nhidden_size: 30\nnum_attention_heads: 4'
config band_dilations <<<$'model: qia\nband_kernel_sizes: [3]\nband_dilations: [1, 2]'
config model <<<'epochs: 1'
config empty </dev/null
config item_size 12 <<<$'model: qia\nitem_size: 12'
printf 'model: qia\nmore: {a: 1}\n' | config :2:
printf 'model: qia\n\0: 1\n' | config bad.yaml
printf 'model: \xff\n' | config bad.yaml
config :2: nothere qia <<<$'epochs: 1\nmodel: nothere'
refused 1 --set epochs many -- "$MOIRE" train good.yaml --data data.txt --set epochs=many --out none
refused 1 --set epochs -- "$MOIRE" train good.yaml --data data.txt --set epochs --out none
refused 1 --set epoch epochs -- "$MOIRE" train good.yaml --data data.txt --set epoch=1 --out none
refused 1 nosuch.yaml 'No such file' -- "$MOIRE" train nosuch.yaml --data data.txt
refused 1 good.yaml --data -- "$MOIRE" train good.yaml
[[ -e none ]] && complain 'a refused training leaves a directory'

# ---- data ------------------------------------------------------------------------------------------------------

# data WORD...: the data set on stdin is refused with these words, by training and by evaluation.
data() {
  cat >bad.txt
  refused 1 bad.txt "$@" -- "$MOIRE" train good.yaml --data bad.txt --out none
  refused 1 bad.txt "$@" -- "$MOIRE" eval --checkpoint "$best" --data bad.txt
}

data </dev/null
data :2: <<<$'u1 1 2 3 4\nu2 1 two 3'
data :1: <<<'u1 1 0 3 4'
data :1: <<<'u1 1 -2 3 4'
data :3: <<<$'u1 1 2 3 4\nu2 1 2 3 4\nu3 1 9223372036854775808 3 4'
data :2: <<<$'u1 1 2 3 4\nu2 1'
printf 'u1 1 2 3 4\nu2 1 2\0 3 4\n' | data :2:
refused 1 nosuch.txt 'No such file' -- "$MOIRE" train good.yaml --data nosuch.txt
refused 1 run -- "$MOIRE" train good.yaml --data run
echo 'u 1 2 3 4000' >bad.txt
refused 1 bad.txt 4000 item_size -- "$MOIRE" eval --checkpoint "$best" --data bad.txt
sed 's/$/\r/' data.txt >crlf.txt
head -c -1 data.txt >cut.txt
for file in crlf.txt cut.txt; do
  "$MOIRE" eval --checkpoint "$best" --data "$file" --json >"$file.json" 2>log.txt || complain "$file: $(cat log.txt)"
done
cmp crlf.txt.json cut.txt.json || complain 'line ends change the result'

# ---- checkpoints -----------------------------------------------------------------------------------------------

# little NUMBER: eight bytes, the lowest first.
little() {
  local n=$1 i text=
  for ((i = 0; i < 8; i++, n >>= 8)); do text+=$(printf '\\x%02x' $((n & 255))); done
  printf '%b' "$text"
}

# tensors HEADER BYTES WORD...: a file of this header and so many bytes is refused.
tensors() {
  local padded
  padded=$(printf "%-$(((${#1} + 7) / 8 * 8))sx" "$1")
  { little $((${#padded} - 1)) && printf '%s' "${padded%x}" && head -c "$2" /dev/zero; } >bad.safetensors
  refused 1 bad.safetensors "${@:3}" -- "$MOIRE" eval --checkpoint bad.safetensors --data data.txt --model qia \
    --config good.yaml
}

one='"x":{"dtype":"F32","shape":[2],"data_offsets":'
tensors "{${one}[0,8]}}" 7
tensors "{${one}[0,8]}}" 9
tensors "{${one}[0,4]}}" 4 x
tensors "{${one}[8,0]}}" 8 x
tensors "{${one}[0,8]},\"y\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}" 8
tensors "{${one}[0,8]},\"y\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[12,16]}}" 16
tensors '{"x":{"dtype":"F32","shape":[4294967296,4294967296,4],"data_offsets":[0,8]}}' 8 x
tensors '{"item_embeddings.weight":{"dtype":"Q7","shape":[2],"data_offsets":[0,8]}}' 8 item_embeddings.weight Q7
tensors "{${one}[0,8]},${one}[0,8]}}" 8 x
tensors "{${one}[0,8]}" 8
tensors 'not JSON' 0
tensors '[]' 0
tensors "{${one}[0,8]}}" 8 item_embeddings.weight
{ little 1000000 && printf '{}'; } >bad.safetensors
refused 1 bad.safetensors -- "$MOIRE" eval --checkpoint bad.safetensors --data data.txt
{ little -1 && printf '{}'; } >bad.safetensors
refused 1 bad.safetensors -- "$MOIRE" eval --checkpoint bad.safetensors --data data.txt

# other WORD...: a file of another kind is named as what it is, whatever it is called.
other() {
  cat >other.safetensors
  refused 1 other.safetensors "$@" -- "$MOIRE" eval --checkpoint other.safetensors --data data.txt
}

printf 'PK\3\4%22s\12\0\0\0a/data.pkl' '' | other PyTorch save_file
printf 'PK\3\4%22s\5\0\0\0x.npy' '' | other .npz numpy.save
printf '\x80\2\x8a\nl\xfc\x9c\x46\xf9' | other pickle save_file
printf '{"metadata": {}, "weight_map": {}}' | other index parts
printf '\x89HDF\r\n\x1a\n' | other HDF5
printf '\x1f\x8b\10\0\0\0\0\0\0\3' | other gunzip
printf '\x93NUMPY\1\0' | other .npy

size=$(stat -c %s "$best")
for at in 0 1 7 8 9 100 $((size / 4)) $((size / 2)) $((size - 4)) $((size - 1)); do
  head -c "$at" "$best" >bad.safetensors
  refused 1 bad.safetensors -- "$MOIRE" eval --checkpoint bad.safetensors --data data.txt
  refused 1 bad.safetensors -- "$MOIRE" verify bad.safetensors
done

# changed FROM TO WORD...: the checkpoint with its header edited, to the same length, is refused.
changed() {
  LC_ALL=C sed "1s/$1/$2/" "$best" >bad.safetensors
  cmp -s "$best" bad.safetensors && complain "nothing was changed by s/$1/$2/"
  refused 1 bad.safetensors "${@:3}" -- "$MOIRE" eval --checkpoint bad.safetensors --data data.txt
}
changed '"collapse_proj.bias"' '"collapse_prow.bias"' collapse_proj.bias
changed '"LayerNorm.bias":{"dtype":"F32"' '"LayerNorm.bias":{"dtype":"I32"' LayerNorm.bias F32 I32
changed '\\"hidden_size\\": 8' '\\"hidden_size\\": 4' wanted
changed '"model":"qia"' '"model":"que"' que
refused 1 absent.safetensors 'No such file' -- "$MOIRE" eval --checkpoint absent.safetensors --data data.txt
refused 1 format -- "$MOIRE" verify "$best"

# ---- what cannot be written ------------------------------------------------------------------------------------

cp -r run kept
# A limit on the size of files stands for a full disk: the write fails in the middle of the file.
status=0
(
  trap '' XFSZ
  ulimit -f 4
  exec "$MOIRE" train good.yaml --data data.txt --out run --resume >stdout.txt 2>stderr.txt
) || status=$?
[[ $status == 1 ]] || complain "exit status $status on a full disk: $(cat stderr.txt)"
grep -q 'run/[a-z]*\.safetensors: .*too large' stderr.txt || complain "on a full disk: $(cat stderr.txt)"
for file in best.safetensors last.safetensors; do
  cmp "run/$file" "kept/$file" || complain "a full disk changed $file"
done
[[ $(head -n 1 run/metrics.jsonl) == "$(head -n 1 kept/metrics.jsonl)" ]] || complain 'a full disk changed the metrics'
[[ -z $(find run -name '*.tmp.*') ]] || complain "a full disk leaves $(ls -A run)"
"$MOIRE" train good.yaml --data data.txt --out run --resume >stdout.txt 2>stderr.txt ||
  complain "after the disk was full: $(cat stderr.txt)"

refused 1 'No space left' -- bash -c '"$MOIRE" models >/dev/full'
refused 1 /dev/full -- "$MOIRE" eval --checkpoint "$best" --data data.txt --ranks /dev/full
refused 1 'no/such/dir' -- "$MOIRE" synth --out no/such/dir/x.txt
touch file
refused 1 file 'Not a directory' -- "$MOIRE" train good.yaml --data data.txt --out file/run
status=0
"$MOIRE" graph qia 2>stderr.txt | head -n 1 >stdout.txt || status=$?
[[ ! -s stderr.txt ]] || complain "a closed pipe: $(cat stderr.txt)"

# Root may read and write everything, so it becomes somebody else where it can.
as_somebody=()
if [[ $(id -u) == 0 ]]; then as_somebody=(setpriv --reuid 65534 --regid 65534 --clear-groups); fi
chmod 755 "$work"
if "${as_somebody[@]}" "$MOIRE" --version >/dev/null 2>&1; then
  cp data.txt secret.txt
  cp "$best" secret.safetensors
  chmod 000 secret.txt secret.safetensors
  mkdir closed
  chmod 555 closed
  chmod 644 good.yaml
  refused 1 secret.txt 'Permission denied' -- "${as_somebody[@]}" "$MOIRE" train good.yaml --data secret.txt --out none
  refused 1 secret.safetensors 'Permission denied' -- "${as_somebody[@]}" "$MOIRE" eval \
    --checkpoint secret.safetensors --data data.txt
  refused 1 closed 'Permission denied' -- "${as_somebody[@]}" "$MOIRE" train good.yaml --data data.txt --out closed/run
  refused 1 closed 'Permission denied' -- "${as_somebody[@]}" "$MOIRE" synth --out closed/x.txt
else
  echo 'not tested: permissions, since this user cannot become another'
fi
finish
