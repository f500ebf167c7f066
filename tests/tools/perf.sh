#!/bin/bash
# perf shows kernels by their names, and perf annotate the model's lines beside their instructions.
# shellcheck source=tests/support/tool.sh
source "$(dirname "$0")/../support/tool.sh"
[[ -z ${MOIRE_SANITIZE:-} ]] || skip 'a sanitizer changes what there is to see'
command -v perf >/dev/null || skip 'perf is not installed'
perf record -o try.data true >perf.txt 2>&1 || skip "perf may not record: $(head -1 perf.txt)"
"$MOIRE" synth --users 150 --items 80 --length 12 --out data.txt
cat >small.yaml <<'END_CONFIG'
model: qia
hidden_size: 64
num_hidden_layers: 1
num_attention_heads: 2
inner_size: 64
max_seq_length: 20
batch_size: 64
epochs: 2
seed: 7
END_CONFIG

export JITDUMPDIR=$work
MOIRE_DEBUG=perf perf record -k 1 -o perf.data "$MOIRE" train small.yaml --data data.txt --out out --threads 1 >log.txt 2>&1 ||
  complain "perf record: $(tail -3 log.txt)"
perf inject --jit -i perf.data -o jit.data >log.txt 2>&1 || complain "perf inject: $(tail -3 log.txt)"
perf report -i jit.data --stdio --sort symbol -w 90 2>/dev/null >report.txt || complain 'perf report fails'
name=$(sed -n 's/^ *[0-9.]*% *\[\.\] \(.*complex_[^ ]*\( backward\)\{0,1\}[^-]*[^- ]\)[- ]*$/\1/p' report.txt | head -1)
[[ -n $name ]] || complain "perf report names no kernel: $(head -30 report.txt)"
if [[ -n $name ]] && command -v objdump >/dev/null; then
  timeout 120 perf annotate -i jit.data --stdio -l -s "$name" >annotated.txt 2>&1 || complain 'perf annotate fails'
  grep -qE 'qia\.c:[1-9][0-9]*' annotated.txt || complain "no line of the model beside $name"
  grep -qE 'vfn?m|mul' annotated.txt || complain "no instruction of $name"
fi
finish
