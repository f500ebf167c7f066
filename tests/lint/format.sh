#!/bin/bash
# Every C file is as clang-format leaves it; `./dev format` makes it so.
# shellcheck source=tests/support/lint.sh
source "$(dirname "$0")/../support/lint.sh"

if ! command -v clang-format-19 >/dev/null; then
  echo "clang-format-19 is not installed (package clang-format-19)"
  exit 1
fi
mapfile -t files < <(lint_files '*.c' '*.h')
# One line a file is enough to act on.
if ! said=$(clang-format-19 --dry-run -Werror "${files[@]}" 2>&1); then
  awk -F: '/^[^ :]+:[0-9]+:[0-9]+: error/ && !seen[$1]++ { print $1 ":" $2 ": not as clang-format has it (./dev format)" }' \
    <<<"$said"
  exit 1
fi
