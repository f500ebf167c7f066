#!/bin/bash
# Codes of real items, the embeddings of published recommenders in 64 / 128 / 256 codes, are the same whether they are
# searched in float32 or in bf16: in training, by `moire encode` and in a library.
# shellcheck source=tests/support/tool.sh
source "$(dirname "$0")/../support/tool.sh"
need_shared checkpoints/qia_lastfm.safetensors checkpoints/pswrec_v13_lastfm.safetensors
cat >coder.yaml <<'END'
model: semantic_id
codebook_sizes: [64, 128, 256]
restart_after: 20
batch_size: 100
epochs: 2
END
cat >main.c <<'END'
#include "coder.h"
#include <stdio.h>
#include <string.h>
static void watch(void *context, const char *kernel, int begins) {
  (void)begins;
  if (strstr(kernel, ".pack") || strstr(kernel, ".mean")) *(int *)context = 1;
}
int main(int argc, char **argv) {
  static float x[4000 * CODER_FEATURES];
  static int32_t codes[4000 * CODER_LEVELS];
  int packs = 0; /* codes are packed while the library is made, not at every call */
  coder_workspace w = {.threads = 1, .profile = watch, .profile_context = &packs};
  FILE *in = argc > 1 ? fopen(argv[1], "rb") : NULL;
  if (!in || fseek(in, 128, SEEK_SET)) return 1;
  int n = (int)fread(x, 4 * CODER_FEATURES, 4000, in);
  if (coder_encode(NULL, &w, n, x, codes) || packs) return 2;
  for (int i = 0; i < n; i++) printf("%d\t%d\t%d\t%d\n", i, codes[3 * i], codes[3 * i + 1], codes[3 * i + 2]);
  coder_workspace_free(&w);
  return fclose(in);
}
END

for name in qia pswrec_v13; do
  features=(--features "$shared/checkpoints/${name}_lastfm.safetensors" --tensor item_embeddings.weight)
  for precision in f32 bf16; do
    out=$name.$precision
    "$MOIRE" train coder.yaml "${features[@]}" --set precision=$precision --out "$out" >/dev/null 2>log.txt ||
      complain "training $out: $(cat log.txt)"
    sed 's/"[a-z]*_seconds":[0-9.]*//g' "$out/metrics.jsonl" >"$out.jsonl"
    "$MOIRE" encode --checkpoint "$name.f32/best.safetensors" "${features[@]}" --precision $precision -o "$out.tsv" ||
      complain "encode $out"
  done
  cmp "$name.f32.jsonl" "$name.bf16.jsonl" || complain "$name: metrics of training"
  cmp "$name.f32/best.safetensors" "$name.bf16/best.safetensors" || complain "$name: trained codes"
  cmp "$name.f32.tsv" "$name.bf16.tsv" || complain "$name: codes of items"
  [[ $(wc -l <"$name.f32.tsv") -ge 3646 ]] || complain "$name: $(wc -l <"$name.f32.tsv") items"
  echo "$name: $(wc -l <"$name.f32.tsv") items, 3 codes each, equal"
done

# A library, of what the codes decode to: as a .npy, features that C reads with ease.
checkpoint=qia.f32/best.safetensors
"$MOIRE" decode --checkpoint $checkpoint --ids qia.f32.tsv -o items.npy || complain 'decode'
"$MOIRE" encode --checkpoint $checkpoint --features items.npy -o wanted.tsv || complain 'encode again'
mkdir library
"$MOIRE" compile --checkpoint $checkpoint --set precision=bf16 -o library/coder 2>log.txt || complain "compile: $(cat log.txt)"
${CC:-cc} -std=c11 -Wall -Werror -Ilibrary main.c library/coder.a -lm -o main || complain 'main'
./main items.npy | cmp wanted.tsv - || complain 'codes of the library'
finish
