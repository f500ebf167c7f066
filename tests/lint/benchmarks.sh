#!/bin/bash
# Benchmarks, which no build but their own compiles, are C that the compiler takes without a warning.
# shellcheck source=tests/support/lint.sh
source "$(dirname "$0")/../support/lint.sh"

read -ra includes < <(pkg-config --cflags jansson)
flags=(-std=c17 -D_GNU_SOURCE -I. -Iinclude -O0 -fsyntax-only -Wall -Wextra -Wpedantic -Wshadow -Wconversion
  -Wmissing-prototypes -Wswitch-enum -Wvla -Werror)
if pkg-config --exists openblas; then
  read -ra peer < <(pkg-config --cflags-only-I openblas | sed 's/-I/-isystem /g')
fi

complaints=0 left=()
for file in tools/bench/*.c tools/bench/support/*.c; do
  if [[ -z ${peer[*]-} ]] && grep -q '<cblas.h>' "$file"; then
    left+=("$file")
  elif ! "${CC:-cc}" "${flags[@]}" "${includes[@]}" ${peer[@]+"${peer[@]}"} "$file"; then
    complaints=1
  fi
done
((${#left[@]} == 0)) || echo "not looked at, since the headers of OpenBLAS are not here: ${left[*]}"
exit "$complaints"
