#!/bin/bash
# The phase-modulated models and WEARec against their goldens, by both engines.
# shellcheck source=tests/support/tool.sh
source "$(dirname "$0")/../support/tool.sh"
files=()
for model in pswrec_v13 pswrec_v13_vam pswrec_v13_softmag pswrec_v1111 pm_ssd wearec; do
  need_shared "goldens/${model}_small.safetensors"
  files+=("$shared/goldens/${model}_small.safetensors")
done

for engine in jit interpreter; do
  "$MOIRE" verify --engine "$engine" "${files[@]}" || complain "verify --engine $engine"
done
"$MOIRE" verify --precision bf16 "${files[@]}" || complain 'verify --precision bf16'
finish
