/* Programs of torch.export whose JSON is well formed but says something else: numbers that are too large, names
 * that belong to others, nodes in another order, what is missing, doubled or nested. Whatever comes in, a model
 * or a sentence comes out, within seconds.
 *
 *   programs_fuzz_main [SECONDS [SEED [ROUND]]]       2 seconds; a seed of the time, which is printed; one
 * round alone
 *
 * The programs are the one of tests/support/pt2/ and, where they are there, those of ../shared/pt2. Where a
 * round ends the process, its number is printed. Worth most under AddressSanitizer. */
#include "compiler/import/torch/archive.h"
#include "moire/import.h"
#include "runtime/base/memory.h"
#include "runtime/base/philox.h"
#include "runtime/config/config.h"
#include "tests/support/files.h"
#include "tests/support/pt2/pt2_file.h"

#include <dirent.h>
#include <inttypes.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MOST_PROGRAMS = 64, MOST_NODES = 20000, MOST_STATES = 1 << 20, MOST_SECONDS = 20 };

typedef struct program {
  moire__archive *archive;
  json_t *tables[3]; /* the program, the weights' and the constants' tables */
  int entries[3];
} program;

typedef struct fuzzer {
  program programs[MOST_PROGRAMS];
  int n;
  test_path directory;
  moire__random random;
  int64_t models, refused;
} fuzzer;

static volatile sig_atomic_t round_now;
static bool alone; /* one round, which says more */

static uint64_t below(fuzzer *f, uint64_t bound) { return moire__random_below(&f->random, bound); }

static void stop(const char *what, const char *detail) {
  printf("FAILED: round %d: %s: %s\n", (int)round_now, what, detail);
  exit(1);
}

/* ---- Programs --------------------------------------------------------------------------------------- */

static bool ends(const char *name, const char *with) {
  size_t n = strlen(name), m = strlen(with);
  return n >= m && !strcmp(name + n - m, with);
}

static void add_program(fuzzer *f, moire__archive *archive) {
  static const char *const files[] = {"models/", "weights_config.json", "constants_config.json"};
  program p = {.archive = archive};
  for (int i = 0; i < moire__archive_count(archive); i++) {
    const char *name = moire__archive_name(archive, i);
    for (int k = 0; k < 3; k++) {
      bool is = k ? ends(name, files[k]) : !strncmp(name, files[0], strlen(files[0])) && ends(name, ".json");
      char *bytes = NULL;
      size_t n = 0;
      if (!is || moire__archive_read(archive, i, &bytes, &n, NULL)) continue;
      p.tables[k] = json_loadb(bytes, n, 0, NULL);
      p.entries[k] = i;
      moire__release(bytes);
    }
  }
  if (!p.tables[0] || !p.tables[1] || !p.tables[2])
    stop("a program lacks a table", moire__archive_name(archive, 0));
  f->programs[f->n++] = p;
}

static void add_folder(fuzzer *f, const char *folder) {
  DIR *at = opendir(folder);
  for (struct dirent *d; at && (d = readdir(at));) {
    test_path path;
    moire__archive *archive = NULL;
    if (!ends(d->d_name, ".pt2") || f->n == MOST_PROGRAMS) continue;
    if (moire__archive_open(test_join(folder, d->d_name, path), &archive, NULL)) stop("cannot be opened", path);
    add_program(f, archive);
  }
  if (at) closedir(at);
}

/* ---- Changes ---------------------------------------------------------------------------------------- */

/* Every value of a table but the first, with what it lies in. */
typedef struct nodes {
  json_t *in[MOST_NODES];
  const char *key[MOST_NODES]; /* NULL: in an array, at `at` */
  size_t at[MOST_NODES];
  int n;
} nodes;

static void list(nodes *all, json_t *value) {
  const char *key;
  json_t *child;
  size_t i;
  json_object_foreach(value, key, child) {
    if (all->n == MOST_NODES) return;
    all->in[all->n] = value;
    all->key[all->n++] = key;
    list(all, child);
  }
  json_array_foreach(value, i, child) {
    if (all->n == MOST_NODES) return;
    all->in[all->n] = value;
    all->key[all->n] = NULL;
    all->at[all->n++] = i;
    list(all, child);
  }
}

static json_t *at(const nodes *all, uint64_t i) {
  return all->key[i] ? json_object_get(all->in[i], all->key[i]) : json_array_get(all->in[i], all->at[i]);
}

static void put(const nodes *all, uint64_t i, json_t *value) {
  if (all->key[i])
    json_object_set_new(all->in[i], all->key[i], value);
  else
    json_array_set_new(all->in[i], all->at[i], value);
}

static json_t *odd_number(fuzzer *f) {
  static const int64_t odd[] = {0,         1,         -1,        2,          3,         -2,
                                7,         INT32_MAX, INT32_MIN, INT64_MAX,  INT64_MIN, (int64_t)1 << 31,
                                1LL << 40, 1LL << 62, 65536,     3037000500, 8,         100000};
  static const double odd_reals[] = {0, -1, 0.5, 1e308, -1e-308, 1e19, 3};
  if (below(f, 8)) return json_integer(odd[below(f, sizeof odd / sizeof *odd)]);
  return json_real(odd_reals[below(f, sizeof odd_reals / sizeof *odd_reals)]);
}

static json_t *odd_text(fuzzer *f) {
  static const char *const odd[] = {"",
                                    "s0",
                                    "s0*s1",
                                    "2*s0*9223372036854775807",
                                    "s0**64",
                                    "((((((((s0))))))))",
                                    "s77",
                                    "-s0",
                                    "s0//0",
                                    "x",
                                    "aten.add.Tensor",
                                    "Eq(s0, 1)",
                                    "../../weights",
                                    "/etc/passwd",
                                    "a\nb",
                                    "s0 + 1",
                                    "Mod(s0, 0)",
                                    "9223372036854775808"};
  if (below(f, 12)) return json_string(odd[below(f, sizeof odd / sizeof *odd)]);
  char long_text[5001];
  memset(long_text, "(s["[below(f, 3)], sizeof long_text - 1);
  long_text[sizeof long_text - 1] = 0;
  return json_string(long_text);
}

static json_t *nested(fuzzer *f, json_t *value) {
  for (uint64_t i = below(f, 3) ? 2 : 1500; i > 0; i--) {
    json_t *around = json_array();
    json_array_append_new(around, value);
    value = around;
  }
  return value;
}

/* Another value of the same kind, from anywhere. */
static json_t *other(fuzzer *f, const nodes *all, const json_t *like) {
  for (int tries = 0; tries < 50; tries++) {
    json_t *found = at(all, below(f, (uint64_t)all->n));
    if (json_typeof(found) == json_typeof(like)) return json_deep_copy(found);
  }
  return json_null();
}

static void change_list(fuzzer *f, json_t *list_of) {
  size_t n = json_array_size(list_of), a = n ? below(f, n) : 0, b = n ? below(f, n) : 0;
  if (!n) return;
  switch (below(f, 4)) {
    case 0: json_array_remove(list_of, a); break;
    case 1: json_array_insert_new(list_of, b, json_deep_copy(json_array_get(list_of, a))); break;
    case 2: json_array_clear(list_of); break;
    default: {
      json_t *one = json_incref(json_array_get(list_of, a)), *two = json_incref(json_array_get(list_of, b));
      json_array_set_new(list_of, a, two);
      json_array_set_new(list_of, b, one);
    }
  }
}

static void change(fuzzer *f, json_t *table) {
  static nodes all;
  all.n = 0;
  list(&all, table);
  if (!all.n) return;
  uint64_t i = below(f, (uint64_t)all.n);
  json_t *old = at(&all, i);
  uint64_t how = below(f, 12);
  if (how == 0)
    put(&all, i, nested(f, json_deep_copy(old)));
  else if (how == 1)
    put(&all, i, below(f, 2) ? json_null() : odd_number(f));
  else if (how == 2 && all.key[i])
    json_object_del(all.in[i], all.key[i]);
  else if (how < 6)
    put(&all, i, other(f, &all, old));
  else if (json_is_array(old))
    change_list(f, old);
  else if (json_is_string(old))
    put(&all, i, how < 10 ? other(f, &all, old) : odd_text(f));
  else if (json_is_integer(old) || json_is_real(old))
    put(&all, i, odd_number(f));
  else
    put(&all, i, other(f, &all, old));
}

/* ---- Reading ---------------------------------------------------------------------------------------- */

static void pack(fuzzer *f, const program *p, test_zip *zip) {
  json_t *tables[3];
  for (int k = 0; k < 3; k++) tables[k] = json_deep_copy(p->tables[k]);
  for (uint64_t i = below(f, 5); i > 0; i--) change(f, tables[below(f, 4) ? 0 : 1 + below(f, 2)]);
  for (int i = 0; i < moire__archive_count(p->archive); i++) {
    char name[512], *bytes = NULL;
    size_t n = 0;
    snprintf(name, sizeof name, "net/%s", moire__archive_name(p->archive, i));
    int k = 0;
    while (k < 3 && p->entries[k] != i) k++;
    if (k < 3) {
      bytes = json_dumps(tables[k], JSON_COMPACT | JSON_ENCODE_ANY);
      test_zip_add(zip, name, bytes ? bytes : "", bytes ? strlen(bytes) : 0);
      free(bytes);
    } else if (!moire__archive_read(p->archive, i, &bytes, &n, NULL)) {
      test_zip_add(zip, name, bytes, n);
      moire__release(bytes);
    }
  }
  test_zip_finish(zip);
  for (int k = 0; k < 3; k++) json_decref(tables[k]);
}

static void use(fuzzer *f, const char *path) {
  moire_error error = {0};
  moire_import *import = moire_import_open(path, &error);
  if (!import && !error.message[0]) stop("no sentence", path);
  if (!import) {
    if (alone) puts(error.message);
    f->refused++;
    return;
  }
  const moire_model *model = moire_import_model(import);
  moire__config_table table = {0};
  const moire__config_fields fields = {model->fields, model->n_fields};
  moire_config *config = NULL;
  if (moire__config_build(&table, "fuzz", &fields, 1, &config, &error)) stop("a model's keys", error.message);
  for (int mode = 0; mode < 2; mode++) {
    moire_graph *g = moire_graph_create("fuzz", mode ? MOIRE_TRAINING : MOIRE_INFERENCE);
    moire_model_build(model, g, config);
    moire_error why = {0};
    if (moire_graph_status(g, &why) && !why.message[0]) stop("no sentence", "of a graph");
    moire_graph_destroy(g);
  }
  moire__config_free(config);
  moire__config_table_free(&table);
  moire_shape shape;
  moire_dtype dtype;
  for (int i = 0; moire_import_weight(import, i, &dtype, &shape); i++) {
    const char *name = moire_import_weight(import, i, &dtype, &shape);
    int64_t n = moire_import_state(import, name, NULL);
    if (n < 0 || n > MOST_STATES) continue;
    double *numbers = malloc((size_t)n * sizeof *numbers + 1);
    moire_import_state(import, name, numbers);
    free(numbers);
  }
  moire_import_close(import);
  f->models++;
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void run(fuzzer *f, uint64_t seed, int round_number) {
  test_path path;
  test_zip zip = {0};
  round_now = round_number;
  f->random = moire__random_start(seed, (uint64_t)round_number);
  double begun = now();
  pack(f, &f->programs[below(f, (uint64_t)f->n)], &zip);
  test_join(f->directory, "fuzz.pt2", path);
  unlink(path); /* one that is cut short to be written anew waits for the disk */
  test_write_file(path, zip.bytes.data, zip.bytes.length);
  test_zip_free(&zip);
  use(f, path);
  if (now() - begun > MOST_SECONDS) stop("takes too long", "a program");
}

/* Names the round of whatever ends the process. */
static void say_round(int number) {
  char text[40];
  int n = snprintf(text, sizeof text, "\nround %d\n", (int)round_now);
  if (write(2, text, (size_t)n) != n) _exit(2);
  signal(number, SIG_DFL);
  raise(number);
}

int main(int argc, char **argv) {
  double seconds = argc > 1 ? strtod(argv[1], NULL) : 2;
  uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : (uint64_t)time(NULL);
  test_zip own = {0};
  test_path folder;
  moire__archive *archive = NULL;
  fuzzer *f = calloc(1, sizeof *f);
  printf("seed %" PRIu64 "\n", seed);
  fflush(stdout);
  signal(SIGABRT, say_round);
  signal(SIGSEGV, say_round);
  test_pt2_write(&test_pt2_regression, &own);
  if (moire__archive_open_bytes("own.pt2", own.bytes.data, own.bytes.length, &archive, NULL)) {
    puts("skipped: this build has no libzip, which reads such files");
    return 77;
  }
  test_make_directory(f->directory);
  add_program(f, archive);
  if (test_shared("pt2", folder)) add_folder(f, folder);
  alone = argc > 3;
  if (alone) {
    run(f, seed, atoi(argv[3]));
  } else {
    double end = now() + seconds;
    for (int i = 0; now() < end; i++) run(f, seed, i);
  }
  printf("%" PRId64 " models, %" PRId64 " refused\n", f->models, f->refused);
  for (int i = 0; i < f->n; i++) {
    for (int k = 0; k < 3; k++) json_decref(f->programs[i].tables[k]);
    moire__archive_close(f->programs[i].archive);
  }
  bool some = alone || (f->models && f->refused);
  test_zip_free(&own);
  test_remove_directory(f->directory);
  free(f);
  return !some;
}
