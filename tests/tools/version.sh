#!/bin/bash
# `moire --version` names version, commit and LLVM; the commit follows the tree, and nothing is written while it stays.
# shellcheck source=tests/support/tool.sh
source "$(dirname "$0")/../support/tool.sh"

version=$(sed -n 's/^#define MOIRE_VERSION "\(.*\)"$/\1/p' "$SOURCE_DIR/include/moire/version.h")
grep -q "^project(moire VERSION $version " "$SOURCE_DIR/CMakeLists.txt" || complain "CMakeLists.txt is not of $version"
"$MOIRE" --version >version.txt || complain 'it fails'
[[ $(sed -n 1p version.txt) == "moire $version" ]] || complain "version: $(cat version.txt)"
built=$(sed -n 's/.*tool_commit\[\] = "\(.*\)";$/\1/p' "$BUILD_DIR/commit.c")
grep -q "^## $version$" "$SOURCE_DIR/CHANGES.md" || complain "CHANGES.md has nothing of $version"
[[ -n $built && $(sed -n 2p version.txt) == "commit $built" ]] || complain "commit: $(cat version.txt), built of $built"
[[ $(sed -n 3p version.txt) =~ ^LLVM\ 19\.[0-9]+\.[0-9]+$ ]] || complain "LLVM: $(cat version.txt)"
[[ $(wc -l <version.txt) == 3 ]] || complain "more than three lines: $(cat version.txt)"

# commit_of FOLDER
commit_of() {
  cmake -DSOURCE="$1" -DOUT="$work/commit.c" -P "$SOURCE_DIR/cmake/commit.cmake"
  sed -n 's/.*"\(.*\)";$/\1/p' commit.c
}
mkdir tree
[[ $(commit_of "$work/tree") == release ]] || complain "no git tree: $(cat commit.c)"
touch tree/.git
[[ $(commit_of "$work/tree") == unknown ]] || complain "no good git tree: $(cat commit.c)"
rm tree/.git
command -v git >/dev/null || skip 'there is no git'
in_tree() { git -C tree -c user.name=n -c user.email=e@example.org "$@"; }
git init -q tree
echo one >tree/file
in_tree add file
in_tree commit -qm one
hash=$(in_tree rev-parse --short HEAD)
[[ $(commit_of "$work/tree") == "$hash" ]] || complain "a commit: $(cat commit.c), not $hash"
touch -d 2001-01-01 commit.c
commit_of "$work/tree" >same.txt
[[ $(stat -c %Y commit.c) -lt 1000000000 ]] || complain 'the file was written again though nothing changed'
echo two >tree/file
[[ $(commit_of "$work/tree") == "$hash-dirty" ]] || complain "changed files: $(cat commit.c)"
in_tree commit -qam two
[[ $(commit_of "$work/tree") == "$(in_tree rev-parse --short HEAD)" ]] || complain "the next commit: $(cat commit.c)"
in_tree tag v9
[[ $(commit_of "$work/tree") == v9 ]] || complain "a tag: $(cat commit.c)"
finish
