#!/bin/bash
# What a training tells on stderr: sentences, a JSON object a line for machines, or nothing but failures.
# shellcheck source=tests/support/tool.sh
source "$(dirname "$0")/../support/tool.sh"
small_data data.txt
small_config config.yaml

# event NAME MEMBER...: log.txt has one line of the event, with each of the members.
event() {
  local name=$1 member
  shift
  [[ $(grep -c "^{\"event\":\"$name\",\"time\":[0-9]*\.[0-9][0-9][0-9],.*}$" log.txt) == 1 ]] ||
    complain "event $name: $(cat log.txt)"
  for member in "$@"; do
    grep "^{\"event\":\"$name\"" log.txt | grep -qF -- "$member" || complain "event $name without $member: $(cat log.txt)"
  done
}

"$MOIRE" train config.yaml --data data.txt --out 'a "run"' --log json >out.txt 2>log.txt || complain "$(cat log.txt)"
grep -v '^{"event":"[a-z]*","time":[0-9]*\.[0-9][0-9][0-9],.*}$' log.txt && complain 'lines that are no events'
event start '"model":"qia"' '"directory":"a \"run\""' '"parameters":1' '"batch":64' '"epochs_done":0'
[[ $(grep -c '^{"event":"epoch"' log.txt) == 3 ]] || complain "epochs: $(cat log.txt)"
for i in 1 2 3; do # an epoch's event is its line of metrics.jsonl, and whether it is the best
  line=$(sed -n "${i}s/^{\(.*\)}$/\1/p" 'a "run"/metrics.jsonl')
  grep '^{"event":"epoch"' log.txt | grep -qF ",$line,\"best\":" || complain "epoch $i is not as in metrics.jsonl: $line"
done
grep -q '"epoch":0,.*"best":true}$' log.txt || complain 'the first epoch is not the best so far'
event data 'one user a line'
event testing best.safetensors
event test '"best_epoch":' "$(tail -n 1 'a "run"/metrics.jsonl' | sed 's/.*\("test":{.*}\)}$/\1/')" '"popularity":{"HR@5":'
grep -q '^3 epochs of' out.txt || complain "the result: $(cat out.txt)"

"$MOIRE" train config.yaml --data data.txt --out 'a "run"' --log json --resume --set epochs=4 >out.txt 2>log.txt ||
  complain "$(cat log.txt)"
event resume 'after 3 epochs'
event start '"epochs_done":3'
event epoch '"epoch":3,'
status=0
"$MOIRE" train config.yaml --data absent.txt --log json >out.txt 2>log.txt || status=$?
[[ $status == 1 && $(wc -l <log.txt) == 1 ]] || complain "status $status: $(cat log.txt)"
event failed absent.txt

# Without a terminal: a line an epoch and no bar; with --quiet nothing, and failures still.
"$MOIRE" train config.yaml --data data.txt --out b >out.txt 2>log.txt || complain "$(cat log.txt)"
[[ $(grep -c '^epoch [0-2]: loss ' log.txt) == 3 && $(wc -l <log.txt) == 6 ]] || complain "text: $(cat log.txt)"
grep -q $'[\r\033]' log.txt && complain 'a bar without a terminal'
"$MOIRE" train config.yaml --data data.txt --out c --quiet --json >quiet.txt 2>log.txt || complain "$(cat log.txt)"
[[ ! -s log.txt ]] || complain "--quiet says: $(cat log.txt)"
grep -q '^{"epochs":3,' quiet.txt || complain "the result of --quiet: $(cat quiet.txt)"
cmp b/best.safetensors c/best.safetensors || complain 'telling changes the result'
refused 1 absent.txt -- "$MOIRE" train config.yaml --data absent.txt --quiet
refused 2 --log yaml -- "$MOIRE" train config.yaml --data data.txt --log yaml
refused 2 --seeds --quiet -- "$MOIRE" train config.yaml --data data.txt --out d --seeds 2 --quiet
finish
