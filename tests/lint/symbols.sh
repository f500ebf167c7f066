#!/bin/bash
# Every global symbol of our libraries begins with moire_. One underscore after it means public: declared in a header
# under include/moire/, or, for a model's own, beginning with moire_model_. Two mean internal.
libraries=("$BUILD_DIR"/libmoire_*.a)
# shellcheck source=tests/support/lint.sh
source "$(dirname "$0")/../support/lint.sh"

if [[ -n ${MOIRE_SANITIZE:-} ]]; then
  echo "skipped: a sanitizer adds symbols of its own"
  exit 77
fi
if [[ ! -e ${libraries[0]} ]]; then
  echo "no libraries under $BUILD_DIR: build first"
  exit 1
fi

complaints=0
while read -r library symbol; do
  case $symbol in
    moire__* | moire_model_*) continue ;;
    moire_*) grep -qw -- "$symbol" include/moire/*.h && continue
      echo "$library: $symbol is not declared in include/moire/ (internal names begin with moire__)" ;;
    *) echo "$library: $symbol does not begin with moire_ (make it static, or rename it)" ;;
  esac
  complaints=$((complaints + 1))
done < <(for library in "${libraries[@]}"; do
  nm -g --defined-only "$library" 2>/dev/null | awk -v library="${library##*/}" 'NF == 3 { print library, $3 }'
done)
((complaints == 0))
