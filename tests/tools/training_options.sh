#!/bin/bash
# Options of training from a configuration: resumed training goes on to the same bits with sums of several batches,
# averages and a schedule; what is frozen stays; what is wrong is said.
# shellcheck source=tests/support/tool.sh
source "$(dirname "$0")/../support/tool.sh"

small_data data.txt
small_config plain.yaml
sed -i 's/^batch_size.*/batch_size: 16/' plain.yaml
cat plain.yaml - >config.yaml <<'END'
optimizer: sgd
lr: 0.5
momentum: 0.9
nesterov: true
clip_norm: 0.1
clip_value: 0.2
accumulate: 3
ema: 0.9
schedule: cosine
warmup_steps: 2
total_steps: 40
lr_min: 0.0001
freeze: ["position_*"]
groups:
  - match: ["*.bias", "*Norm*"]
    weight_decay: 0
    lr: 0.02
END

"$MOIRE" train config.yaml --data data.txt --threads 1 --out whole --set epochs=3 >/dev/null 2>log.txt ||
  complain "$(cat log.txt)"
"$MOIRE" train config.yaml --data data.txt --threads 3 --out parts --set epochs=1 >/dev/null 2>log.txt ||
  complain "$(cat log.txt)"
"$MOIRE" train config.yaml --data data.txt --threads 3 --out parts --set epochs=3 --resume >/dev/null 2>log.txt ||
  complain "$(cat log.txt)"
cmp whole/best.safetensors parts/best.safetensors || complain 'best differs where training was resumed'
cmp whole/last.safetensors parts/last.safetensors || complain 'last differs where training was resumed'
for state in optimizer.sum. optimizer.momentum. optimizer.ema.; do
  grep -qa "\"$state" whole/last.safetensors || complain "last has no $state"
  grep -qa "\"$state" whole/best.safetensors && complain "best has $state"
done
grep -qa 'optimizer.momentum.position_' whole/last.safetensors && complain 'what is frozen has a state'

# Each option counts: in the losses, or in the weights that are kept.
losses() { grep -o '"train_loss": *[^,]*' "$1/metrics.jsonl"; }
while read -r assignment; do
  "$MOIRE" train config.yaml --data data.txt --out other --overwrite --set epochs=3 --set "$assignment" >/dev/null 2>log.txt ||
    complain "$assignment: $(cat log.txt)"
  [[ $(losses whole) != "$(losses other)" ]] || ! cmp -s whole/best.safetensors other/best.safetensors ||
    complain "$assignment changes nothing"
done <<'END'
optimizer=adam
nesterov=false
clip_norm=0.05
clip_value=0.001
accumulate=2
ema=0.5
schedule=linear
warmup_steps=5
total_steps=50
lr_min=0.01
freeze=[]
groups=[]
groups=[{match: ["*.bias", "*Norm*"], weight_decay: 0, lr: 0.03}]
END

# A schedule over all epochs cannot be resumed with more of them.
"$MOIRE" train config.yaml --data data.txt --out all --set epochs=2 --set total_steps=null >/dev/null 2>log.txt ||
  complain "$(cat log.txt)"
refused 1 'all/last.safetensors' 'epochs 2' 'resumed with 3' -- \
  "$MOIRE" train config.yaml --data data.txt --out all --set epochs=3 --set total_steps=null --resume

refused 1 'freeze: "nothing*" matches no parameter of qia' 'item_embeddings.weight' -- \
  "$MOIRE" train config.yaml --data data.txt --out no --set 'freeze=[nothing*]'
refused 1 'groups[0]: match: "none"' -- \
  "$MOIRE" train config.yaml --data data.txt --out no --set 'groups=[{match: none, lr: 1}]'
refused 1 '--set: schedule' 'wanted one of constant|linear|cosine' -- \
  "$MOIRE" train config.yaml --data data.txt --out no --set schedule=cosinus
refused 1 'total_steps is 2' 'more than the 2 of warmup_steps' -- \
  "$MOIRE" train config.yaml --data data.txt --out no --set total_steps=2
refused 1 'nesterov wants momentum' -- "$MOIRE" train config.yaml --data data.txt --out no --set momentum=0

# A library trains by the same options; where nobody says how long, a schedule that falls is refused.
refused 1 'total_steps is 0' -- "$MOIRE" compile config.yaml --set item_size=81 --train -o no/lib --set total_steps=null
finish
