#!/bin/bash
# Tables of items in compiled libraries: lists and scores are those of `moire recommend --items`, bit for bit, of weights
# inside, in a file, and of a state; filters; a table that is replaced while it is open; bad arguments and files, of
# which nothing leaks; and the example.
# shellcheck source=tests/support/tool.sh
source "$(dirname "$0")/../support/tool.sh"
[[ -z ${MOIRE_SANITIZE:-} ]] || skip 'libraries are built as a user would'
flags=(-O1 -g -Wall -Wextra -Werror -D_GNU_SOURCE -I.)

small_data data.txt
small_config config.yaml
"$MOIRE" train config.yaml --data data.txt --out run >/dev/null 2>log.txt || complain "train: $(cat log.txt)"
small_items run/best.safetensors
printf '17\n' >gone.txt
"$MOIRE" items more.items --retire gone.txt -o retired.items >/dev/null 2>log.txt || complain "retire: $(cat log.txt)"

# wanted TABLE TOP: what the command lists, a line a user: rows, a bar, scores.
wanted() {
  "$MOIRE" recommend --checkpoint run/best.safetensors --data data.txt --top "$2" --items "$1" --json 2>log.txt |
    jq -r '[(.items[] | if . == "more good" then 81 else . end), "|", .scores[]] | map(tostring) | join(" ")' >wanted.txt
  [[ $(wc -l <wanted.txt) == 60 ]] || complain "recommend: $(cat log.txt)"
}

# check LIBRARY ARGUMENT...: by a program of each kind of library, which tells what leaks.
check() {
  local program
  for program in check_shared check_static; do
    ./$program "$@" >log.txt 2>&1 || complain "$program $1 $2: $(tail -n 5 log.txt)"
  done
}

# build OPTION...: the library small, and the programs that call it.
build() {
  "$MOIRE" compile --checkpoint run/best.safetensors -o small --cpu host "$@" 2>log.txt || complain "compile: $(cat log.txt)"
  gcc "${flags[@]}" "$SOURCE_DIR/tests/aot/items_check.c" -o check_shared ./small.so -Wl,-rpath,. -lm -lpthread ||
    complain 'the program'
  gcc "${flags[@]}" -fsanitize=address "$SOURCE_DIR/tests/aot/items_check.c" -o check_static small.a -lm -lpthread ||
    complain 'the program, with AddressSanitizer'
}

build
for table in films retired; do
  for top in 7 80; do
    wanted $table.items $top
    check lists $table.items data.txt wanted.txt $top
  done
done
grep -q '^81 ' wanted.txt || complain 'the new row leads nobody'
grep -qE '^([0-9]+ )*17 ' wanted.txt && complain 'a row that was retired is listed'
check filters more.items data.txt
for program in check_shared check_static; do
  cp films.items old.items
  cp more.items new.items
  ./$program swap old.items new.items >log.txt 2>&1 || complain "$program swap: $(tail -n 5 log.txt)"
done
ldd ./small.so | grep -vE 'linux-vdso|ld-linux|libc\.so|libm\.so|statically' && complain 'ldd names more than libc and libm'

# --- what is no table of this model
mkdir bad
cp data.txt bad/text.items
: >bad/empty.items
head -c 6000 films.items >bad/cut.items
mkfifo bad/fifo.items
"$MOIRE" items bad/short.items --from more.npy >/dev/null || complain 'a table of one row'
"$MOIRE" train config.yaml --data data.txt --out wide --set hidden_size=16 --set epochs=1 >/dev/null 2>&1 || complain 'wide'
"$MOIRE" items bad/wide.items --from wide/best.safetensors >/dev/null || complain 'a table of 16 numbers'
for place in head:24 byte:5000; do
  cp films.items "bad/${place%:*}.items"
  printf 'x' | dd of="bad/${place%:*}.items" bs=1 seek="${place#*:}" conv=notrunc 2>/dev/null
done
check borders films.items bad

# --- weights in a file, and a state
wanted more.items 9
build --train
cat >state.c <<'C'
#include <small.h>
#include <stdio.h>
int main(void) {
  int64_t offsets[] = {0, 3}, rows[2][9];
  int32_t history[] = {3, 4, 5};
  float scores[2][9];
  small_lists h = {offsets, history};
  small_state *state = NULL;
  small_model *model = NULL;
  small_items *items = NULL;
  small_workspace w = {0};
  small_status status = small_state_create(NULL, 0, 1, &state);
  if (!status) status = small_state_reset(state);
  if (!status) status = small_freeze(state, &model);
  if (!status) status = small_items_open("more.items", &items);
  for (int i = 0; i < 2 && !status; i++)
    status = small_find(i ? model : NULL, &w, items, 1, &h, SMALL_SEEN_EXCLUDE, NULL, 9, rows[i], scores[i]);
  if (status) return fprintf(stderr, "%s\n", small_status_text(status)), 1;
  for (int i = 0; i < 9; i++)
    if (rows[0][i] != rows[1][i] || scores[0][i] != scores[1][i]) return fprintf(stderr, "place %d\n", i), 1;
  small_items_close(items);
  small_close(model);
  small_state_free(state);
  small_workspace_free(&w);
  return 0;
}
C
gcc "${flags[@]}" -fsanitize=address state.c -o state small.a -lm || complain 'state.c'
./state >log.txt 2>&1 || complain "a frozen state finds others: $(tail -n 3 log.txt)"
check lists more.items data.txt wanted.txt 9

# --- the example
"$MOIRE" compile --checkpoint run/best.safetensors -o qia --cpu host 2>log.txt || complain "compile: $(cat log.txt)"
example=$SOURCE_DIR/docs/examples/aot/find.c
(($(wc -l <"$example") < 80)) || complain 'find.c has 80 lines or more'
gcc -O2 "${flags[@]}" "$example" -o find qia.a -lm || complain 'find.c'
wanted more.items 5
sed 1q data.txt | cut -d' ' -f2- | ./find more.items >got.txt || complain 'find failed'
[[ $(cut -d' ' -f1 got.txt | paste -sd' ') == "$(sed '1q' wanted.txt | sed 's/ |.*//')" ]] || complain "find lists $(cat got.txt)"
first=$(head -n 1 got.txt | cut -d' ' -f1)
sed 1q data.txt | cut -d' ' -f2- | ./find more.items "$first" >got.txt || complain 'find failed'
[[ $(cut -d' ' -f1 got.txt) != *"$first"* && $(wc -l <got.txt) == 5 ]] || complain 'find lists what is banned'
echo 999 | ./find more.items >/dev/null 2>log.txt && complain 'find takes item 999'
grep -q 'an item is not from 1' log.txt || complain "find says $(cat log.txt)"
finish
