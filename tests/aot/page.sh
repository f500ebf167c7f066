#!/bin/bash
# docs/ahead_of_time.md, followed to the letter: its files are written and its commands run in a copy of the place that it
# speaks of. What PyTorch would have saved is the published checkpoint.
# shellcheck source=tests/support/tool.sh
source "$(dirname "$0")/../support/tool.sh"
need_shared checkpoints/qia_lastfm.safetensors
[[ -z ${MOIRE_SANITIZE:-} ]] || skip 'the page is about the release build'
mkdir -p build
ln -s "$BUILD_DIR" build/release
ln -s "$SOURCE_DIR/configs" configs
cp "$shared/checkpoints/qia_lastfm.safetensors" qia.safetensors

# Each block becomes a file block.NN.LANGUAGE; indented ones are shown, not run.
awk '
  /^```[a-z]/ { name = sprintf("block.%02d.%s", ++n, substr($0, 4)); next }
  /^```$/ { name = ""; next }
  name { print > name }' "$SOURCE_DIR/docs/ahead_of_time.md"
cp "$(grep -l "int main" block.*.c)" hello.c

for block in block.*; do
  case $block in
    *.sh)
      if grep -q aarch64 "$block" && ! { command -v aarch64-linux-gnu-gcc && command -v qemu-aarch64; } >/dev/null; then
        echo "$block: there is no compiler for aarch64, or no qemu"
        continue
      fi
      if grep -q venv "$block" && ! python3 -m venv tried >/dev/null 2>&1; then
        echo "$block: python3 makes no virtual environments"
        continue
      fi
      bash -e "$block" >"$block.out" 2>&1 || complain "$block: $(tail -c 1000 "$block.out")"
      ;;
    *.python)
      grep -q 'import qia' "$block" && command -v python3 >/dev/null || continue
      python3 "$block" >"$block.out" 2>&1 || complain "$block: $(tail -c 1000 "$block.out")"
      ;;
  esac
done

# All ways to ask get the same answer.
best=$(cut -d' ' -f1 <block.04.sh.out | paste -sd' ')
[[ $(wc -w <<<"$best") == 5 ]] || complain "the first program prints $best"
for out in block.*.sh.out; do
  if grep -q '^\./hello$\|hello_arm$' "${out%.out}"; then
    [[ $(grep -E '^[0-9]+ -?[0-9.]+$' "$out" | cut -d' ' -f1 | paste -sd' ') == "$best" ]] || complain "$out: $(cat "$out")"
  fi
done
for out in block.*.python.out $(grep -l venv block.*.sh | sed 's/$/.out/'); do
  [[ ! -e $out ]] || grep -qxF "[${best// /, }]" "$out" || complain "Python gets $(cat "$out")"
done
finish
