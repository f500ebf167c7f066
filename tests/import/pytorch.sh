#!/bin/bash
# docs/pytorch.md, to the letter: its Python files, its commands, and the state dict back in PyTorch. It wants a Python
# with PyTorch 2.13 and NumPy, python3 or that of MOIRE_PYTHON.
# shellcheck source=tests/support/tool.sh
source "$SOURCE_DIR/tests/support/tool.sh"
python=${MOIRE_PYTHON:-python3}
"$python" -c 'import numpy, torch; assert torch.__version__.startswith("2.13")' 2>/dev/null ||
  skip "$python has no PyTorch 2.13: MOIRE_PYTHON names one that has"

# block LANGUAGE NUMBER: the block of the page.
block() {
  awk -v begin="^\`\`\`$1\$" -v number="$2" '
    /^```$/ { inside = 0 }
    inside { print }
    $0 ~ begin && ++n == number { inside = 1 }
  ' "$SOURCE_DIR/docs/pytorch.md"
}

block python 1 >net.py
block sh 1 >commands.sh
[[ -s net.py && -s commands.sh ]] || complain 'the page has no blocks'
"$python" net.py >said.txt 2>&1 || complain "net.py: $(tail -n 3 said.txt)"
{
  echo 'set -euo pipefail'
  printf 'moire() { %q "$@"; }\n' "$MOIRE"
  cat commands.sh
} >run.sh
bash run.sh >said.txt 2>&1 || complain "the commands: $(tail -n 5 said.txt)"
for file in run/best.safetensors out.safetensors net.h net.so; do [[ -s $file ]] || complain "there is no $file"; done
grep -q 'net.py:' said.txt || complain 'the profile names no line of net.py'
accuracy=$("$MOIRE" eval --checkpoint run/best.safetensors --model net.pt2 --data data --split test | awk '/^accuracy/ { print $2 }')
awk -v a="$accuracy" 'BEGIN { exit !(a > 0.9) }' || complain "it learns nothing: accuracy $accuracy"

# The state dict goes back, and gives what predict does.
if "$python" -c 'import safetensors' 2>/dev/null; then
  {
    sed '/^torch.manual_seed/,$d' net.py
    block python 2
    echo 'want = load_file("out.safetensors")["logits"]'
    echo 'got = model.eval().model(torch.from_numpy(np.load("data/signal.npy")))'
    echo 'assert torch.linalg.norm(got - want) < 1e-5 * torch.linalg.norm(want), (got, want)'
  } >back.py
  "$python" back.py >said.txt 2>&1 || complain "back in PyTorch: $(tail -n 3 said.txt)"
fi
((failures == 0))
