#!/bin/bash
# A coder of items as a library: it encodes and decodes what `moire encode` and `moire decode` do, bit for bit, for any
# batch and threads, with weights embedded and in a file.
# shellcheck source=tests/support/tool.sh
source "$(dirname "$0")/../support/tool.sh"
small_data data.txt
small_config config.yaml
"$MOIRE" train config.yaml --data data.txt --out recommender >/dev/null 2>log.txt || complain "$(cat log.txt)"
cat >coder.yaml <<'END'
model: semantic_id
codebook_sizes: [8, 16, 33]
hidden: 12
code_dim: 6
epochs: 2
END
features=(--features recommender/best.safetensors --tensor item_embeddings.weight)
"$MOIRE" train coder.yaml "${features[@]}" --out coder >/dev/null 2>log.txt || complain "$(cat log.txt)"
checkpoint=coder/best.safetensors
"$MOIRE" encode --checkpoint $checkpoint "${features[@]}" -o codes.tsv || complain 'encode'
"$MOIRE" decode --checkpoint $checkpoint --ids codes.tsv -o decoded.npy || complain 'decode'
# The features as a .npy of the same bits: decoded once, so that the library is asked about its own.
"$MOIRE" encode --checkpoint $checkpoint --features decoded.npy -o again.tsv || complain 'encode again'
"$MOIRE" decode --checkpoint $checkpoint --ids again.tsv -o wanted.npy || complain 'decode again'

cat >main.c <<'END'
#include "coder.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
static void run(void *context, int n, void (*work)(void *job, int i), void *job) {
  (void)context;
  for (int i = n - 1; i >= 0; i--) work(job, i);
}
static void count(void *context, const char *kernel, int begins) { *(int *)context += begins && kernel[0]; }
/* main ITEMS.npy CODES.tsv DECODED.npy [WEIGHTS]: copies the items a few hundred times, encodes and decodes. */
int main(int argc, char **argv) {
  FILE *in = fopen(argv[1], "rb");
  static float items[1 << 20], all[1 << 20], back[1 << 20];
  static int32_t codes[1 << 16];
  if (!in || fseek(in, 128, SEEK_SET)) return 1;
  int n = (int)(fread(items, 4, 1 << 20, in) / CODER_FEATURES), copies = 1000 / n + 1;
  fclose(in);
  for (int i = 0; i < copies; i++) memcpy(all + i * n * CODER_FEATURES, items, (size_t)n * CODER_FEATURES * 4);
  coder_workspace w = {.threads = 3, .run = run};
  coder_model *model = NULL;
#ifdef EXTERNAL
  if (argc < 5 || coder_open(argv[4], &model)) return 2;
#else
  (void)argc;
#endif
  if (coder_encode(model, &w, n * copies, all, codes) || coder_decode(model, &w, n * copies, codes, back)) return 3;
  for (int i = 1; i < copies; i++) {
    if (memcmp(codes, codes + i * n * CODER_LEVELS, (size_t)n * CODER_LEVELS * 4)) return 4;
    if (memcmp(back, back + i * n * CODER_FEATURES, (size_t)n * CODER_FEATURES * 4)) return 5;
  }
  int32_t one[CODER_LEVELS];
  if (coder_encode(model, &w, 1, items, one) || memcmp(one, codes, sizeof one)) return 6;
  FILE *out = fopen(argv[2], "w");
  for (int i = 0; i < n; i++, fputc('\n', out)) {
    fprintf(out, "%d", i);
    for (int l = 0; l < CODER_LEVELS; l++) fprintf(out, "\t%d", codes[i * CODER_LEVELS + l]);
  }
  fclose(out);
  out = fopen(argv[3], "wb");
  fwrite(back, 4, (size_t)n * CODER_FEATURES, out);
  fclose(out);
  if (coder_codes(0) != 8 || coder_codes(2) != 33 || coder_codes(3) || coder_codes(-1)) return 7;
  one[2] = 33;
  if (coder_decode(model, &w, 1, one, back) != CODER_ERROR_CODE) return 8;
  if (coder_encode(model, &w, 0, items, one) != CODER_ERROR_BATCH || coder_encode(model, NULL, 1, items, one) != CODER_ERROR_NULL)
    return 9;
  size_t bytes = coder_workspace_bytes(n, 1);
  coder_workspace own = {.memory = malloc(bytes), .bytes = bytes}, small = {.memory = own.memory, .bytes = bytes / 2};
  if (coder_encode(model, &own, n, items, codes) || coder_encode(model, &small, n, items, codes) != CODER_ERROR_WORKSPACE)
    return 10;
  int kernels = 0;
  own.profile = count;
  own.profile_context = &kernels;
  if (coder_encode(model, &own, n, items, codes) || kernels < 3) return 11;
  free(own.memory);
  coder_workspace_free(&w);
#ifdef EXTERNAL
  coder_close(model);
#endif
  return 0;
}
END

# library DIR OPTION...: makes the library and runs main with it.
library() {
  local dir=$1 define=
  shift
  mkdir "$dir"
  "$MOIRE" compile --checkpoint $checkpoint -o "$dir/coder" "$@" 2>log.txt || complain "compile $*: $(cat log.txt)"
  if grep -q external <<<"$*"; then define=-DEXTERNAL; fi
  ! grep -qi 'recommend\|histor\|item_size' "$dir/coder.h" || complain "$dir/coder.h speaks of recommending"
  ${CC:-cc} -std=c11 -Wall -Wextra -Werror $define -I"$dir" main.c "$dir/coder.a" -lm -o "$dir/main" || complain "main with $dir"
  "$dir/main" decoded.npy "$dir/codes.tsv" "$dir/back" "$dir/coder.weights" || complain "main of $dir: status $?"
  cmp again.tsv "$dir/codes.tsv" || complain "codes differ: $dir"
  cmp <(tail -c +129 wanted.npy) "$dir/back" || complain "features differ: $dir"
}

library embedded
library external --weights=external
refused 1 semantic_id train -- "$MOIRE" compile coder.yaml --train --set feature_dim=8 -o x
finish
