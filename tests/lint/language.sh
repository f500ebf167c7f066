#!/bin/bash
# Every call of the language stands in docs/language.md.
# shellcheck source=tests/support/lint.sh
source "$(dirname "$0")/../support/lint.sh"

complaints=0
while read -r name; do
  if ! grep -qE "\`(moire_)?$name(\(|\`)" docs/language.md; then
    echo "docs/language.md: moire_$name is not in its tables"
    complaints=1
  fi
done < <(sed -nE 's/^#define moire_([a-z0-9_]+)\(.*/\1/p' include/moire/graph_here.h)
exit "$complaints"
