#!/bin/bash
# A model that is no recommender, from files of tensors to a library: it trains, is measured, predicts, starts from
# weights, is swept and profiled, and a C99 program gets what `predict` writes, bit for bit.
# shellcheck source=tests/support/tool.sh
source "$(dirname "$0")/../support/tool.sh"

channel=$BUILD_DIR/examples/channel.so
[[ -r $channel ]] || complain "the build has left no $channel"

# --- data: received.npy c8 [N, 16], measured.npy f8 in Fortran order, wanted.npy f4
cat >make.c <<'END'
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
static FILE *begin(const char *folder, const char *name, const char *descr, const char *fortran, const char *shape) {
  char path[256], header[256];
  snprintf(path, sizeof path, "%s/%s.npy", folder, name);
  FILE *f = fopen(path, "wb");
  int n = snprintf(header, sizeof header, "{'descr': '%s', 'fortran_order': %s, 'shape': (%s), }", descr, fortran, shape);
  int padded = (n + 1 + 10 + 63) / 64 * 64 - 10;
  unsigned char magic[10] = {0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, (unsigned char)(padded & 255), (unsigned char)(padded >> 8)};
  fwrite(magic, 1, 10, f);
  fprintf(f, "%s%*s\n", header, padded - n - 1, "");
  return f;
}
static unsigned state = 1;
static double draw(void) {
  state = state * 1664525u + 1013904223u;
  return (double)(state >> 8) / 8388608.0 - 1;
}
int main(int argc, char **argv) {
  int n = atoi(argv[2]);
  float bad = argc > 3 ? 0.0f / (float)strlen(argv[1] + strlen(argv[1])) : 0;
  char shape[32];
  float *r = malloc(sizeof(float) * 32 * (size_t)n), *w = malloc(sizeof(float) * 2 * (size_t)n);
  double *m = malloc(sizeof(double) * 3 * (size_t)n);
  for (int i = 0; i < n; i++) {
    float re = 0, im = 0;
    for (int k = 0; k < 32; k++) {
      r[32 * i + k] = (float)draw();
      if (k < 16) *(k % 2 ? &im : &re) += r[32 * i + k];
    }
    double sum = 0;
    for (int k = 0; k < 3; k++) sum += m[k * n + i] = draw();
    w[2 * i] = 0.1f * (re * re + im * im);
    w[2 * i + 1] = (float)sum;
  }
  if (argc > 3) w[2 * 17] = bad;
  snprintf(shape, sizeof shape, "%d, 16", n);
  FILE *f = begin(argv[1], "received", "<c8", "False", shape);
  fwrite(r, sizeof(float), 32 * (size_t)n, f);
  fclose(f);
  snprintf(shape, sizeof shape, "%d, 3", n);
  f = begin(argv[1], "measured", "<f8", "True", shape);
  fwrite(m, sizeof(double), 3 * (size_t)n, f);
  fclose(f);
  snprintf(shape, sizeof shape, "%d, 2", n);
  f = begin(argv[1], "wanted", "<f4", "False", shape);
  fwrite(w, sizeof(float), 2 * (size_t)n, f);
  fclose(f);
  return 0;
}
END
gcc -O1 -w make.c -o make
mkdir records more
./make records 600
./make more 50

cat >channel.yaml <<END
model: $channel
epochs: 4
batch_size: 32
lr: 0.01
END
train=("$MOIRE" train channel.yaml --data records)
model=(--model "$channel")

# --- training, and what it leaves
"${train[@]}" --out run --threads 1 --json >result.json 2>log.txt || complain "train: $(cat log.txt)"
grep -q '"test":{"loss":[0-9.e-]*,"error":' result.json || complain "the test: $(cat result.json)"
grep -q '"task": "tensors"' run/run.json || complain "run.json: $(cat run/run.json)"
grep -q '"samples": 60,' run/run.json || complain 'a tenth of the rows tests'
first=$(sed -n '1s/.*"valid":{"loss":\([0-9.e-]*\).*/\1/p' run/metrics.jsonl)
last=$(sed -n '4s/.*"valid":{"loss":\([0-9.e-]*\).*/\1/p' run/metrics.jsonl)
awk "BEGIN { exit !($last < $first / 2) }" || complain "the loss went from $first to $last"
"${train[@]}" --out again --threads 3 >/dev/null 2>log.txt || complain "train: $(cat log.txt)"
cmp run/last.safetensors again/last.safetensors || complain 'other threads, other bits'
"${train[@]}" --out parts --set epochs=2 >/dev/null 2>log.txt || complain "train: $(cat log.txt)"
"${train[@]}" --out parts --resume >/dev/null 2>log.txt || complain "--resume: $(cat log.txt)"
cmp run/best.safetensors parts/best.safetensors || complain 'resumed, other bits'

# --- measured again: the test's part, and all rows, of which the values of each
eval=("$MOIRE" eval --checkpoint run/best.safetensors "${model[@]}")
"${eval[@]}" --data records --split test --json >eval.json 2>log.txt || complain "eval: $(cat log.txt)"
grep -qF "$(cat eval.json)" result.json || complain "eval says $(cat eval.json), training said $(cat result.json)"
"${eval[@]}" --data more --values values.safetensors --batch 7 --json >all.json 2>log.txt || complain "eval: $(cat log.txt)"
head -c 200 values.safetensors | grep -q '"error":{"dtype":"F32","shape":\[50\]' || complain 'a value a sample'
refused 1 --ranks -- "${eval[@]}" --data more --ranks ranks.txt
refused 1 --baselines 'which has none' -- "${eval[@]}" --data more --baselines

# --- predictions
predict=("$MOIRE" predict --checkpoint run/best.safetensors "${model[@]}")
"${predict[@]}" --data more -o out.safetensors || complain 'predict'
"${predict[@]}" --data more -o seven.safetensors --batch 7 --threads 3 || complain 'predict'
cmp out.safetensors seven.safetensors || complain 'predictions depend on the batch'
head -c 300 out.safetensors | grep -q '"wave":{"dtype":"C64","shape":\[50,32\]' || complain 'a complex output'
"${predict[@]}" --data received=more/received.npy,measured=more/measured.npy -o narrow.safetensors || complain 'without targets'
cmp out.safetensors narrow.safetensors || complain 'targets change predictions'
"${predict[@]}" --data more --tensors estimate -o estimate.npy || complain 'one output as .npy'
refused 1 nothing -- "${predict[@]}" --data more --tensors nothing -o x.safetensors
refused 1 semantic -- "$MOIRE" recommend --checkpoint run/best.safetensors --model semantic_id --data more
refused 1 channel 'moire predict' -- "$MOIRE" recommend --checkpoint run/best.safetensors "${model[@]}" --data more

# --- in parts
"${predict[@]}" --data more -o seven.safetensors --batch 7 || complain 'predict'
in_parts seven.safetensors "${predict[@]}" --data more --batch 7
"${eval[@]}" --data more --batch 7 --json >all.json 2>log.txt || complain "eval: $(cat log.txt)"
in_parts all.json "${eval[@]}" --data more --batch 7 --json
for i in 1 2; do "${eval[@]}" --data more --batch 7 --json --part $i/2 -o two 2>log.txt || complain 'eval --part'; done
"$MOIRE" merge two.*-of-2 --samples two.safetensors >/dev/null || complain 'merge --samples'
cmp values.safetensors two.safetensors || complain 'values of parts'
for i in 1 2; do "${predict[@]}" --data more --tensors estimate --batch 7 --part $i/2 -o two.npy || complain 'predict --part'; done
"$MOIRE" merge two.npy.*-of-2 -o two.npy || complain 'merge to .npy'
cmp estimate.npy two.npy || complain '.npy of parts'

# --- a library, and a program in C99 that gets the same bits
"$MOIRE" compile --checkpoint run/best.safetensors "${model[@]}" -o ./chan >/dev/null 2>log.txt || complain "compile: $(cat log.txt)"
"$MOIRE" compile --checkpoint run/best.safetensors "${model[@]}" --cpu host -o new/lib/chan >/dev/null 2>log.txt ||
  complain "compile into a new folder: $(cat log.txt)"
[[ -s new/lib/chan.h ]] || complain 'no library in a new folder'
refused 1 chan.h -- "$MOIRE" compile --checkpoint run/best.safetensors "${model[@]}" -o chan.h/lib/chan

# A library that would take the place of its own model is refused, however the two are spelled.
cp "$channel" own.so
refused 1 own.so 'another DIR/NAME' -- "$MOIRE" compile --checkpoint run/best.safetensors --model ./own.so -o "$PWD/own"
cmp "$channel" own.so || complain 'the model was replaced'
cat >use.c <<'END'
#include "chan.h"
#include <stdio.h>
#include <stdlib.h>
static void *rest_of(const char *path, long skip, size_t bytes) {
  FILE *f = fopen(path, "rb");
  void *data = malloc(bytes);
  if (!f || fseek(f, -(long)bytes - skip, SEEK_END) || fread(data, 1, bytes, f) != bytes) exit(2);
  fclose(f);
  return data;
}
int main(void) {
  enum { N = 50 };
  float *received = rest_of("more/received.npy", 0, N * 32 * sizeof(float)), measured[N * 3], estimate[N * 2];
  double *m = rest_of("more/measured.npy", 0, N * 3 * sizeof(double));
  for (int i = 0; i < N; i++)
    for (int k = 0; k < 3; k++) measured[3 * i + k] = (float)m[k * N + i];
  chan_inputs inputs = {received, measured};
  chan_outputs outputs = {NULL, estimate};
  chan_workspace workspace = {0};
  chan_status status = chan_run(NULL, &workspace, N, &inputs, &outputs);
  if (status) return fprintf(stderr, "%s\n", chan_status_text(status)), 1;
  chan_workspace_free(&workspace);
  fwrite(estimate, sizeof(float), N * 2, stdout);
  return 0;
}
END
gcc -std=c99 -pedantic -Wall -Wextra -Werror -I. use.c ./chan.a -lm -o use || complain 'the program does not compile'
./use >estimate.bin || complain 'the program fails'
tail -c 400 estimate.npy | cmp - estimate.bin || complain 'the library gives other bits than predict'

# --- weights to start with
"${train[@]}" --out tuned --from run/best.safetensors --set epochs=1 >/dev/null 2>log.txt || complain "--from: $(cat log.txt)"
grep -q '^starting with 5 weights of run/best.safetensors$' log.txt || complain "--from: $(cat log.txt)"
"${train[@]}" --out wider --from run/best.safetensors --set epochs=1 --set length=16 --set width=32 >/dev/null 2>log.txt ||
  complain "--from: $(cat log.txt)"
refused 1 'none of its 5' last.weight '[2, 8]' '[2, 32]' -- "${train[@]}" --out narrow --from run/best.safetensors --set width=8
refused 2 --from --resume -- "${train[@]}" --out tuned --from run/best.safetensors --resume

# --- many runs, and where the time goes
"$MOIRE" sweep channel.yaml --data records --grid width=4,8 --seeds 2 --set epochs=2 --out grid --json >grid.json 2>log.txt ||
  complain "sweep: $(cat log.txt)"
grep -q '"metric":"loss"' grid.json || complain "the grid: $(cat grid.json)"
"$MOIRE" runs grid --metric error --json >error.json || complain 'runs'
grep -q '"gap":{"mean":' error.json || complain "no paired bootstrap of errors: $(cat error.json)"
infer=()
for mode in training inference; do
  [[ $mode == training ]] || infer=(--infer)
  "$MOIRE" profile channel.yaml --data records --steps 2 "${infer[@]}" >profile.txt 2>log.txt ||
    complain "profile: $(cat log.txt)"
  grep -q "^channel, $mode: 2 steps of" profile.txt || complain "profile: $(head -n 1 profile.txt)"
done

# --- bad input
mkdir bad other
./make bad 100 nan
refused 1 wanted 'row 17' NaN -- "$MOIRE" train channel.yaml --data bad --out none
cp more/received.npy more/measured.npy other
refused 1 wanted -- "$MOIRE" train channel.yaml --data other --out none
cp records/wanted.npy other
refused 1 other rows -- "$MOIRE" train channel.yaml --data other --out none
cp more/measured.npy other/wanted.npy
refused 1 wanted 2 3 -- "$MOIRE" train channel.yaml --data other --out none
refused 1 none.npy -- "$MOIRE" train channel.yaml --data none.npy --out none
refused 1 accuracy loss error -- "$MOIRE" train channel.yaml --data records --set stop_metric=accuracy --out none
refused 1 valid_fraction -- "$MOIRE" train channel.yaml --data more --set valid_fraction=0 --out none
refused 1 'none to train' -- "$MOIRE" train channel.yaml --data more --set valid_fraction=0.5 --set test_fraction=0.5 --out none
[[ ! -e none ]] || complain 'something was left of what was refused'
"${train[@]:0:3}" --data records --valid more --test more --out apart --set epochs=1 --json >apart.json 2>log.txt ||
  complain "--valid and --test: $(cat log.txt)"
grep -q '"samples": 50,' apart/run.json || complain 'the test has rows of its own'
finish
