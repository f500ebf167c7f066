#!/bin/bash
# What an interruption, a damaged journal, a killed compilation and names with escape sequences leave behind.
# shellcheck source=tests/support/tool.sh
source "$(dirname "$0")/../support/tool.sh"

small_data data.txt
small_config config.yaml

# A terminal that hangs up is an interruption; under nohup it is not.
"$MOIRE" train config.yaml --data data.txt --out run --set epochs=100000 --set patience=100000 >/dev/null 2>train.txt &
training=$!
for _ in {1..600}; do
  [[ -s run/metrics.jsonl && $(wc -l <run/metrics.jsonl) -ge 2 ]] && break
  sleep 0.1
done
kill -HUP "$training"
status=0
wait "$training" || status=$?
grep -q -- '--resume goes on there' train.txt || complain "SIGHUP, exit status $status: $(tail -n 3 train.txt)"

# A line of the journal that is no JSON is not taken over.
sed -i '1s/,"train_loss":/,"train_loss" oops /' run/metrics.jsonl
cp run/metrics.jsonl before.jsonl
refused 1 metrics.jsonl:1 'no line of JSON' -- \
  "$MOIRE" train config.yaml --data data.txt --out run --set epochs=100000 --set patience=100000 --resume
cmp -s before.jsonl run/metrics.jsonl || complain 'a journal that was refused has changed'

# Escape sequences of a file do not reach the terminal.
printf 'hidden_\033[31msize: 3\nmodel: qia\n' >escape.yaml
"$MOIRE" train escape.yaml --data data.txt --out other >/dev/null 2>escape.txt && complain 'a key with an escape is taken'
grep -q $'\033' escape.txt && complain "an escape sequence is printed: $(od -c escape.txt | head)"

# Folders of compilations that were killed go with the next one, those of living processes stay.
sh -c 'echo $$' >dead.txt
mkdir lib "lib/.moire.$(cat dead.txt).Abc123" "lib/.moire.$$.Abc123" lib/.moire.mine
"$MOIRE" compile config.yaml --train --set item_size=20 -o lib/small >/dev/null 2>compile.txt || complain "$(cat compile.txt)"
[[ ! -e lib/.moire.$(cat dead.txt).Abc123 ]] || complain 'what a killed compilation left stays for good'
[[ -e lib/.moire.$$.Abc123 && -e lib/.moire.mine ]] || complain 'a folder of somebody else is gone'
((failures == 0))
