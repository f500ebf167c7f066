#!/bin/bash
# valgrind finds nothing wrong in compiled code: it has no AVX-512, so that the code is of another level.
# shellcheck source=tests/support/tool.sh
source "$(dirname "$0")/../support/tool.sh"
[[ -z ${MOIRE_SANITIZE:-} ]] || skip 'a sanitizer and valgrind do not go together'
command -v valgrind >/dev/null || skip 'valgrind is not installed'
small_data data.txt
small_config echo.yaml
echo_so=$BUILD_DIR/examples/echo.so # few kernels: LLVM is slow under valgrind
sed -i "s|model: qia|model: $echo_so|; s|epochs: 3|epochs: 1|" echo.yaml
echo 'reach: 4' >>echo.yaml
"$MOIRE" train echo.yaml --data data.txt --out out >/dev/null 2>&1 || complain 'training fails'
recommend=("$MOIRE" recommend --checkpoint out/best.safetensors --model "$echo_so" --data data.txt --top 3 --threads 1)
timeout 250 valgrind -q --error-exitcode=9 "${recommend[@]}" >under.txt 2>valgrind.txt || complain "valgrind: $(head -20 valgrind.txt)"
"${recommend[@]}" >alone.txt
cmp -s <(head -1 under.txt) <(head -1 alone.txt) || complain 'under valgrind it recommends something else'
finish
