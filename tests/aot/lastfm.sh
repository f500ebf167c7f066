#!/bin/bash
# The published QIA as a library: the published test metrics by a program of under 60 lines, with weights in the library
# and beside it, in each version that this machine runs; and how large the code is.
# shellcheck source=tests/support/tool.sh
source "$(dirname "$0")/../support/tool.sh"
need_shared checkpoints/qia_lastfm.safetensors data/LastFM.txt
[[ -z ${MOIRE_SANITIZE:-} ]] || skip 'the published model is for the release build'
checkpoint=$shared/checkpoints/qia_lastfm.safetensors
want='1090 users: HR@10 0.0385, NDCG@10 0.0203'

# evaluate NAME: the example, with the library qia in the folder NAME.
evaluate() {
  gcc -O2 -D_GNU_SOURCE -I"$1" "$SOURCE_DIR/docs/examples/aot/evaluate.c" -o "$1/evaluate" "$1/qia.so" -Wl,-rpath,"$work/$1" -lm
  "$1/evaluate" "$shared/data/LastFM.txt" >got.txt || complain "$1: evaluate failed"
  grep -qF "$want" got.txt || complain "$1: $(cat got.txt)"
}

mkdir all external
"$MOIRE" compile --checkpoint "$checkpoint" -o all/qia 2>log.txt || complain "compile: $(cat log.txt)"
evaluate all
for cpu in x86-64-v4 x86-64-v3 x86-64; do
  [[ $(uname -m) == x86_64 ]] || break
  mkdir "$cpu"
  "$MOIRE" compile --checkpoint "$checkpoint" --cpu "$cpu" -o "$cpu/qia" 2>log.txt || complain "compile: $(cat log.txt)"
  gcc -O2 -D_GNU_SOURCE -I"$cpu" -include "$cpu/qia.h" -xc - -o "$cpu/probe" -xnone "$cpu/qia.a" -lm <<<'int main(void) { return !qia_cpu(); }'
  if "$cpu/probe"; then evaluate "$cpu"; fi
done

# Without weights, the library is its code.
"$MOIRE" compile --checkpoint "$checkpoint" --weights external -o external/qia 2>log.txt || complain "compile: $(cat log.txt)"
bytes=$(stat -c %s external/qia.so)
((bytes < 2000000)) || complain "the code of two versions has $bytes bytes"
cat >map.c <<'END'
#include <qia.h>
#include <stdio.h>
int main(int argc, char **argv) {
  qia_model *model = NULL;
  int32_t item = 7, best[3];
  int64_t offsets[2] = {0, 1};
  qia_lists one = {offsets, &item};
  qia_workspace workspace = {0};
  qia_status status = argc > 1 ? qia_open(argv[1], &model) : QIA_OK;
  if (!status) status = qia_top(model, &workspace, 1, &one, NULL, QIA_SEEN_EXCLUDE, 3, best, NULL);
  puts(qia_status_text(status));
  if (!status) printf("%d %d %d\n", best[0], best[1], best[2]);
  qia_close(model);
  qia_workspace_free(&workspace);
  return status != QIA_OK;
}
END
gcc -Iexternal map.c -o map external/qia.a -lm
gcc -Iall -Dqia_open\(path,model\)=QIA_OK -Dqia_close\(model\)=\(void\)0 map.c -o embedded all/qia.a -lm
./map external/qia.weights >got.txt || complain "mapped weights: $(cat got.txt)"
./embedded >want.txt || complain "embedded weights: $(cat want.txt)"
cmp -s got.txt want.txt || complain "mapped weights recommend $(cat got.txt), embedded ones $(cat want.txt)"
./map >got.txt && complain 'it recommends without weights'
head -c 100000 external/qia.weights >short
./map short >got.txt && complain 'it recommends with half of the weights'
finish
