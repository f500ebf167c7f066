#!/bin/bash
# A user's own model: built against the public headers alone, named by its path, trained, and used.
# shellcheck source=tests/support/tool.sh
source "$(dirname "$0")/../support/tool.sh"

echo_so=$BUILD_DIR/examples/echo.so
[[ -r $echo_so ]] || complain "the build has left no $echo_so"
small_data data.txt
small_config echo.yaml
sed -i "s|model: qia|model: $echo_so|; s|epochs: 3|epochs: 1|" echo.yaml
echo 'reach: 4' >>echo.yaml

"$MOIRE" models "$echo_so" >keys.txt
grep -q '^  reach ' keys.txt || complain 'models does not list the keys of the model'
"$MOIRE" train echo.yaml --data data.txt --out run --json >result.json 2>log.txt || complain "train: $(cat log.txt)"
grep -q '"test":{"HR@5":' result.json || complain 'train prints no test'
[[ $(wc -l <run/metrics.jsonl) == 2 ]] || complain 'metrics.jsonl has not the two lines of one epoch'
"$MOIRE" eval --checkpoint run/best.safetensors --data data.txt --model "$echo_so" --json >eval.json 2>log.txt ||
  complain "eval: $(cat log.txt)"
grep -qF "$(cat eval.json)" result.json || complain "eval says $(cat eval.json), training said $(cat result.json)"
"$MOIRE" graph "$echo_so" >graph.txt
grep -q 'state \$filter.re' graph.txt || complain 'graph does not print the model'

# A checkpoint does not get to say which code is loaded.
refused 1 run/best.safetensors echo --model -- "$MOIRE" eval --checkpoint run/best.safetensors --data data.txt
refused 1 ./absent.so 'cannot be loaded' -- "$MOIRE" models ./absent.so
printf 'int x;' | gcc -shared -fPIC -xc - -o empty.so
refused 1 ./empty.so moire_model_main -- "$MOIRE" models ./empty.so
refused 1 empty.so moire_model_main -- "$MOIRE" models empty.so
cat >old.c <<'END'
#include "moire/model.h"
const moire_model *moire_model_main(void);
const moire_model *moire_model_main(void) {
  static const moire_model model = {.abi = 999, .name = "old"};
  return &model;
}
END
gcc -shared -fPIC -I"$SOURCE_DIR/include" old.c -o old.so
refused 1 ./old.so 'version 999' -- "$MOIRE" graph ./old.so
finish
