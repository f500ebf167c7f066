#!/bin/bash
# A run's folder is one run's: two trainings at once, a second one later, what is left of an earlier one beside new
# weights, and what a training that fails leaves of the run that it was to replace.
# shellcheck source=tests/support/tool.sh
source "$(dirname "$0")/../support/tool.sh"

small_data data.txt
small_config config.yaml
train=("$MOIRE" train config.yaml --data data.txt)

# ---- one run after another ----------------------------------------------------------------------------------------

"${train[@]}" --out run >first.txt 2>log.txt || complain "$(cat log.txt)"
cp -r run kept
kept() {
  diff -r run kept || complain "$*"
}
# The same training again is let in, since it gives the same files; another one is not.
cp -r run repeated
"${train[@]}" --out repeated >/dev/null 2>log.txt || complain "the same again: $(cat log.txt)"
for file in best.safetensors last.safetensors ranks.txt config.yaml; do
  cmp run/$file repeated/$file || complain "the same again gives another $file"
done
sed '1s/$/ 1/' data.txt >other.txt
refused 1 'repeated: holds a run already' -- "$MOIRE" train config.yaml --data other.txt --out repeated
refused 1 'run: holds a run already' --resume --overwrite --out -- "${train[@]}" --out run --set lr=0.003
refused 1 'run: holds a run already' -- "${train[@]}" --out run --set lr=0.002
kept 'a refused run changed the folder'
refused 1 last.safetensors lr -- "${train[@]}" --out run --resume --set lr=0.002
kept 'a run that cannot be resumed changed the folder'
refused 2 --resume --overwrite -- "${train[@]}" --out run --resume --overwrite
refused 2 --overwrite --seeds -- "${train[@]}" --out run --seeds 2 --overwrite

# The folder of a configuration is the same whatever --set says, so the second of two is refused there, too.
"${train[@]}" --set epochs=1 >/dev/null 2>log.txt || complain "$(cat log.txt)"
refused 1 'out/config: holds a run' -- "${train[@]}" --set epochs=1 --set lr=0.01
# A folder with a file that a run would replace, whoever wrote it.
mkdir mine
cp config.yaml mine
refused 1 'mine: holds a run already (config.yaml)' -- "${train[@]}" --out mine
[[ $(ls -A mine) == config.yaml ]] && cmp config.yaml mine/config.yaml || complain "somebody's config.yaml was replaced"

# What fails before its first epoch has ended leaves the earlier run as it was: here, the loss is no number.
refused 1 'loss became' -- "${train[@]}" --out run --overwrite --set optimizer=adamw --set lr=100 --set weight_decay=100 \
  --set batch_size=8
kept 'a run that failed in its first epoch changed the folder'
# … and here there is no room for the checkpoint.
status=0
(
  trap '' XFSZ
  ulimit -f 8
  exec "${train[@]}" --out run --overwrite >stdout.txt 2>stderr.txt
) || status=$?
[[ $status == 1 ]] || complain "exit status $status where there is no room: $(cat stderr.txt)"
kept 'a run without room for its first checkpoint changed the folder'

# A run that replaces another is the run that it would be alone; a coder's folder has no ranks.
"${train[@]}" --out alone --set epochs=2 --set lr=0.002 >alone.txt 2>log.txt || complain "$(cat log.txt)"
"${train[@]}" --out run --overwrite --set epochs=2 --set lr=0.002 >second.txt 2>log.txt || complain "$(cat log.txt)"
cmp alone.txt second.txt || complain 'the results differ from those in a folder of its own'
for file in best.safetensors last.safetensors config.yaml ranks.txt; do
  cmp "alone/$file" "run/$file" || complain "$file differs from that in a folder of its own"
done
[[ $(wc -l <run/metrics.jsonl) == 3 ]] || complain "metrics of two runs: $(cat run/metrics.jsonl)"
cat >coder.yaml <<'YAML'
model: semantic_id
codebook_sizes: [4, 4]
epochs: 1
YAML
"$MOIRE" train coder.yaml --features alone/best.safetensors --tensor item_embeddings.weight --out run --overwrite \
  >/dev/null 2>log.txt || complain "$(cat log.txt)"
[[ ! -e run/ranks.txt ]] || complain 'ranks of a recommender stay beside a coder'

# More epochs: nothing of the test of the shorter run stays beside the weights of the longer one.
cp -r alone longer
"${train[@]}" --out longer --resume --set epochs=1000000 --set patience=1000000 --set lr=0.002 >stdout.txt 2>log.txt &
process=$!
for ((i = 0; i < 300; i++)); do
  (($(wc -l <longer/metrics.jsonl) > 4)) && break
  sleep 0.1
done
[[ ! -e longer/ranks.txt && ! -e longer/run.json ]] || complain "beside a run that goes on: $(ls longer)"

# ---- at once ------------------------------------------------------------------------------------------------------

for how in --resume --overwrite --threads=1; do
  refused 1 'longer: another training runs there' longer/lock -- "${train[@]}" --out longer "$how" --set lr=0.002
done
kill -INT $process
wait $process || true
"${train[@]}" --out longer --overwrite --set epochs=1 >/dev/null 2>log.txt || complain "the lock stays: $(cat log.txt)"
# Killed, it leaves no lock either.
"${train[@]}" --out killed --set epochs=1000000 --set patience=1000000 >stdout.txt 2>log.txt &
process=$!
for ((i = 0; i < 300; i++)); do
  [[ -e killed/last.safetensors ]] && break
  sleep 0.1
done
refused 1 'killed: another training runs there' -- "${train[@]}" --out killed --overwrite
kill -9 $process
wait $process || true
"${train[@]}" --out killed --resume --set epochs=1 >/dev/null 2>log.txt || complain "after a kill: $(cat log.txt)"

# A sweep's trainings hold its locks: nobody else gets in, and the sweep is not kept out by itself.
"$MOIRE" sweep config.yaml --data data.txt --out grid --grid lr=0.01,0.02 --jobs 2 --threads 1 --set epochs=1000000 \
  --set patience=1000000 >stdout.txt 2>sweep.txt &
process=$!
for ((i = 0; i < 300; i++)); do
  [[ -e grid/lr=0.01/last.safetensors && -e grid/lr=0.02/last.safetensors ]] && break
  sleep 0.1
done
for lr in 0.01 0.02; do
  refused 1 'another training runs there' -- "${train[@]}" --out "grid/lr=$lr" --resume --set "lr=$lr"
done
kill -TERM $process
wait $process || true
for lr in 0.01 0.02; do
  "${train[@]}" --out "grid/lr=$lr" --resume --set "lr=$lr" --set epochs=2 >/dev/null 2>log.txt ||
    complain "a sweep that ended keeps a lock: $(cat log.txt)"
done
refused 1 grid/lr=0.01/lock -- "${train[@]}" --out grid/lr=0.01 --resume --set lr=0.01 --lock 0 </dev/null

# ---- no folder ----------------------------------------------------------------------------------------------------

before=$(ls -A)
refused 2 '--out: wanted a folder' -- "${train[@]}" --out ''
refused 2 '--profile: wanted a folder' -- "${train[@]}" --out new --profile ''
refused 2 '--out: wanted a folder' -- "$MOIRE" sweep config.yaml --data data.txt --out ''
refused 2 '--output: wanted a file' -- "$MOIRE" encode --checkpoint run/best.safetensors --features alone/best.safetensors -o ''
[[ $(ls -A) == "$before" ]] || complain "what was refused left something: $(ls -A)"
finish
