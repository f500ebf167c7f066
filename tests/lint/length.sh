#!/bin/bash
# No file is longer than 800 lines, no function longer than 120, and no folder holds more than 40 source files. A
# function is what starts in column 0 with a parameter list and ends with a closing brace in column 0, as clang-format
# lays it out.
# shellcheck source=tests/support/lint.sh
source "$(dirname "$0")/../support/lint.sh"

mapfile -t files < <(lint_files '*.c' '*.h' '*.def' '*.sh' '*.yaml' CMakeLists.txt dev run)

status=0
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
}' "${files[@]}" || status=1

lint_files '*.c' '*.h' | awk '
{
  sub(/\/[^\/]*$/, "")
  n[$0]++
}
END {
  for (folder in n) {
    if (n[folder] <= 40) continue
    printf "%s: the folder has %d source files; 40 are allowed\n", folder, n[folder]
    complaints++
  }
  exit complaints > 0
}' || status=1
exit "$status"
