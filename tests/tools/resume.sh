#!/bin/bash
# Killed with SIGKILL or interrupted at random moments and resumed each time, a run leaves the files of an
# uninterrupted one, and whatever checkpoint lies on disk after a kill can be read; so does a run that saves after
# every step.
# shellcheck source=tests/support/tool.sh
source "$(dirname "$0")/../support/tool.sh"

kills=12
[[ -z ${MOIRE_SANITIZE:-} ]] || kills=6 # a sanitizer's runs are long
seed=${MOIRE_TEST_SEED:-$(date +%s)}
echo "MOIRE_TEST_SEED=$seed"
RANDOM=$((seed % 32768))

"$MOIRE" synth --users 200 --items 80 --length 8 --ring 4 --cycle 8 --out data.txt
small_config config.yaml
common=("$MOIRE" train config.yaml --data data.txt --threads 2 --set epochs=20 --set patience=20)

# milliseconds COMMAND...: how long it takes, in $elapsed.
milliseconds() {
  local begin
  begin=$(date +%s%N)
  "$@" 2>log.txt >whole.txt || complain "$(cat log.txt)"
  elapsed=$((($(date +%s%N) - begin) / 1000000))
}

compare() {
  cmp whole/best.safetensors run/best.safetensors || complain "best differs, $*"
  cmp whole/last.safetensors run/last.safetensors || complain "last differs, $*"
  sed 's/"[a-z]*_seconds":[0-9.]*//g' run/metrics.jsonl | cmp whole.jsonl - || complain "metrics differ, $*"
  cmp whole/ranks.txt run/ranks.txt || complain "ranks differ, $*"
  [[ $(ls -A run) == $'best.safetensors\nconfig.yaml\nlast.safetensors\nlock\nmetrics.jsonl\nranks.txt\nrun.json' ]] ||
    complain "left over: $(ls -A run)"
}

# Kills a run again and again, until it is whole; save_minutes is $1.
kill_and_resume() {
  train=("${common[@]}" --set "save_minutes=$1")
  rm -rf run whole start
  milliseconds "${train[@]}" --out start --set epochs=1
  start=$elapsed
  milliseconds "${train[@]}" --out whole
  training=$((elapsed > start + 100 ? elapsed - start : 100))
  sed 's/"[a-z]*_seconds":[0-9.]*//g' whole/metrics.jsonl >whole.jsonl
  killed=0 finished=0 parts=0
  while ((killed < kills)); do
    signal=KILL
    ((RANDOM % 2)) || signal=INT
    "${train[@]}" --out run --resume >run.txt 2>log.txt &
    process=$!
    delay=$((start / 2 + RANDOM % (start / 2 + training / 2)))
    sleep "$((delay / 1000)).$(printf '%03d' $((delay % 1000)))"
    kill -"$signal" "$process" 2>/dev/null || true
    status=0
    { wait "$process"; } 2>/dev/null || status=$?
    if ((status == 0)); then
      compare "finished after $killed kills"
      finished=$((finished + 1))
      rm -r run
      continue
    fi
    wanted=137
    [[ $signal == KILL ]] || wanted=130
    ((status == wanted)) || complain "exit status $status of SIG$signal: $(cat log.txt)"
    killed=$((killed + 1))
    [[ ! -e run/part.safetensors ]] || parts=$((parts + 1))
    epochs=$({ grep -c '"epoch":' run/metrics.jsonl || true; } 2>/dev/null)
    echo "SIG$signal after $delay ms, ${epochs:-0} epochs done"
    # The next resumption reads last.safetensors.
    [[ -e run/best.safetensors ]] || continue
    "$MOIRE" eval --checkpoint run/best.safetensors --data data.txt --json >eval.txt 2>log.txt ||
      complain "best.safetensors cannot be read after kill $killed: $(cat log.txt)"
  done
  "${train[@]}" --out run --resume >run.txt 2>log.txt || complain "the last resumption: $(cat log.txt)"
  compare "after the last of $kills kills"
  cmp whole.txt run.txt || complain 'the results printed differ'
  "${train[@]}" --out run --resume >run.txt 2>log.txt || complain "resuming what is complete: $(cat log.txt)"
  compare 'after resuming what is complete'
  echo "$finished run(s) finished between the kills, $parts part(s) of an epoch were saved"
}

kills=$((kills / 2))
kill_and_resume 0
kill_and_resume 0.00001 # after every step

# Interrupted within its first epoch, a run goes on after the steps that it has made, and so does one whose earlier
# files it has replaced; a part that is older than the last whole epoch is left behind.
kill_within part "${train[@]}"
cp part/part.safetensors old.safetensors
"${train[@]}" --out part --resume >part.txt 2>log.txt || complain "a part is not resumed: $(cat log.txt)"
grep -q 'resuming part/part.safetensors after' log.txt || complain "resumed from another: $(head -n 3 log.txt)"
rm -r run
mv part run
compare 'after a part'
cmp whole.txt part.txt || complain 'the results of a part that was resumed differ'
cp old.safetensors run/part.safetensors
"${train[@]}" --out run --resume >part.txt 2>log.txt || complain "an old part is in the way: $(cat log.txt)"
rm -f run/part.safetensors
compare 'with an old part'
mkdir orphan
sed 's/\\"epochs\\":0,/\\"epochs\\":1,/' old.safetensors >orphan/part.safetensors
refused 1 'wanted the state of a training run' -- "${train[@]}" --out orphan --resume
sed -i 's/\\"best_epoch\\":-1,/\\"best_epoch\\":0, /' orphan/part.safetensors
refused 1 'part of epoch 1' last.safetensors -- "${train[@]}" --out orphan --resume

# What a continuation may not change, and what may have happened to the files meanwhile.
refused 1 last.safetensors lr 0.002 -- "${train[@]}" --out run --resume --set lr=0.002
refused 1 last.safetensors hidden_size 16 -- "${train[@]}" --out run --resume --set hidden_size=16
"$MOIRE" synth --users 61 --items 80 --length 8 --ring 4 --cycle 8 --out other.txt
refused 1 last.safetensors other.txt -- "$MOIRE" train config.yaml --data other.txt --out run --resume --set item_size=81
head -n 3 run/metrics.jsonl >short.jsonl
cp short.jsonl run/metrics.jsonl
refused 1 metrics.jsonl:4 'epoch 3' -- "${train[@]}" --out run --resume
rm run/best.safetensors
cp whole/metrics.jsonl run/
refused 1 run/best.safetensors -- "${train[@]}" --out run --resume
head -c 700 whole/last.safetensors >run/last.safetensors
refused 1 run/last.safetensors -- "${train[@]}" --out run --resume

# An interrupt ends after the step, says so, and loses nothing.
rm -r run
"$MOIRE" train config.yaml --data data.txt --out run --set epochs=1000000 --set patience=1000000 >run.txt 2>log.txt &
process=$!
for ((i = 0; i < 300; i++)); do
  [[ -e run/last.safetensors ]] && break
  sleep 0.1
done
kill -TERM "$process"
status=0
wait "$process" || status=$?
[[ $status == 130 ]] || complain "exit status $status after an interrupt: $(cat log.txt)"
grep -q -- '--resume goes on there' log.txt || complain "nothing is said about the interrupt: $(cat log.txt)"
finish
