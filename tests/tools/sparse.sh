#!/bin/bash
# Tables of which rows are stepped alone, in whole trainings: the same bits by any number of threads, killed, interrupted and
# resumed, from memory and from files; a checkpoint of a whole epoch goes on with all rows, and the other way around.
# shellcheck source=tests/support/tool.sh
source "$(dirname "$0")/../support/tool.sh"
small_data data.txt
small_config qia.yaml
sed -e 's/^model: qia/model: pswrec_v13/' -e '/^band/d' qia.yaml >pswrec.yaml

# train DIR KEY=VALUE...: of `command`; options begin with --.
train() {
  local sets=() out=$1 key
  shift
  for key in "$@"; do
    [[ $key == --* ]] || sets+=(--set)
    sets+=("$key")
  done
  "${command[@]}" --out "$out" "${sets[@]}" >/dev/null 2>log.txt
}
# same A B: all but the header, which has the configuration.
same() { cmp <(tail -c 20000 "$1") <(tail -c 20000 "$2"); }
losses() { sed -n 's/.*"train_loss":\([0-9.e-]*\).*/\1/p' "$1/metrics.jsonl" | xargs; }

for config in qia.yaml pswrec.yaml; do
  command=("$MOIRE" train $config --data data.txt --quiet --set loss=sampled_softmax --set negatives=12 --set optimizer=adamw
    --set weight_decay=0.01 --set epochs=5 --set clip_norm=1 --set schedule=cosine --set warmup_steps=3 --set total_steps=40)
  train dense || complain "$config: $(cat log.txt)"
  for sparse in exact lazy; do
    name="$config, $sparse"
    train run sparse=$sparse --threads=1 || complain "$name: $(cat log.txt)"
    train again sparse=$sparse --threads=3 || complain "$name: $(cat log.txt)"
    cmp run/last.safetensors again/last.safetensors || complain "$name: other threads, other bits"
    train parts sparse=$sparse epochs=2 || complain "$name: $(cat log.txt)"
    train parts sparse=$sparse --resume || complain "$name: --resume: $(cat log.txt)"
    cmp run/last.safetensors parts/last.safetensors || complain "$name: resumed, other bits"
    train saved sparse=$sparse save_minutes=0.00001 || complain "$name: $(cat log.txt)"
    same run/last.safetensors saved/last.safetensors || complain "$name: saved within epochs, other bits"
    train file sparse=$sparse table=file || complain "$name: $(cat log.txt)"
    same run/last.safetensors file/last.safetensors || complain "$name: in files, other bits"
    [[ $(ls -A file) == $(ls -A run) ]] || complain "$name: left over: $(ls -A file)"
    if [[ $sparse == exact ]]; then
      awk "BEGIN { a = split(\"$(losses dense)\", x, \" \"); split(\"$(losses run)\", y, \" \")
        for (i = 1; i <= a; i++) off = off || (x[i] - y[i]) ^ 2 > 1e-8; exit off || a < 5 }" ||
        complain "$name: losses $(losses run), of all rows $(losses dense)"
    fi
    rm -r again parts saved file
    mv run $sparse
  done

  # Within an epoch: killed and resumed; not by a training of all rows, which has no way to catch up.
  kill_within part "${command[@]}" --set sparse=exact
  cp -r part other
  train part sparse=exact table=./scratch --resume || complain "$config: part: $(cat log.txt)"
  same exact/last.safetensors part/last.safetensors || complain "$config: killed and resumed, other bits"
  if train other --resume; then complain "$config: all rows go on within an epoch"; fi
  grep -q 'stands after step.*sparse: exact' log.txt || complain "$config: $(cat log.txt)"
  rm -r part other scratch

  # A whole epoch: from rows to all, and back.
  train rows sparse=exact epochs=2 || complain "$config: $(cat log.txt)"
  train rows --resume || complain "$config: all rows go on: $(cat log.txt)"
  train all epochs=2 || complain "$config: $(cat log.txt)"
  train all sparse=exact --resume || complain "$config: rows alone go on: $(cat log.txt)"
  for run in rows all; do
    awk "BEGIN { a = split(\"$(losses dense)\", x, \" \"); split(\"$(losses $run)\", y, \" \")
      for (i = 1; i <= a; i++) off = off || (x[i] - y[i]) ^ 2 > 1e-8; exit off || a < 5 }" ||
      complain "$config: $run: losses $(losses $run), of all rows $(losses dense)"
  done
  if train rows sparse=lazy --resume; then complain "$config: lazy goes on from exact"; fi
  grep -q sparse log.txt || complain "$config: $(cat log.txt)"
  rm -rf rows all dense exact lazy
done

config=qia.yaml
common=("$MOIRE" train qia.yaml --data data.txt --out bad)
refused 1 sparse item_embeddings.weight sampled_softmax -- "${common[@]}" --set sparse=exact
refused 1 sparse 'batch_groups: 0' -- "${common[@]}" --set sparse=exact --set loss=gbce --set batch_groups=4
refused 1 sparse 'adam or adamw' -- "${common[@]}" --set sparse=lazy --set loss=gbce --set optimizer=sgd
refused 1 sparse 'ema: 0' -- "${common[@]}" --set sparse=lazy --set loss=gbce --set ema=0.9
refused 1 sparse 'accumulate: 1' -- "${common[@]}" --set sparse=exact --set loss=gbce --set accumulate=2
refused 1 sparse adamw weight_decay -- "${common[@]}" --set sparse=exact --set loss=gbce --set weight_decay=0.1
refused 1 'sparse' exact lazy -- "${common[@]}" --set sparse=some
refused 1 table 'sparse: exact or lazy' -- "${common[@]}" --set table=file
refused 1 'table is disk' -- "${common[@]}" --set sparse=exact --set loss=gbce --set table=disk
refused 1 sparse -- "$MOIRE" compile qia.yaml --train --set sparse=exact --set loss=gbce --set item_size=80 -o bad
finish
