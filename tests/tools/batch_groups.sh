#!/bin/bash
# A batch that is summed by groups: the same bits for any number of threads, the numbers of a whole batch but for
# rounding, for models of every task; a model whose samples depend on each other is refused with a sentence.
# shellcheck source=tests/support/tool.sh
source "$(dirname "$0")/../support/tool.sh"
# shellcheck source=tests/support/small_tasks.sh
source "$SOURCE_DIR/tests/support/small_tasks.sh"
small_tasks

# by_groups TASK OPTION...: by 1, 5 and 32 groups.
by_groups() {
  local task=$1 groups
  shift
  "$MOIRE" train "$@" --out "$task.0" --quiet --threads 2 >/dev/null 2>log.txt || complain "$task: $(cat log.txt)"
  for groups in 5 32; do
    for threads in 1 2; do
      "$MOIRE" train "$@" --out "$task.$groups.$threads" --quiet --threads $threads --set batch_groups=$groups >/dev/null 2>log.txt ||
        complain "$task, $groups groups: $(cat log.txt)"
    done
    cmp "$task.$groups.1/last.safetensors" "$task.$groups.2/last.safetensors" || complain "$task: other threads, other bits"
    jq -es '(.[0].train_loss / .[1].train_loss - 1 | fabs) < 1e-4' <(grep -m1 '"epoch":0' "$task.0/metrics.jsonl") \
      <(grep -m1 '"epoch":0' "$task.$groups.1/metrics.jsonl") >/dev/null || complain "$task: $groups groups have another loss"
  done
}
by_groups qia qia.yaml --data data.txt
by_groups pswrec pswrec.yaml --data data.txt
by_groups semantic_id semantic_id.yaml "${features[@]}"
by_groups tensors tensors.yaml --data signals.safetensors
by_groups ratings hybrid.yaml --data ratings --set views=graph
[[ -z $indra ]] || by_groups indra indra.yaml

# With more groups than samples some are empty, and the last batch is short; batches of a step are added up as before.
by_groups accumulated qia.yaml --data data.txt --set batch_size=7 --set accumulate=3 --set clip_norm=0.5

# Resumed, the same bits.
"$MOIRE" train semantic_id.yaml "${features[@]}" --out parts --quiet --set batch_groups=5 --set epochs=2 >/dev/null || complain 'train: two epochs'
"$MOIRE" train semantic_id.yaml "${features[@]}" --out parts --quiet --set batch_groups=5 --resume >/dev/null || complain 'train --resume'
cmp semantic_id.5.1/best.safetensors parts/best.safetensors || complain 'resumed, other bits'

refused 1 'samples of a batch depend on each other' -- "$MOIRE" train hybrid.yaml --data ratings --out run --set batch_groups=2
refused 1 'has no profile' -- "$MOIRE" train qia.yaml --data data.txt --out run --set batch_groups=2 --profile p
refused 1 batch_groups -- "$MOIRE" train qia.yaml --data data.txt --out run --set batch_groups=2000
finish
