#!/bin/bash
# What is installed: a project of its own finds it by CMake or by pkg-config, authors a model, trains it and compiles it; and
# the installed command runs.
# shellcheck source=tests/support/tool.sh
source "$(dirname "$0")/../support/tool.sh"
[[ -z ${MOIRE_SANITIZE:-} ]] || skip 'a sanitizer build installs nothing'
prefix=$work/prefix example=$SOURCE_DIR/docs/examples/embed

cmake --install "$BUILD_DIR" --prefix "$prefix" >log.txt 2>&1 || complain "install: $(cat log.txt)"
[[ $("$prefix/bin/moire" --version) == 'moire '* ]] || complain 'the installed command does not run'
for file in man/man1/moire.1.gz man/man1/moire-train.1.gz bash-completion/completions/moire zsh/vendor-completions/_moire; do
  [[ -s $prefix/share/$file ]] || complain "no share/$file"
done
libraries=$(dirname "$(find "$prefix" -name libmoire.so)")
nm -D --defined-only "$libraries/libmoire.so" | awk '$3 !~ /^moire_[a-z]/ { print; bad = 1 } END { exit bad }' ||
  complain 'the names of libmoire.so'
for header in "$prefix"/include/moire/*.h; do
  [[ $header == */graph_here.h ]] || gcc -std=c17 -Wall -Wextra -Wpedantic -Werror -fsyntax-only -I"$prefix/include" \
    -include "$header" -xc - <<<'int something;' || complain "$header"
done

# check PROGRAM: trains, compiles, and what was compiled recommends the successor.
check() {
  rm -rf lib
  mkdir lib
  "$1" lib >got.txt 2>log.txt || complain "$1: $(cat log.txt)"
  cat >ask.c <<'END'
#include <successor.h>
int main(void) {
  int32_t items[] = {3, 4, 5}, best[1];
  int64_t offsets[] = {0, 3};
  successor_lists history = {offsets, items};
  successor_workspace workspace = {0};
  return successor_top(NULL, &workspace, 1, &history, NULL, SUCCESSOR_SEEN_RANK, 1, best, NULL) || best[0] != 6;
}
END
  gcc -Ilib ask.c -o ask lib/successor.a -lm && ./ask || complain "$1: the compiled model is wrong"
}

cmake -G Ninja -S "$example" -B build -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_BUILD_TYPE=Release >log.txt 2>&1 ||
  complain "configure: $(cat log.txt)"
cmake --build build >log.txt 2>&1 || complain "build: $(cat log.txt)"
check build/successor
check build/successor_static
export PKG_CONFIG_PATH=$libraries/pkgconfig
# shellcheck disable=SC2046
gcc -std=c17 "$example/main.c" -o by_pkg_config $(pkg-config --cflags --libs moire) -Wl,-rpath,"$libraries"
check ./by_pkg_config

# A training loop of one's own, by the example.
# shellcheck disable=SC2046
gcc -std=c17 -Wall -Wextra -Wpedantic -Werror "$SOURCE_DIR/docs/examples/train/train_loop.c" -o train_loop \
  $(pkg-config --cflags --libs moire) -lm -Wl,-rpath,"$libraries" || complain 'the example of a training loop'
./train_loop >losses.txt || complain 'the training loop'
awk '{ first = NR == 1 ? $4 : first; last = $4 } END { exit !(NR == 6 && last < 0.01 && last < first) }' losses.txt ||
  complain "the training loop: $(cat losses.txt)"

# Files of tensors, by the example that reads and writes them.
{ printf '\x93NUMPY\x01\x00\x39\x00%s' "{'descr': '<f8', 'fortran_order': False, 'shape': (2,)}" && printf ' \n' &&
  printf '\0\0\0\0\0\0\xf0\x3f\0\0\0\0\0\0\0\xc0'; } >x.npy
# shellcheck disable=SC2046
gcc -std=c17 -Wall -Wextra -Wpedantic -Werror "$SOURCE_DIR/docs/examples/files/tensors.c" -o tensors \
  $(pkg-config --cflags --libs moire) -Wl,-rpath,"$libraries" || complain 'the example of files'
[[ $(./tensors x.npy) == 'x: <f8 [2]' ]] || complain "tensors: $(./tensors x.npy 2>&1)"
./tensors x.npy x y.safetensors || complain 'tensors: nothing written'
[[ $(./tensors y.safetensors) == 'x: F32 [2]' ]] || complain "tensors: $(./tensors y.safetensors 2>&1)"
[[ $(tail -c 8 y.safetensors | od -An -tx1) == ' 00 00 80 3f 00 00 00 c0' ]] || complain 'tensors: other values'
./tensors y.safetensors z out.npy 2>log.txt && complain 'tensors: a tensor that is not there'
grep -q 'y.safetensors: has no tensor z' log.txt || complain "tensors: $(cat log.txt)"
finish
