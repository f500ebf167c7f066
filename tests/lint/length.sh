#!/bin/bash
# No file is longer than 800 lines, no function longer than 120. A function is what starts in column 0 with a
# parameter list and ends with a closing brace in column 0, as clang-format lays it out.
# shellcheck source=tests/support/lint.sh
source "$(dirname "$0")/../support/lint.sh"

mapfile -t files < <(lint_files '*.c' '*.h' '*.def' '*.sh' '*.yaml' CMakeLists.txt dev run)

awk '
function complain(line, text) {
  printf "%s:%d: %s\n", name, line, text
  complaints++
}
function end_of_file() {
  if (lines > 800) complain(lines, "the file has " lines " lines; 800 are allowed")
}
FNR == 1 {
  if (NR > 1) end_of_file()
  name = FILENAME
  code = name ~ /\.[ch]$/
  start = body = 0
}
{ lines = FNR }
!code { next }
!body && /^[A-Za-z_]/ { start = /\(/ && !/^typedef|=/ ? FNR : 0 }
!body && start && /;[ \t]*(\/\*.*)?$/ { start = 0 }
!body && start && /\{$/ { body = 1 }
body && /^\}/ {
  if (FNR - start + 1 > 120) complain(start, "the function has " FNR - start + 1 " lines; 120 are allowed")
  start = body = 0
}
END {
  end_of_file()
  exit complaints > 0
}' "${files[@]}"
