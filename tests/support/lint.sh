# What the lint scripts share. Sourced; needs SOURCE_DIR in the environment, and moves there.
# shellcheck shell=bash
set -euo pipefail
cd "$SOURCE_DIR"

# lint_files PATTERN...: the project's files whose names match one of the find(1) patterns, one a line, sorted.
# Works in a plain directory too, so it does not ask git.
lint_files() {
  local tests=() pattern
  for pattern in "$@"; do tests+=(-o -name "$pattern"); done
  find . \( -path ./.git -o -path ./build -o -path ./out -o -path ./.cache \) -prune -o \
    -type f \( "${tests[@]:1}" \) -print | sed 's|^\./||' | LC_ALL=C sort
}
