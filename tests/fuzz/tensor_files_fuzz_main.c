/* Fuzzes the readers of tensor files: safetensors and .npy files, lists and folders, with changes. Whatever
 * comes in, a status with a sentence comes out, and what is opened can be read to its end by every type.
 *
 *   tensor_files_fuzz_main [SECONDS [SEED]]       2 seconds, and a seed of the time, which is printed
 *
 * Worth most under AddressSanitizer. */
#include "runtime/base/memory.h"
#include "runtime/base/philox.h"
#include "runtime/files/checkpoint_names.h"
#include "runtime/files/npy.h"
#include "runtime/files/tensor_source.h"
#include "tests/support/files.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LARGEST = 1 << 12, FILES = 3, FEW = 64 };

typedef struct fuzzer {
  moire__random random;
  char bytes[LARGEST];
  size_t n;
  int64_t rounds, opened, read;
} fuzzer;

static uint64_t below(fuzzer *f, uint64_t bound) { return moire__random_below(&f->random, bound); }

static void stop(const char *what, const char *detail) {
  printf("FAILED: %s: %s\n", what, detail);
  exit(1);
}

/* ---- Files ------------------------------------------------------------------------------------------------
 */

static void add(fuzzer *f, const void *bytes, size_t n) {
  const char *from = bytes;
  for (size_t i = 0; i < n && f->n < LARGEST; i++) f->bytes[f->n++] = from[i];
}

static void add_noise(fuzzer *f, size_t n) {
  for (size_t i = 0; i < n && f->n < LARGEST; i++) f->bytes[f->n++] = (char)moire__random_bits(&f->random);
}

/* A number that is mostly small, at times anything that a header can claim. */
static uint64_t extent(fuzzer *f) {
  static const uint64_t odd[] = {0, 1, INT32_MAX, INT64_MAX, UINT64_MAX, (uint64_t)1 << 32, (uint64_t)1 << 62};
  if (!below(f, 40)) return odd[below(f, sizeof odd / sizeof *odd)];
  return below(f, 30) ? 1 + below(f, 4) : 0;
}

static void make_npy(fuzzer *f) {
  static const char *const types[] = {"b1", "i1", "i2", "i4", "i8", "u1",  "u2", "u4",
                                      "u8", "f2", "f4", "f8", "c8", "c16", "O",  "V3"};
  static const size_t sizes[] = {1, 1, 2, 4, 8, 1, 2, 4, 8, 2, 4, 8, 8, 16, 8, 3};
  char header[400], shape[200] = "";
  size_t type = below(f, 16), bytes = sizes[type];
  for (uint64_t i = 0, rank = below(f, 9); i < rank; i++) {
    uint64_t one = extent(f);
    bytes *= one;
    snprintf(shape + strlen(shape), sizeof shape - strlen(shape), "%" PRIu64 ",%s", one,
             below(f, 3) ? " " : "");
  }
  int version = 1 + (int)below(f, 3);
  int length =
      snprintf(header, sizeof header, "{'descr': '%c%s', 'fortran_order': %s, 'shape': (%s), }%*s\n",
               "<>|="[below(f, 4)], types[type], below(f, 2) ? "True" : "False", shape, (int)below(f, 65), "");
  char prefix[12] = "\x93NUMPY";
  prefix[6] = (char)version;
  prefix[8] = (char)(length & 255);
  prefix[9] = (char)(length >> 8);
  f->n = 0;
  add(f, prefix, version == 1 ? 10 : 12);
  add(f, header, (size_t)length);
  add_noise(f, bytes > 2048 ? 2048 : bytes);
}

static void make_safetensors(fuzzer *f) {
  static const char *const types[] = {"F64", "F32",  "F16", "BF16", "I64", "I32", "I16",     "I8",
                                      "U8",  "BOOL", "U16", "U32",  "U64", "C64", "F8_E4M3", "F4"};
  static const size_t sizes[] = {8, 4, 2, 2, 8, 4, 2, 1, 1, 1, 2, 4, 8, 8, 1, 1};
  static const char *const names[] = {"x", "y", "module.w", "w", "_orig_mod.w", "w.re"};
  char header[2000] = "{\"__metadata__\": {\"k\": \"v\"}";
  size_t at = 0;
  for (uint64_t i = 0, n = below(f, 5); i < n; i++) {
    size_t type = below(f, 16), bytes = sizes[type], used = strlen(header);
    used += (size_t)snprintf(header + used, sizeof header - used, ", \"%s\": {\"dtype\": \"%s\", \"shape\": [",
                             names[below(f, 40) ? i : below(f, 6)], types[type]);
    for (uint64_t d = 0, rank = below(f, 4); d < rank; d++) {
      uint64_t one = extent(f);
      bytes *= one;
      used += (size_t)snprintf(header + used, sizeof header - used, d ? ", %" PRIu64 : "%" PRIu64, one);
    }
    snprintf(header + used, sizeof header - used, "], \"data_offsets\": [%zu, %zu]}", at, at + bytes);
    at += bytes;
  }
  uint64_t length = strlen(header) + 1;
  f->n = 0;
  add(f, &length, 8);
  add(f, header, length - 1);
  add(f, "}", 1);
  add_noise(f, at > 2048 ? 2048 : at);
}

static void change(fuzzer *f) {
  static const char likely[] = "{}[]()\",:'0123456789<>|=-. LTFalsetru\\\n";
  for (uint64_t i = below(f, 4); i > 0 && f->n; i--) {
    size_t at = below(f, below(f, 3) && f->n > 200 ? 200 : f->n);
    f->bytes[at] = below(f, 3) ? likely[below(f, sizeof likely - 1)] : (char)moire__random_bits(&f->random);
  }
  if (!below(f, 6)) f->n = below(f, f->n + 1);
  if (!below(f, 20)) add_noise(f, below(f, 9));
}

static void write_file(fuzzer *f, const char *path, bool npy) {
  if (npy)
    make_npy(f);
  else
    make_safetensors(f);
  if (below(f, 2)) change(f);
  unlink(path); /* one that is cut short to be written anew waits for the disk */
  test_write_file(path, f->bytes, f->n);
}

/* ---- Reading ----------------------------------------------------------------------------------------------
 */

static void need_sentence(moire_status status, const moire_error *error, const char *what) {
  if (!status == (error->status != MOIRE_OK)) stop("a status and its error differ", what);
  if (status && (!error->message[0] || strchr(error->message, '\n'))) stop("no sentence", error->message);
}

/* Every row by every type: claims of the header that went unchecked would be read beyond the file. */
static void read_array(fuzzer *f, const moire__array *a) {
  static const moire_dtype types[] = {MOIRE_F32, MOIRE_F64,  MOIRE_BF16, MOIRE_I32,
                                      MOIRE_I64, MOIRE_BOOL, MOIRE_C64};
  int64_t rows = moire__array_rows(a), width = moire__array_width(a);
  (void)moire__array_fingerprint(a, 1);
  if (a->count > LARGEST && a->dtype != MOIRE__ST_OTHER) stop("more elements than the file has", a->path);
  if (a->dtype == MOIRE__ST_OTHER && a->count > LARGEST) return;
  char *out = malloc((size_t)a->count * 8 + 1), *plane = malloc((size_t)a->count * 4 + 1);
  for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
    moire_error error = {0};
    moire_status status = moire__array_copy(a, types[i], out, NULL, &error);
    need_sentence(status, &error, "copy");
    f->read += !status;
    error = (moire_error){0};
    status = moire__array_check_values(a, types[i], &error);
    need_sentence(status, &error, "check_values");
    int64_t pick[2] = {rows ? (int64_t)below(f, (uint64_t)rows) : 0, (int64_t)below(f, 5) - 1};
    if (width > a->count / 2) continue; /* room for two rows */
    error = (moire_error){0};
    status = moire__array_read_rows(a, types[i], pick, 2, out, types[i] == MOIRE_C64 ? (float *)plane : NULL,
                                    &error);
    need_sentence(status, &error, "read_rows");
  }
  free(out);
  free(plane);
}

static void open_data(fuzzer *f, const char *data) {
  moire__tensor_source *source = NULL;
  moire_error error = {0};
  moire_status status = moire__tensor_source_open(data, &source, &error);
  need_sentence(status, &error, data);
  f->rounds++;
  if (status) return;
  f->opened++;
  const moire__array *all[FEW];
  int n = moire__tensor_source_count(source);
  for (int i = 0; i < n; i++) read_array(f, moire__tensor_source_at(source, i));
  for (int i = 0; i < n && i < FEW; i++) all[i] = moire__tensor_source_at(source, i);
  int64_t rows = 0;
  error = (moire_error){0};
  need_sentence(moire__arrays_rows(all, n < FEW ? n : FEW, &rows, &error), &error, "rows");
  moire__tensor_source_close(source);
}

/* The same bytes, where AddressSanitizer knows their end, which it does not of a mapping. */
static void parse_npy(fuzzer *f) {
  char *copy = memcpy(malloc(f->n + !f->n), f->bytes, f->n);
  moire__arena texts = {0};
  moire__array a;
  moire_error error = {0};
  moire_status status = moire__npy_parse("copy.npy", copy, f->n, &texts, &a, &error);
  need_sentence(status, &error, "npy_parse");
  if (!status) read_array(f, &a);
  moire__arena_free(&texts);
  free(copy);
}

static void parse_safetensors(fuzzer *f) {
  char *copy = memcpy(moire__allocate(f->n + !f->n), f->bytes, f->n);
  moire__safetensors *file = NULL;
  moire_error error = {0};
  moire_status status = moire__safetensors_parse("copy", copy, f->n, &file, &error);
  need_sentence(status, &error, "safetensors_parse");
  for (int i = 0; !status && i < moire__safetensors_count(file); i++) {
    moire__array a = moire__array_of_tensor("copy", moire__safetensors_at(file, i));
    read_array(f, &a);
  }
  moire__safetensors_close(file);
}

/* What checkpoints go through. */
static void open_checkpoint(const char *path) {
  static const char *const states[] = {"w", "w.re", "x", "x_i", "module.w"};
  moire__safetensors *file = NULL;
  moire_error error = {0};
  moire_status status = moire__safetensors_open(path, &file, &error);
  need_sentence(status, &error, path);
  if (status) return;
  moire__checkpoint_names names;
  moire__checkpoint_names_read(&names, file);
  for (size_t i = 0; i < sizeof states / sizeof *states; i++) {
    moire__weight weight;
    error = (moire_error){0};
    status = moire__checkpoint_names_find(&names, states[i], &weight, &error);
    need_sentence(status, &error, states[i]);
    if (!status && weight.index >= 0) (void)moire__st_find_nan(moire__safetensors_at(file, weight.index));
  }
  moire__checkpoint_names_free(&names);
  moire__safetensors_close(file);
}

static void round_of_all(fuzzer *f) {
  static const char *const lists[] = {"a.npy,b.npy", "x=a.npy,y=b.npy", "a.npy,c", "x=a.npy,x=b.npy", "a.npy,",
                                      "=a.npy",      "x==a.npy",        ",",       "a.npy,b.npy,c=c"};
  write_file(f, "a.npy", true);
  open_data(f, "a.npy");
  parse_npy(f);
  write_file(f, "c", false);
  open_data(f, "c");
  parse_safetensors(f);
  open_checkpoint("c");
  if (below(f, 4)) return;
  write_file(f, "b.npy", below(f, 10) > 0);
  open_data(f, ".");
  char list[40];
  snprintf(list, sizeof list, "%s", lists[below(f, sizeof lists / sizeof *lists)]);
  if (!below(f, 5)) list[below(f, strlen(list))] = "ab,=./x"[below(f, 7)];
  open_data(f, list);
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

int main(int argc, char **argv) {
  double seconds = argc > 1 ? strtod(argv[1], NULL) : 2;
  uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : (uint64_t)time(NULL);
  printf("seed %" PRIu64 "\n", seed);
  fflush(stdout);
  test_path directory;
  test_make_directory(directory);
  if (chdir(directory)) stop("cannot be entered", directory);
  fuzzer *f = calloc(1, sizeof *f);
  f->random = moire__random_start(seed, 0);
  double end = now() + seconds;
  while (now() < end) round_of_all(f);
  printf("%" PRId64 " data, %" PRId64 " opened, %" PRId64 " arrays read by a type\n", f->rounds, f->opened,
         f->read);
  test_remove_directory(directory);
  bool some = f->opened && f->opened < f->rounds;
  free(f);
  return !some;
}
