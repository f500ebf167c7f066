#!/bin/bash
# The lint scripts find what they are there for: each is run on a small tree with one violation, and must complain
# with its file and line, and on the same tree without it, and must not.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
export SOURCE_DIR=$tree
failures=0

# fresh: an empty tree of rooms, with one public header and one file that breaks no rule.
fresh() {
  rm -rf "${tree:?}"/*
  mkdir -p "$tree"/{include/moire,runtime/base,compiler/{ir,pass,codegen,driver,import,profile},ops,models,tasks,tools,tests,docs/examples}
  echo 'int moire_one(void);' >"$tree/include/moire/one.h"
  echo 'int moire__two(void);' | tee "$tree/compiler/ir/two.h" >"$tree/tasks/two.h"
  echo 'ROW(add)' >"$tree/ops/ops.def"
  printf '#include "moire/one.h"\n#include <stdio.h>\nint moire_one(void) { return 1; }\n' >"$tree/runtime/one.c"
}

# expect SCRIPT WANTED: SCRIPT fails and prints WANTED. An empty WANTED: it succeeds.
expect() {
  local said status=0
  said=$(bash "$here/$1.sh" 2>&1) || status=$?
  if [[ -z $2 && $status != 0 ]]; then
    echo "$1 complains where it should not: $said"
    failures=$((failures + 1))
  elif [[ -n $2 ]] && { [[ $status == 0 || $status == 77 ]] || [[ $said != *"$2"* ]]; }; then
    echo "$1 should say \"$2\" and fail; it ended with $status and said: $said"
    failures=$((failures + 1))
  fi
}

# include FILE HEADER WANTED: a second line that includes HEADER.
include() {
  fresh
  printf '\n#include %s\n' "$2" >"$tree/$1"
  expect rooms "$3"
}

fresh
expect rooms ''
expect length ''
expect claims ''
include runtime/a.c '"compiler/ir/two.h"' 'runtime/a.c:2: runtime may not include compiler/ir/two.h'
include runtime/base/a.c '"runtime/one.c"' 'runtime/base/a.c:2: runtime/base may not include'
include compiler/pass/a.c '<llvm-c/Core.h>' 'compiler/pass/a.c:2: compiler/pass may not include <llvm-c/Core.h>'
include compiler/codegen/a.c '<llvm-c/Core.h>' ''
include runtime/a.c '<zip.h>' 'runtime/a.c:2: runtime may not include <zip.h>'
include compiler/import/a.c '<zip.h>' ''
include compiler/driver/a.c '<zip.h>' ''
include compiler/import/a.c '"compiler/ir/two.h"' ''
include compiler/codegen/a.c '"runtime/one.c"' 'compiler/codegen/a.c:2: compiler/codegen may not include'
include compiler/ir/a.c '"ops/ops.def"' ''
include compiler/pass/a.c '"ops/ops.def"' 'compiler/pass/a.c:2: compiler/pass may not include ops/ops.def'
include ops/a.c '"compiler/ir/two.h"' ''
include models/a.c '"compiler/ir/two.h"' 'models/a.c:2: models may not include compiler/ir/two.h'
include models/a.c '"moire/one.h"' ''
include tasks/a.c '"compiler/ir/two.h"' 'tasks/a.c:2: tasks may not include compiler/ir/two.h'
include tasks/a.c '"moire/one.h"' ''
include runtime/a.c '"tasks/two.h"' 'runtime/a.c:2: runtime may not include tasks/two.h'
include docs/examples/a.c '"compiler/ir/two.h"' 'docs/examples/a.c:2: docs/examples may not include'
include tools/a.c '"compiler/ir/two.h"' ''
include ops/a.c '"../compiler/ir/two.h"' 'ops/a.c:2: "../compiler/ir/two.h": write the path from the root'
include ops/a.c '"nowhere.h"' 'ops/a.c:2: "nowhere.h" is not there'
include ops/a.c '<moire/one.h>' 'ops/a.c:2: <moire/one.h>: headers of ours'
include tools/a.c '<criterion/criterion.h>' 'tools/a.c:2: tools may not include <criterion/criterion.h>'
include a.c '<stdio.h>' 'a.c:1: the file lies in no room'

# mention FILE LINE WANTED: a file with LINE.
mention() {
  fresh
  mkdir -p "$tree/tasks/tensors" "$tree/tasks/items" "$tree/tasks/shared"
  printf '/* rows */\nMOIRE__TASK(items) /* one */\nMOIRE__TASK(tensors)\n' >"$tree/tasks/tasks.def"
  echo "$2" >"$tree/$1"
  expect tasks "$3"
}
mention tools/a.c 'if (!strcmp(task->name, "items")) f();' 'tools/a.c names a task'
mention compiler/driver/a.c 'g(&moire__task_tensors);' 'compiler/driver/a.c names a task'
mention tasks/items/a.c 'g(&moire__task_items, "items");' ''
mention tasks/items/a.c '#include "tasks/tensors/rows.h"' 'tasks/items/a.c includes a file of a task'
mention tasks/items/a.c '#include "tasks/items/rows.h"' ''
mention runtime/a.c '#include "tasks/items/rows.h"' 'runtime/a.c includes a file of a task'
mention tools/a.c 'puts("items of a list");' ''
mention tasks/items/a.c '#include "tasks/shared/rows.h"' ''
mention tools/a.c '#include "tasks/shared/rows.h"' 'tools/a.c includes a file of a task'

# A function of exactly N lines, with a table, a prototype and a struct before it.
function_of() {
  printf 'struct s {\n  int a;\n};\nstatic const int t[] = {1, (2),\n};\nint f(int a,\n      int b);\n'
  printf 'int f(int a,\n      int b) {\n'
  for ((i = 0; i < $1 - 3; i++)); do echo '  a++;'; done
  echo '}'
}
fresh
function_of 120 >"$tree/ops/a.c"
expect length ''
function_of 121 >"$tree/ops/a.c"
expect length 'ops/a.c:8: the function has 121 lines'
fresh
yes '/* */' | head -n 800 >"$tree/ops/a.h" || true
expect length ''
echo >>"$tree/ops/a.h"
expect length 'ops/a.h:801: the file has 801 lines'
fresh
touch "$tree"/ops/f{1..39}.c "$tree/ops/a.h" "$tree"/compiler/pass/f{1..20}.c
expect length ''
touch "$tree/ops/b.h"
expect length 'ops: the folder has 41 source files'

for word in 'TO''DO: later' '/* FIX''ME */' 'see /wo''rk/notes' '"/ro''ot/x"' 'cd /ho''me/me'; do
  fresh
  echo "$word" >"$tree/ops/a.c"
  expect claims 'ops/a.c:1:'
done

fresh
mkdir -p "$tree/docs/decisions"
touch "$tree"/docs/decisions/0007-{one,two}.md
expect claims 'decisions of one number: 0007'

if command -v clang-format-19 >/dev/null; then
  fresh
  echo 'ColumnLimit: 80' >"$tree/.clang-format"
  expect format ''
  echo 'int  f (void);' >"$tree/ops/a.h"
  expect format 'ops/a.h:1:'
fi

# symbols NAME WANTED: a library that defines NAME.
symbols() {
  fresh
  mkdir -p "$tree/build"
  echo "int $1 = 1;" | gcc -x c -c -o "$tree/build/a.o" -
  rm -f "$tree/build/libmoire_a.a"
  ar rc "$tree/build/libmoire_a.a" "$tree/build/a.o"
  BUILD_DIR=$tree/build MOIRE_SANITIZE='' expect symbols "$2"
}
symbols moire_one ''
symbols moire__hidden ''
symbols moire_model_mine ''
symbols moire_undeclared 'libmoire_a.a: moire_undeclared is not declared'
symbols helper 'libmoire_a.a: helper does not begin with moire_'

# calls FILE NAME CALLED...: an object of FILE, whose function NAME calls the others.
calls() {
  local file=$1 name=$2 called object=$tree/build/CMakeFiles/moire_a.dir/$1.o
  [[ $file == tests/* ]] && object=$tree/build/tests/CMakeFiles/moire_a.dir/${file#tests/}.o
  shift 2
  mkdir -p "${object%/*}" "$(dirname "$tree/$file")"
  {
    for called in "$@"; do echo "void $called(void);"; done
    echo "void $name(void) {"
    for called in "$@"; do echo "  $called();"; done
    echo '}'
  } >"$tree/$file"
  gcc -c -o "$object" "$tree/$file"
}

# rings WANTED
rings() { BUILD_DIR=$tree/build MOIRE_SANITIZE='' expect rings "$1"; }

fresh
calls ops/x/a.c a b c
calls ops/y/b.c b c
calls ops/c.c c
rings ''
calls ops/c.c c d
calls models/d.c d a
rings '' # another room: rooms.sh has the word
calls ops/c.c c a
rings 'a ring: ops/c.c ops/x/a.c ops/y/b.c'
rings 'ops/y/b.c calls ops/c.c: c'
rm "$tree/ops/y/b.c"
rings 'a ring: ops/c.c ops/x/a.c'
calls tests/support/a.c e f
calls tests/support/b.c f e
rings 'a ring: tests/support/a.c tests/support/b.c'
rm "$tree/tests/support/b.c"
rm "$tree/ops/c.c" # an object without its file
rings ''
fresh
calls compiler/pass/a.c a b
calls compiler/pass/b.c b a
mkdir -p "$tree"/tests/{lint,support}
cp "$here/../support/lint.sh" "$tree/tests/support/"
sed "s|^allowed='|&compiler/pass/a.c compiler/pass/b.c: one grammar|" "$here/rings.sh" >"$tree/tests/lint/rings.sh"
rings 'a ring: compiler/pass/a.c compiler/pass/b.c'
here=$tree/tests/lint rings ''
calls compiler/pass/b.c b
here=$tree/tests/lint rings 'no longer a ring, take it off the list: compiler/pass/a.c compiler/pass/b.c'

fresh
printf '#define moire_one(...) moire_one_at(__VA_ARGS__)\n#define moire_two(...) moire_two_at(__VA_ARGS__)\n' \
  >"$tree/include/moire/graph_here.h"
echo '| `moire_one(g)` | `two` |' >"$tree/docs/language.md"
expect language ''
echo '| `one(g)` |' >"$tree/docs/language.md"
expect language 'moire_two is not in its tables'

exit $((failures > 0))
