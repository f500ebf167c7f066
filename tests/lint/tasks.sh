#!/bin/bash
# Folders in tasks/ that are no task's are what tasks share: files in tasks/ may include theirs.
# Nothing outside of tasks/ asks which kind a model is: no other room names a task in its code, nor includes a file of
# one. Tests and benchmarks may; the command that makes synthetic data includes what makes them.
# shellcheck source=tests/support/lint.sh
source "$(dirname "$0")/../support/lint.sh"

mapfile -t names < <(sed -nE 's/^MOIRE__TASK\(([a-z_]+)\).*/\1/p' tasks/tasks.def)
[[ ${#names[@]} -gt 0 ]] || {
  echo 'tasks/tasks.def has no rows'
  exit 1
}
any=$(IFS='|' && echo "${names[*]}")
# Folders that are in no row, as "tasks/NAME/" each, for a pattern.
shared=$(find tasks -mindepth 1 -maxdepth 1 -type d | { grep -vxE "tasks/($any)" || true; } | sed 's|.*|"&/|' | paste -sd '|')
[[ -n $shared ]] || shared='"tasks/ /'

mapfile -t files < <(lint_files '*.c' '*.h' | grep -E '^(compiler|ops|runtime|tools|tasks)/' | grep -v '^tools/bench/')
complaints=0
for file in "${files[@]}"; do
  own=''
  [[ $file =~ ^tasks/([a-z_]+)/ ]] && own=${BASH_REMATCH[1]}
  if [[ $file != tasks/* ]] && grep -nE "task.*\"($any)\"|\"($any)\".*task|moire__task_($any)\b" "$file" | sed "s|^|$file:|" | grep .; then
    echo "$file names a task: ask its descriptor (tasks/task.h)"
    complaints=1
  fi
  [[ $file == tools/synth.c ]] && continue
  allowed="\"tasks/${own:-/}/"
  [[ $file == tasks/* ]] && allowed+="|$shared"
  if grep -nE '#include "tasks/[a-z_]+/' "$file" | grep -vE "$allowed" | sed "s|^|$file:|" | grep .; then
    echo "$file includes a file of a task: only that task may"
    complaints=1
  fi
done
exit "$complaints"
