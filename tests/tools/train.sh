#!/bin/bash
# Early stopping, the files of a run, and that what training reports is what evaluation finds.
# shellcheck source=tests/support/tool.sh
source "$(dirname "$0")/../support/tool.sh"

small_data data.txt
small_config config.yaml
"$MOIRE" train config.yaml --data data.txt --out a/b/run --set epochs=40 --set patience=2 --set lr=0.01 \
  --set stop_metric=HR@5 --json >result.json 2>log.txt || complain "$(cat log.txt)"
run=a/b/run

# metric SPLIT NAME: the values of a metric in metrics.jsonl, one a line.
metric() {
  grep -o "\"$1\":{[^}]*}" $run/metrics.jsonl | sed "s/.*\"$2\":\([0-9.e-]*\).*/\1/"
}

epochs=$(grep -c '"epoch":' $run/metrics.jsonl)
[[ $(tail -n 1 $run/metrics.jsonl) == *'"test":{"HR@5":'* ]] || complain 'the last line has no test'
[[ $(wc -l <$run/metrics.jsonl) == $((epochs + 1)) ]] || complain 'there are other lines'
best=$(metric valid HR@5 | awk '$1 > high || NR == 1 { high = $1; best = NR - 1 } END { print best }')
grep -q "\"epochs\":$epochs,\"best_epoch\":$best," result.json || complain "best is $best: $(cat result.json)"
((epochs == 40 || epochs == best + 3)) || complain "$epochs epochs, though the best was $best and patience 2"
for i in $(seq 0 $((epochs - 1))); do
  line=$(sed -n "$((i + 1))p" $run/metrics.jsonl)
  [[ $line =~ ^\{\"epoch\":$i,\"train_loss\":[0-9.]+,\"train_seconds\":[0-9.]+,\"valid\":\{.*\},\"valid_seconds\":[0-9.]+\}$ ]] ||
    complain "line $((i + 1)): $line"
done

"$MOIRE" eval --checkpoint $run/best.safetensors --data data.txt --json >test.json
grep -qF "\"test\":$(cat test.json)" $run/metrics.jsonl || complain "eval finds $(cat test.json)"
"$MOIRE" eval --checkpoint $run/best.safetensors --data data.txt --split valid --batch 7 --json >valid.json
[[ $(sed -n "$((best + 1))p" $run/metrics.jsonl) == *"\"valid\":$(cat valid.json)"* ]] ||
  complain "eval --split valid finds $(cat valid.json)"
"$MOIRE" eval --checkpoint $run/last.safetensors --data data.txt --split valid --json >last.json
[[ $(sed -n "${epochs}p" $run/metrics.jsonl) == *"\"valid\":$(cat last.json)"* ]] ||
  complain "eval of last.safetensors finds $(cat last.json)"
grep -q $'\r' log.txt && complain 'a progress bar without a terminal'
"$MOIRE" eval --checkpoint $run/best.safetensors --data data.txt --ranks ranks.txt >/dev/null
[[ $(wc -l <ranks.txt) == 60 ]] || complain 'there is not one rank a user'

# Recommendations: as many lines as users, none of what they had, none twice.
"$MOIRE" recommend --checkpoint $run/best.safetensors --data data.txt --top 5 --users 9 --json >top.json
awk 'NR == FNR { for (i = 2; i <= NF; i++) had[FNR, $i] = 1; next }
  { gsub(/.*"items":\[|\].*/, ""); n = split($0, items, ","); if (n != 5) exit 1
    for (i = 1; i <= n; i++) { if ((FNR, items[i]) in had || (FNR, items[i]) in seen) exit 1; seen[FNR, items[i]] = 1 } }
  END { exit FNR != 9 }' data.txt top.json || complain "recommend: $(cat top.json)"

# AdamW with a decay is something else than Adam without; a new run replaces the old one where it is asked to.
"$MOIRE" train config.yaml --data data.txt --out one --set epochs=1 >/dev/null 2>&1
"$MOIRE" train config.yaml --data data.txt --out one --overwrite --set epochs=1 --set optimizer=adamw --set weight_decay=0.1 \
  >/dev/null 2>log.txt || complain "$(cat log.txt)"
"$MOIRE" train config.yaml --data data.txt --out two --set epochs=1 >/dev/null 2>&1
cmp -s one/best.safetensors two/best.safetensors && complain 'AdamW does as Adam'
[[ $(wc -l <one/metrics.jsonl) == 2 ]] || complain 'a new run keeps lines of the old one'

# The data may be named in the configuration; a loss that is no number ends the run.
echo 'data: data.txt' >>config.yaml
"$MOIRE" train config.yaml --set epochs=1 >/dev/null 2>log.txt || complain "data in the configuration: $(cat log.txt)"
[[ -e out/config/best.safetensors ]] || complain 'the default directory is not out/config'
refused 1 'loss became' 'smaller lr' -- "$MOIRE" train config.yaml --set optimizer=adamw --set lr=100 --set weight_decay=100 \
  --set epochs=20 --out three
finish
