#!/bin/bash
# valgrind finds nothing wrong in compiled code: it has no AVX-512, so that the code is of another level.
# shellcheck source=tests/support/tool.sh
source "$(dirname "$0")/../support/tool.sh"
[[ -z ${MOIRE_SANITIZE:-} ]] || skip 'a sanitizer and valgrind do not go together'
command -v valgrind >/dev/null || skip 'valgrind is not installed'
small_data data.txt
small_config small.yaml
"$MOIRE" train small.yaml --data data.txt --out out --set epochs=1 >/dev/null 2>&1 || complain 'training fails'
timeout 250 valgrind -q --error-exitcode=9 "$MOIRE" recommend --checkpoint out/best.safetensors --data data.txt --top 3 \
  --threads 1 >under.txt 2>valgrind.txt || complain "valgrind: $(head -20 valgrind.txt)"
"$MOIRE" recommend --checkpoint out/best.safetensors --data data.txt --top 3 --threads 1 >alone.txt
cmp -s <(head -1 under.txt) <(head -1 alone.txt) || complain 'under valgrind it recommends something else'
finish
