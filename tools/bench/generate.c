/* Generation by a llama, a token at a time with a cache: beside a plain loop in C (support/llama_plain.c), and
 * PyTorch (generate_torch.py, with the Python of MOIRE_PYTHON), and how much of the memory's bandwidth the
 * weights take.
 *
 *   generate BANDWIDTH     GB/s that one thread reads from memory, as `moire peaks` says
 *
 * One thread. Weights are random; the best words of float32 must be the plain loop's before anything is timed.
 * Runs of both sides take turns; seconds are those of the process, so that what else runs on the machine takes
 * none. */
#include "moire/files.h"
#include "tasks/tokens/generator.h"
#include "tools/bench/support/bench.h"
#include "tools/bench/support/llama_plain.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST_TENSORS = 128, LAYER_TENSORS = 9, STEPS = 128, ROUNDS = 7 };

typedef struct shape {
  const char *name;
  int words, width, inner, layers, heads, key_heads;
} shape;

static const shape shapes[] = {{"stories260k", 512, 64, 172, 5, 8, 4},
                               {"stories15M", 32000, 288, 768, 6, 6, 6}};

typedef struct weights {
  moire_tensor tensors[MOST_TENSORS];
  char names[MOST_TENSORS][64];
  int n;
  llama_plain plain;
  llama_plain_layer layers[16];
  int64_t elements;
} weights;

/* ---- Weights ---------------------------------------------------------------------------------------- */

static const float *add(weights *w, const char *name, int rows, int columns, float size) {
  static uint32_t seed = 1;
  int64_t n = (int64_t)rows * (columns ? columns : 1);
  float *x = malloc((size_t)n * sizeof *x);
  if (!x || w->n == MOST_TENSORS) exit(1);
  for (int64_t i = 0; i < n; i++) {
    seed = seed * 1664525U + 1013904223U;
    x[i] = columns ? ((float)(seed >> 8) / (float)(1 << 24) - 0.5F) * size : 1;
  }
  snprintf(w->names[w->n], sizeof w->names[0], "%s", name);
  w->tensors[w->n] = (moire_tensor){.name = w->names[w->n],
                                    .type = MOIRE_ELEMENT_F32,
                                    .rank = columns ? 2 : 1,
                                    .shape = {rows, columns},
                                    .data = x};
  w->n++;
  w->elements += n;
  return x;
}

static void make_weights(weights *w, const shape *s) {
  static const char *const names[] = {"input_layernorm",  "self_attn.q_proj", "self_attn.k_proj",
                                      "self_attn.v_proj", "self_attn.o_proj", "post_attention_layernorm",
                                      "mlp.gate_proj",    "mlp.up_proj",      "mlp.down_proj"};
  int row = s->key_heads * (s->width / s->heads);
  const int sizes[LAYER_TENSORS][2] = {{s->width, 0},        {s->width, s->width}, {row, s->width},
                                       {row, s->width},      {s->width, s->width}, {s->width, 0},
                                       {s->inner, s->width}, {s->inner, s->width}, {s->width, s->inner}};
  w->plain = (llama_plain){.words = s->words,
                           .width = s->width,
                           .inner = s->inner,
                           .layers = s->layers,
                           .heads = s->heads,
                           .key_heads = s->key_heads,
                           .positions = 512,
                           .eps = 1e-5F,
                           .theta = 10000,
                           .layer = w->layers};
  w->plain.table = add(w, "model.embed_tokens.weight", s->words, s->width, 0.1F);
  for (int l = 0; l < s->layers; l++) {
    const float *all[LAYER_TENSORS];
    for (int i = 0; i < LAYER_TENSORS; i++) {
      char name[64];
      snprintf(name, sizeof name, "model.layers.%d.%s.weight", l, names[i]);
      all[i] = add(w, name, sizes[i][0], sizes[i][1], 4 / sqrtf((float)s->width));
    }
    memcpy(&w->layers[l], all, sizeof w->layers[l]);
  }
  w->plain.norm = add(w, "model.norm.weight", s->width, 0, 1);
  llama_plain_start(&w->plain);
}

static void free_weights(weights *w) {
  llama_plain_end(&w->plain);
  for (int i = 0; i < w->n; i++) free((void *)(uintptr_t)w->tensors[i].data);
}

static void write_checkpoint(const weights *w, const shape *s, const char *path) {
  moire_error error = {0};
  char config[512];
  snprintf(config, sizeof config,
           "{\"vocab_size\": %d, \"hidden_size\": %d, \"intermediate_size\": %d, \"num_hidden_layers\": %d, "
           "\"num_attention_heads\": %d, \"num_key_value_heads\": %d, \"max_position_embeddings\": 512, "
           "\"rms_norm_eps\": 1e-5, \"tie_word_embeddings\": true}",
           s->words, s->width, s->inner, s->layers, s->heads, s->key_heads);
  const moire_metadata metadata[] = {{"model", "llama"}, {"config", config}};
  bench_require(moire_tensors_write(path, w->tensors, w->n, metadata, 2, &error), &error);
}

/* ---- Both sides ------------------------------------------------------------------------------------- */

static int best(const float *x, int n) {
  int found = 0;
  for (int i = 1; i < n; i++) {
    if (x[i] > x[found]) found = i;
  }
  return found;
}

/* Seconds of the process for `STEPS` tokens after the first; `words` are what is chosen. */
static double plain(llama_plain *m, int *words) {
  int id = 1;
  double began = 0;
  for (int t = 0; t <= STEPS; t++) {
    if (t == 1) began = bench_clock(CLOCK_PROCESS_CPUTIME_ID);
    llama_plain_step(m, id, t);
    words[t] = id = best(m->logits, m->words);
  }
  return bench_clock(CLOCK_PROCESS_CPUTIME_ID) - began;
}

typedef struct ours {
  moire__sources sources;
  moire__predictor predictor;
  moire__generator *generator;
} ours;

static void start(ours *o, const char *path, const char *precision) {
  moire_error error = {0};
  o->sources = (moire__sources){.checkpoint = path, .precision = precision, .threads = 1};
  bench_require(moire__predictor_open(&o->predictor, &o->sources, &error), &error);
  bench_require(moire__setup_build(&o->predictor.setup, path, &error), &error);
  o->generator = moire__generator_create(&o->predictor, 1, &error);
  bench_require(error.status, &error);
}

static void stop(ours *o) {
  moire__generator_destroy(o->generator);
  moire__predictor_free(&o->predictor);
}

static double run(const ours *o, int n_words, int *words) {
  moire_error error = {0};
  int32_t id = 1, one = 1;
  double began = 0;
  moire__generator_clear(o->generator);
  for (int t = 0; t <= STEPS; t++) {
    const float *logits = NULL;
    if (t == 1) began = bench_clock(CLOCK_PROCESS_CPUTIME_ID);
    bench_require(moire__generator_append(o->generator, &id, &one, 1, &logits, &error), &error);
    words[t] = id = best(logits, n_words);
  }
  return bench_clock(CLOCK_PROCESS_CPUTIME_ID) - began;
}

static double torch(const shape *s) {
  const char *python = getenv("MOIRE_PYTHON");
  char command[512];
  double seconds = 0;
  if (!python) return 0;
  snprintf(command, sizeof command, "'%s' tools/bench/generate_torch.py %d %d %d %d %d %d %d", python, s->words,
           s->width, s->inner, s->layers, s->heads, s->key_heads, STEPS);
  FILE *answer = popen(command, "r");
  if (!answer || fscanf(answer, "%lf", &seconds) != 1) seconds = 0;
  if (answer) pclose(answer);
  return seconds;
}

static void row(const shape *s, const char *what, double seconds, double peer, const char *name) {
  char text[120];
  snprintf(text, sizeof text, "%s, %s", s->name, what);
  bench_spread mine = {1e6 * seconds / STEPS, 0, 0}, other = {1e6 * peer / STEPS, 0, 0};
  bench_row("generate", text, mine, other, name, "us a token");
}

static void measure(const shape *s, double bandwidth) {
  static const struct {
    const char *name;
    double bytes;
  } precisions[] = {{"f32", 4}, {"bf16", 2}, {"int8", 1}};
  enum { PRECISIONS = sizeof precisions / sizeof *precisions };
  weights w = {.n = 0};
  ours o[PRECISIONS] = {0};
  double seconds[PRECISIONS], peer = INFINITY;
  int mine[STEPS + 1], theirs[STEPS + 1];
  char path[128];
  snprintf(path, sizeof path, "/tmp/moire_bench_generate_%ld.safetensors", (long)getpid());
  make_weights(&w, s);
  write_checkpoint(&w, s, path);
  for (int p = 0; p < PRECISIONS; p++) {
    start(&o[p], path, precisions[p].name);
    seconds[p] = INFINITY;
  }
  remove(path);
  for (int r = 0; r < ROUNDS; r++) {
    peer = fmin(peer, plain(&w.plain, theirs));
    for (int p = 0; p < PRECISIONS; p++) {
      seconds[p] = fmin(seconds[p], run(&o[p], s->words, mine));
      if (p == 0 && memcmp(mine, theirs, sizeof mine) != 0) {
        fprintf(stderr, "generate: the words differ from the plain loop's\n");
        exit(1);
      }
    }
  }
  double eager = torch(s);
  for (int p = 0; p < PRECISIONS; p++) {
    row(s, precisions[p].name, seconds[p], peer, "plain C");
    if (eager > 0) row(s, precisions[p].name, seconds[p], eager, "PyTorch eager");
    double rate = precisions[p].bytes * (double)w.elements * STEPS / seconds[p] * 1e-9;
    printf("  %.0f tokens/s, %.2f MB of weights a token, %.1f GB/s: %.2f of %.1f\n", STEPS / seconds[p],
           precisions[p].bytes * (double)w.elements * 1e-6, rate, rate / bandwidth, bandwidth);
    stop(&o[p]);
  }
  free_weights(&w);
}

int main(int argc, char **argv) {
  double bandwidth = argc > 1 ? strtod(argv[1], NULL) : 0;
  bench_pin(1);
  if (!(bandwidth > 0)) {
    fprintf(stderr, "generate: wanted the bandwidth of memory in GB/s, as `moire peaks` says it\n");
    return 2;
  }
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) measure(&shapes[i], bandwidth);
  return 0;
}
