#!/bin/bash
# Sweeps: every combination once, in folders that can be told apart, continued after a kill, shared by two; and the
# table of the runs, with gaps and plots.
# shellcheck source=tests/support/tool.sh
source "$(dirname "$0")/../support/tool.sh"
small_data data.txt
small_config config.yaml
sweep=("$MOIRE" sweep config.yaml --data data.txt --set epochs=2 --threads 1)

# folders DIR: the runs there that are complete.
folders() {
  find "$1" -name run.json -printf '%h\n' | sort
}

# --- every combination, each in its folder
"${sweep[@]}" --grid lr=0.01,0.001 --grid 'band_dilations=[1, 2],[1, 3]' --seeds 2 --jobs 2 --out whole \
  >table.txt 2>log.txt || complain "sweep: $(cat log.txt)"
[[ $(folders whole | wc -l) == 8 ]] || complain "not 8 runs: $(folders whole)"
[[ $(wc -l <table.txt) == 5 ]] || complain "the table has not 4 rows: $(cat table.txt)"
grep -q '^band_dilations  *lr .*runs .*NDCG@10.*gap of NDCG@10' table.txt || complain "head: $(head -1 table.txt)"
[[ $(grep -c ' baseline' table.txt) == 1 && $(grep -c '±' table.txt) == 4 ]] || complain "rows: $(cat table.txt)"
run="whole/lr=0.01,band_dilations=1,2,seed=8"
[[ $(ls "$run") == $'best.safetensors\nconfig.yaml\nlast.safetensors\nlock\nlog.txt\nmetrics.jsonl\nranks.txt\nrun.json' ]] ||
  complain "files of $run: $(ls "$run")"
grep -q '^testing whole/.*best.safetensors, epoch [01]: [0-9]* bytes, written 20' "$run/log.txt" ||
  complain "the log does not say what is tested: $(cat "$run/log.txt")"

# The configuration that was kept is the whole of it.
"$MOIRE" train "$run/config.yaml" --out again --threads 2 >/dev/null 2>&1 || complain 'config.yaml does not train'
cmp "$run/best.safetensors" again/best.safetensors || complain 'config.yaml trains something else'
"$MOIRE" eval --checkpoint "$run/best.safetensors" --data data.txt --ranks ranks.txt >/dev/null
cmp ranks.txt "$run/ranks.txt" || complain 'ranks.txt is not what eval finds'

# --- again: nothing is trained; another configuration in the same folders is refused
"${sweep[@]}" --grid lr=0.01,0.001 --grid 'band_dilations=[1, 2],[1, 3]' --seeds 2 --out whole >again.txt 2>log.txt ||
  complain "again: $(cat log.txt)"
[[ $(grep -c 'is complete' log.txt) == 8 ]] || complain "trained again: $(cat log.txt)"
cmp table.txt again.txt || complain 'another table'
mkdir -p other && cp -r "$run" "other/lr=0.01"
"${sweep[@]}" --grid lr=0.01 --set weight_decay=0.5 --set 'band_dilations=[1, 2]' --set seed=8 --out other \
  >stdout.txt 2>stderr.txt && complain 'a run of another configuration was overwritten'
grep -q 'weight_decay' stderr.txt || complain "weight_decay: $(cat stderr.txt)"

# --- two sweeps share a folder: no run is trained twice
"${sweep[@]}" --grid lr=0.01,0.001,0.0001 --seeds 2 --out shared >one.txt 2>one.log &
first=$!
"${sweep[@]}" --grid lr=0.01,0.001,0.0001 --seeds 2 --out shared >two.txt 2>two.log || complain "second: $(cat two.log)"
wait "$first" || complain "first: $(cat one.log)"
cmp one.txt two.txt || complain 'two tables'
for folder in $(folders shared); do
  [[ $(grep -c '^epoch 0:' "$folder/log.txt") == 1 ]] || complain "$folder was trained twice"
done
[[ $(folders shared | wc -l) == 6 ]] || complain 'not 6 runs'

# --- stopped in the middle, and continued to the same result
"${sweep[@]}" --grid lr=0.01,0.001 --set epochs=30 --set patience=30 --out whole30 >/dev/null 2>&1
for signal in TERM KILL; do
  "${sweep[@]}" --grid lr=0.01,0.001 --set epochs=30 --set patience=30 --out "cut$signal" >/dev/null 2>cut.log &
  sweeper=$!
  for _ in $(seq 100); do
    grep -qs '^epoch 3:' "cut$signal/lr=0.01/log.txt" && break
    sleep 0.1
  done
  kill -"$signal" "$sweeper"
  status=0
  wait "$sweeper" || status=$?
  [[ $status == 13[07] || $status == 0 ]] || complain "$signal ends it with status $status: $(cat cut.log)"
  for _ in $(seq 100); do # its training ends with it
    grep -qs "cu[t]$signal/" /proc/[0-9]*/cmdline || break
    sleep 0.1
  done
  grep -qs "cu[t]$signal/" /proc/[0-9]*/cmdline && complain "$signal leaves a training behind"
  "${sweep[@]}" --grid lr=0.01,0.001 --set epochs=30 --set patience=30 --out "cut$signal" >/dev/null 2>cut.log ||
    complain "continued: $(cat cut.log)"
  for run in lr=0.01 lr=0.001; do
    cmp "whole30/$run/best.safetensors" "cut$signal/$run/best.safetensors" || complain "$run differs after $signal"
  done
done

# --- several seeds of one configuration
"$MOIRE" train config.yaml --data data.txt --seeds 3 --out seeds --stop-metric HR@20 --patience 1 --threads 1 --json \
  >seeds.json 2>log.txt || complain "train --seeds: $(cat log.txt)"
[[ $(folders seeds) == $'seeds/seed=7\nseeds/seed=8\nseeds/seed=9' ]] || complain "seeds: $(folders seeds)"
grep -q '"seeds":\[7,8,9\]' seeds.json || complain "seeds.json: $(cat seeds.json)"
grep -q '^stop_metric: "HR@20"' seeds/seed=9/config.yaml || complain 'stop_metric'
grep -q '^patience: 1$' seeds/seed=9/config.yaml || complain 'patience'

# --- the table in its other forms, and against a file of ranks
"$MOIRE" runs whole seeds --format markdown >table.md || complain 'markdown'
[[ $(wc -l <table.md) == 7 && $(sed -n 2p table.md) =~ ^(\|---)+\|$ ]] || complain "markdown: $(cat table.md)"
"$MOIRE" runs whole --baseline ranks.txt --metric HR@10 --json >runs.json || complain 'a file of ranks as the baseline'
grep -q '"baseline":"ranks.txt"' runs.json || complain "$(cat runs.json)"
grep -q '"gap":{"mean":0.0,"low":0.0,"high":0.0,"noise":true}' <("$MOIRE" runs again --baseline ranks.txt --json) ||
  complain 'a run differs from its own ranks'
cp -r whole30 damaged
head -n 30 whole30/lr=0.01/ranks.txt >damaged/lr=0.01/ranks.txt
"$MOIRE" runs damaged --baseline lr=0.001 | grep -q '^0.01 .* other samples$' || complain 'ranks of other users'
rm damaged/lr=0.01/ranks.txt
"$MOIRE" runs damaged --baseline lr=0.001 | grep -q '^0.01 .* no values$' || complain 'no ranks'
echo first >damaged/lr=0.01/ranks.txt
refused 1 damaged/lr=0.01/ranks.txt:1 rank -- "$MOIRE" runs damaged
"$MOIRE" runs whole --plot-curves curves.svg --plot-grid grid.svg >/dev/null || complain 'plots'
for svg in curves.svg grid.svg; do
  [[ $(head -c 5 $svg) == '<svg ' && $(tail -n 1 $svg) == '</svg>' ]] || complain "$svg"
done
[[ $(grep -c '<polyline' curves.svg) == 16 ]] || complain 'not two curves a run'
[[ $(grep -c '<rect x=' grid.svg) == 4 ]] || complain "not four cells: $(cat grid.svg)"

# --- mistakes
refused 1 learning_rate -- "${sweep[@]}" --grid learning_rate=1,2 --out none
refused 1 lr=-1 lr -- "${sweep[@]}" --grid lr=0.1,-1 --out none
[[ ! -e none ]] || complain 'something was trained before the mistake was found'
refused 2 KEY=VALUE -- "${sweep[@]}" --grid lr --out none
refused 2 'empty value' -- "${sweep[@]}" --grid lr=1,,2 --out none
refused 2 twice -- "${sweep[@]}" --grid lr=1 --grid lr=2 --out none
mkdir empty
refused 1 run.json empty -- "$MOIRE" runs empty
refused 1 none -- "$MOIRE" runs none
refused 1 baseline nothing -- "$MOIRE" runs whole --baseline nothing
refused 1 --metric MRR NDCG@20 -- "$MOIRE" runs whole --metric MRR
echo '{"format":"run/1"}' >again/run.json
refused 1 again/run.json -- "$MOIRE" runs again
finish
