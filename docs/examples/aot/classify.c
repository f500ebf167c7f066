/* A program that tells modulations by a library of docs/examples/signals.c, records of `moire synth --kind
 * signals`.
 *
 *   classify FILE [RECORDS]        classifies the first records (3)
 *   classify FILE -                says how many of all records are right, and how long one takes
 *
 * The file is read through Moire's library; who has samples of a radio in memory needs the library of the model
 * alone. Built by
 *
 *   cc -O2 -I. -IMOIRE/include classify.c -o classify signals.a -LMOIRE/build/release -lmoire -lm
 */
#define _POSIX_C_SOURCE 199309L
#include <signals.h>

#include "moire/files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { LENGTH = 128, CLASSES = 8 };

static int64_t n_records;
static const float *iq; /* [n_records, LENGTH] pairs */
static const int32_t *labels;
static const float *snr;
static const char *names[CLASSES];

static void stop(const char *sentence) {
  fprintf(stderr, "classify: %s\n", sentence);
  exit(1);
}

static const void *find(const moire_tensors *file, const char *name, moire_element type, int rank) {
  int index = moire_tensors_find(file, name);
  moire_tensor t = moire_tensors_at(file, index < 0 ? 0 : index);
  if (index < 0 || !t.data || t.type != type || t.rank != rank || (rank == 2 && t.shape[1] != LENGTH))
    stop("the file has not the tensors iq c64[n, 128], label i32[n] and snr f32[n]");
  if (n_records && t.shape[0] != n_records) stop("the tensors of the file have not as many records each");
  n_records = t.shape[0];
  return t.data;
}

/* The names of the labels, which the file has with commas between. */
static void read_names(const moire_tensors *file) {
  const char *text = moire_tensors_metadata(file, "labels");
  static char copy[200];
  snprintf(copy, sizeof copy, "%s", text ? text : "");
  int n = 0;
  for (char *name = strtok(copy, ","); name && n < CLASSES; name = strtok(NULL, ",")) names[n++] = name;
  if (n < CLASSES) stop("the file does not name its labels");
}

/* The class of one record. */
static int classify(signals_workspace *workspace, int64_t record) {
  float logits[CLASSES];
  signals_inputs inputs = {.iq = iq + record * LENGTH * 2};
  signals_outputs outputs = {.logits = logits};
  signals_status status = signals_run(NULL, workspace, 1, &inputs, &outputs);
  if (status) stop(signals_status_text(status));
  int best = 0;
  for (int i = 1; i < CLASSES; i++) best = logits[i] > logits[best] ? i : best;
  return best;
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static void measure(signals_workspace *workspace) {
  int64_t right = 0;
  double least = 1;
  for (int64_t i = 0; i < n_records; i++) {
    double from = now();
    right += classify(workspace, i) == labels[i];
    double seconds = now() - from;
    if (seconds < least) least = seconds;
  }
  printf("%.4f of %lld records are right; one takes %.1f microseconds at least\n",
         (double)right / (double)n_records, (long long)n_records, 1e6 * least);
}

int main(int argc, char **argv) {
  moire_error error = {0};
  signals_workspace workspace = {0};
  if (argc < 2 || argc > 3) return fprintf(stderr, "usage: classify FILE [RECORDS|-]\n"), 2;
  moire_tensors *file = moire_tensors_open(argv[1], &error);
  if (!file) stop(error.message);
  iq = find(file, "iq", MOIRE_ELEMENT_C64, 2);
  labels = find(file, "label", MOIRE_ELEMENT_I32, 1);
  snr = find(file, "snr", MOIRE_ELEMENT_F32, 1);
  read_names(file);
  if (argc == 3 && !strcmp(argv[2], "-")) {
    measure(&workspace);
  } else {
    long wanted = argc == 3 ? strtol(argv[2], NULL, 10) : 3;
    for (int64_t i = 0; i < wanted && i < n_records; i++) {
      if (labels[i] < 0 || labels[i] >= CLASSES) stop("a label is not from 0 to 7");
      printf("record %lld: %s at %.0f dB, said to be %s\n", (long long)i, names[labels[i]], (double)snr[i],
             names[classify(&workspace, i)]);
    }
  }
  signals_workspace_free(&workspace);
  moire_tensors_close(file);
  return 0;
}
