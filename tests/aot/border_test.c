/* Bad input at a library's border: a status and never undefined behaviour, and workspaces of exactly the size
 * that was asked for. Worth most under AddressSanitizer, which the library is built with too. */
#include "runtime/base/memory.h"
#include "runtime/base/philox.h"
#include "tests/support/aot/aot.h"
#include "tests/support/files.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { ITEMS = 23, LENGTH = 5, BATCH = 3 };
static const char config[] =
    "{\"item_size\": 23, \"hidden_size\": 8, \"num_hidden_layers\": 1, \"num_attention_heads\": 2, "
    "\"inner_size\": 8, "
    "\"max_seq_length\": 5, \"n_bands\": 1, \"band_kernel_sizes\": [3], \"band_dilations\": [1]}";
static const char other_config[] =
    "{\"item_size\": 23, \"hidden_size\": 8, \"num_hidden_layers\": 1, \"num_attention_heads\": 4, "
    "\"inner_size\": 8, "
    "\"max_seq_length\": 5, \"n_bands\": 1, \"band_kernel_sizes\": [3], \"band_dilations\": [1]}";

static aot_library make(const char *settings, const char *name, bool training, bool external,
                        const char *directory) {
  aot_model model = {0};
  aot_model_make(&model, "qia", settings, 7);
  aot_library library = aot_make(
      &model, &(aot_wish){.name = name, .cpu = "host", .training = training, .external = external}, directory);
  aot_model_free(&model);
  return library;
}

static const int64_t offsets[BATCH + 1] = {0, 2, 2, 9};
static const int32_t items[9] = {1, 22, 3, 4, 5, 6, 7, 8, 9}, targets[BATCH] = {5, 1, 22};
static const library_lists histories = {offsets, items};

static void run_work(void *context, int n, void (*work)(void *job, int i), void *job) {
  (void)context;
  for (int i = 0; i < n; i++) work(job, i);
}

/* ---- Recommending ----------------------------------------------------------------------------------- */

typedef struct call {
  int64_t batch;
  const library_lists *histories, *seen;
  library_seen rule;
  int k;
} call;

static library_status top(const aot_library *lib, call c) {
  library_workspace workspace = {0};
  int32_t best[64];
  memset(best, 0x55, sizeof best);
  library_status status = lib->top(NULL, &workspace, c.batch, c.histories, c.seen, c.rule, c.k, best, NULL);
  for (int i = 0; i < 64 && status; i++) cr_assert_eq(best[i], 0x55555555, "results were touched");
  lib->workspace_free(&workspace);
  return status;
}

static void refuse_lists(const aot_library *lib) {
  const int64_t falling[BATCH + 1] = {0, 3, 2, 9}, negative[BATCH + 1] = {-1, 2, 2, 9};
  const call good = {BATCH, &histories, NULL, LIBRARY_SEEN_EXCLUDE, 4};
  call bad = good;
  cr_assert_eq(top(lib, good), LIBRARY_OK);
  const int32_t wrong[] = {0, -1, ITEMS, INT32_MAX, INT32_MIN};
  for (int i = 0; i < 9 * 5; i++) {
    int32_t copy[9];
    memcpy(copy, items, sizeof copy);
    copy[i % 9] = wrong[i / 9];
    library_lists lists = {offsets, copy};
    bad.histories = &lists;
    cr_assert_eq(top(lib, bad), LIBRARY_ERROR_ITEM);
    bad.histories = &histories;
    bad.seen = &lists;
    cr_assert_eq(top(lib, bad), LIBRARY_ERROR_ITEM);
    bad = good;
  }
  const struct {
    library_lists lists;
    library_status status;
  } lists[] = {{{NULL, items}, LIBRARY_ERROR_NULL},
               {{offsets, NULL}, LIBRARY_ERROR_NULL},
               {{falling, items}, LIBRARY_ERROR_OFFSETS},
               {{negative, items}, LIBRARY_ERROR_OFFSETS}};
  for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
    bad.histories = &lists[i].lists;
    cr_assert_eq(top(lib, bad), lists[i].status);
    bad.histories = &histories;
    bad.seen = &lists[i].lists;
    cr_assert_eq(top(lib, bad), lists[i].status);
    bad.seen = NULL;
  }
  bad.histories = NULL;
  cr_assert_eq(top(lib, bad), LIBRARY_ERROR_NULL);
}

static void refuse_numbers(const aot_library *lib) {
  const call good = {BATCH, &histories, NULL, LIBRARY_SEEN_EXCLUDE, 4};
  const int64_t batches[] = {0, -1, INT64_MIN, INT64_MAX, LIBRARY_MAX_BATCH + (int64_t)1};
  const int tops[] = {0, -1, INT_MIN, ITEMS + 1, INT_MAX};
  for (int i = 0; i < 5; i++) {
    call bad = good;
    bad.batch = batches[i];
    cr_assert_eq(top(lib, bad), LIBRARY_ERROR_BATCH);
    cr_assert_eq(lib->workspace_bytes(batches[i], 1), 0);
    bad = good;
    bad.k = tops[i];
    cr_assert_eq(top(lib, bad), LIBRARY_ERROR_TOP);
  }
  call bad = good;
  bad.rule = (library_seen)77;
  cr_assert_eq(top(lib, bad), LIBRARY_ERROR_SEEN);
  cr_assert_eq(lib->workspace_bytes(1, -1), 0);
  cr_assert_eq(lib->workspace_bytes(1, LIBRARY_MAX_THREADS + 1), 0);
}

static void refuse_workspaces(const aot_library *lib) {
  float *scores = moire__allocate_array(BATCH * ITEMS, sizeof *scores);
  library_workspace workspace = {0};
  cr_assert_eq(lib->scores(NULL, NULL, BATCH, &histories, scores), LIBRARY_ERROR_NULL);
  cr_assert_eq(lib->scores(NULL, &workspace, BATCH, &histories, NULL), LIBRARY_ERROR_NULL);
  const int threads[] = {-1, LIBRARY_MAX_THREADS + 1, INT_MIN, INT_MAX, 2 /* without run */};
  for (int i = 0; i < 5; i++) {
    workspace.threads = threads[i];
    cr_assert_eq(lib->scores(NULL, &workspace, BATCH, &histories, scores), LIBRARY_ERROR_THREADS);
  }
  for (int n = 0; n < 4; n++) { /* exactly what is asked for, at any alignment; and a byte less */
    size_t bytes = lib->workspace_bytes(BATCH, n);
    char *block = malloc(bytes + 3);
    workspace =
        (library_workspace){.memory = block + (n < 3 ? n : 3), .bytes = bytes, .threads = n, .run = run_work};
    cr_assert_eq(lib->scores(NULL, &workspace, BATCH, &histories, scores), LIBRARY_OK);
    cr_assert_eq(workspace.memory, block + (n < 3 ? n : 3));
    workspace.bytes--;
    cr_assert_eq(lib->scores(NULL, &workspace, BATCH, &histories, scores), LIBRARY_ERROR_WORKSPACE);
    lib->workspace_free(&workspace);
    free(block);
  }
  lib->workspace_free(NULL);
  lib->workspace_free(&workspace);
  moire__release(scores);
}

typedef struct heard {
  int begun, ended, inside;
  bool named; /* a kernel says which layer of the model it computes */
} heard;

static void hear(void *context, const char *kernel, int begins) {
  heard *h = context;
  h->begun += begins;
  h->ended += !begins;
  h->inside += begins ? 1 : -1;
  h->named = h->named || strstr(kernel, "q_proj: complex_linear");
  cr_expect(h->inside == 0 || h->inside == 1, "%s", kernel);
}

/* Who asks is told of every kernel, begun and ended, and gets the same numbers; who does not, is not. */
Test(aot, tells_of_kernels) {
  test_path directory;
  test_make_directory(directory);
  aot_library lib = make(config, "lib", false, false, directory);
  float *alone = moire__allocate_array(BATCH * ITEMS, sizeof *alone);
  float *watched = moire__allocate_array(BATCH * ITEMS, sizeof *watched);
  heard h = {0};
  library_workspace workspace = {0};
  cr_assert_eq(lib.scores(NULL, &workspace, BATCH, &histories, alone), LIBRARY_OK);
  cr_assert_eq(h.begun, 0);
  workspace.profile = hear;
  workspace.profile_context = &h;
  cr_assert_eq(lib.scores(NULL, &workspace, BATCH, &histories, watched), LIBRARY_OK);
  cr_expect_gt(h.begun, 5);
  cr_expect_eq(h.begun, h.ended);
  cr_expect(h.named);
  cr_expect_eq(memcmp(alone, watched, BATCH * ITEMS * sizeof *alone), 0);
  lib.workspace_free(&workspace);
  moire__release(alone);
  moire__release(watched);
  aot_unload(&lib);
  test_remove_directory(directory);
}

Test(aot, refuses_bad_requests) {
  test_path directory;
  test_make_directory(directory);
  aot_library lib = make(config, "lib", false, false, directory);
  refuse_lists(&lib);
  refuse_numbers(&lib);
  refuse_workspaces(&lib);
  for (int i = -1; i < 64; i++) cr_assert(lib.status_text((library_status)i)[0] != 0);
  cr_assert(lib.cpu() && strstr(lib.version(), lib.cpu()));
  aot_unload(&lib);
  test_remove_directory(directory);
}

/* Requests of random kinds, some good, most bad, at any of their parts. */
Test(aot, random_requests) {
  test_path directory;
  test_make_directory(directory);
  aot_library lib = make(config, "lib", false, false, directory);
  moire__random random = moire__random_start(99, 0);
  library_workspace workspace = {0};
  int good = 0, bad = 0;
  for (int round = 0; round < 3000; round++) {
    int64_t spans[9];
    int32_t ids[64];
    for (int i = 0; i < 9; i++) spans[i] = (int64_t)moire__random_below(&random, 8) * (i + 1) / 2;
    if (moire__random_below(&random, 3)) {
      for (int i = 0; i < 9; i++) spans[i] = i * 3;
    }
    if (!moire__random_below(&random, 9)) spans[0] = -1;
    for (int i = 0; i < 64; i++) ids[i] = 1 + (int32_t)moire__random_below(&random, ITEMS - 1);
    if (!moire__random_below(&random, 3))
      ids[moire__random_below(&random, 64)] = (int32_t)moire__random_bits(&random);
    library_lists lists = {spans, moire__random_below(&random, 9) ? ids : NULL};
    int32_t best[8 * 30];
    library_status status = lib.top(NULL, &workspace, (int64_t)moire__random_below(&random, 10) - 1, &lists,
                                    NULL, (library_seen)moire__random_below(&random, 4),
                                    (int)moire__random_below(&random, ITEMS + 3) - 1, best, NULL);
    good += status == LIBRARY_OK;
    bad += status != LIBRARY_OK;
  }
  cr_assert(good > 100 && bad > 100, "%d good, %d bad", good, bad);
  lib.workspace_free(&workspace);
  aot_unload(&lib);
  test_remove_directory(directory);
}

/* ---- Weights in a file ------------------------------------------------------------------------------ */

typedef struct bytes {
  unsigned char *data;
  size_t n;
} bytes;

static bytes read_file(const char *path) {
  bytes b = {malloc(1 << 20), 0};
  FILE *file = fopen(path, "rb");
  cr_assert(file && b.data, "%s", path);
  b.n = fread(b.data, 1, 1 << 20, file);
  fclose(file);
  return b;
}

static library_status open_bytes(const aot_library *lib, const char *path, const void *data, size_t n) {
  library_model *model = NULL;
  test_write_file(path, data, n);
  library_status status = lib->open(path, &model);
  cr_assert_eq(model != NULL, status == LIBRARY_OK);
  lib->close(model);
  return status;
}

Test(aot, refuses_bad_weights) {
  test_path directory, path, changed;
  test_make_directory(directory);
  aot_library lib = make(config, "lib", false, true, directory);
  aot_library other = make(other_config, "other", false, true, directory);
  test_join(directory, "changed", changed);
  library_model *model = NULL;
  cr_assert_eq(lib.open(test_join(directory, "other.weights", path), &model), LIBRARY_ERROR_OTHER);
  cr_assert_null(model);
  cr_assert_eq(lib.open(test_join(directory, "nothing", path), &model), LIBRARY_ERROR_FILE);
  cr_assert_eq(lib.open(directory, &model), LIBRARY_ERROR_FORMAT);
  cr_assert_eq(lib.open("/dev/null", &model), LIBRARY_ERROR_FORMAT);
  cr_assert_eq(mkfifo(test_join(directory, "fifo", path), 0600), 0);
  cr_assert_eq(lib.open(path, &model), LIBRARY_ERROR_FORMAT); /* at once */
  cr_assert_eq(lib.open(NULL, &model), LIBRARY_ERROR_NULL);
  cr_assert_eq(lib.open(test_join(directory, "lib.weights", path), NULL), LIBRARY_ERROR_NULL);
  bytes file = read_file(path);
  cr_assert_eq(open_bytes(&lib, changed, file.data, file.n), LIBRARY_OK);
  for (size_t n = 0; n < file.n; n += n < 80 ? 1 : file.n / 97)
    cr_assert_neq(open_bytes(&lib, changed, file.data, n), LIBRARY_OK, "cut to %zu bytes", n);
  cr_assert_neq(open_bytes(&lib, changed, file.data, file.n - 1), LIBRARY_OK);
  for (size_t i = 0; i < file.n; i += i < 80 ? 1 : file.n / 211) {
    file.data[i] ^= 0x10;
    cr_assert_neq(open_bytes(&lib, changed, file.data, file.n), LIBRARY_OK, "byte %zu changed", i);
    file.data[i] ^= 0x10;
  }
  free(file.data);
  lib.close(NULL);
  aot_unload(&lib);
  aot_unload(&other);
  test_remove_directory(directory);
}

/* ---- Training --------------------------------------------------------------------------------------- */

static void refuse_training(const aot_library *lib, library_state *state) {
  library_workspace workspace = {0};
  float loss = 0;
  const int32_t bad_targets[BATCH] = {5, 0, 1}, far_targets[BATCH] = {1, 2, ITEMS};
#define STEP(s, w, b, h, t, n) lib->step(s, w, b, h, t, 1, n, &loss)
  cr_assert_eq(STEP(NULL, &workspace, BATCH, &histories, targets, 0), LIBRARY_ERROR_NULL);
  cr_assert_eq(STEP(state, NULL, BATCH, &histories, targets, 0), LIBRARY_ERROR_NULL);
  cr_assert_eq(STEP(state, &workspace, BATCH, NULL, targets, 0), LIBRARY_ERROR_NULL);
  cr_assert_eq(STEP(state, &workspace, BATCH, &histories, NULL, 0), LIBRARY_ERROR_NULL);
  cr_assert_eq(STEP(state, &workspace, 0, &histories, targets, 0), LIBRARY_ERROR_BATCH);
  cr_assert_eq(STEP(state, &workspace, BATCH, &histories, bad_targets, 0), LIBRARY_ERROR_ITEM);
  cr_assert_eq(STEP(state, &workspace, BATCH, &histories, far_targets, 0), LIBRARY_ERROR_ITEM);
  cr_assert_eq(STEP(state, &workspace, BATCH, &histories, targets, -1), LIBRARY_ERROR_STEP);
  cr_assert_eq(STEP(state, &workspace, BATCH, &histories, targets, (int64_t)1 << 31), LIBRARY_ERROR_STEP);
#undef STEP
  cr_assert_eq(lib->loss(state, &workspace, BATCH, &histories, targets, NULL), LIBRARY_ERROR_NULL);
  cr_assert_eq(lib->loss(state, &workspace, -5, &histories, targets, &loss), LIBRARY_ERROR_BATCH);
  cr_assert_eq(lib->training_bytes(0), 0);
  size_t n = lib->training_bytes(BATCH);
  char *block = malloc(n);
  workspace = (library_workspace){.memory = block, .bytes = n};
  cr_assert_eq(lib->step(state, &workspace, BATCH, &histories, targets, 1, 0, &loss), LIBRARY_OK);
  cr_assert_eq(lib->loss(state, &workspace, BATCH, &histories, targets, &loss), LIBRARY_OK);
  workspace.bytes = 100;
  cr_assert_eq(lib->step(state, &workspace, BATCH, &histories, targets, 1, 0, &loss), LIBRARY_ERROR_WORKSPACE);
  free(block);
}

static void refuse_states(const aot_library *lib, library_state *state) {
  library_tensor tensor;
  library_model *model = NULL;
  library_state *none = NULL;
  char small[64];
  cr_assert_eq(lib->state_create(small, sizeof small, 0, &none), LIBRARY_ERROR_WORKSPACE);
  cr_assert_eq(lib->state_create(NULL, 0, 0, NULL), LIBRARY_ERROR_NULL);
  cr_assert_eq(lib->state_at(state, -1, &tensor), LIBRARY_ERROR_TENSOR);
  cr_assert_eq(lib->state_at(state, lib->state_count(), &tensor), LIBRARY_ERROR_TENSOR);
  cr_assert_eq(lib->state_at(NULL, 0, &tensor), LIBRARY_ERROR_NULL);
  cr_assert_eq(lib->state_find(state, "nothing", &tensor), LIBRARY_ERROR_TENSOR);
  cr_assert_eq(lib->state_find(state, NULL, &tensor), LIBRARY_ERROR_NULL);
  cr_assert_eq(lib->freeze(NULL, &model), LIBRARY_ERROR_NULL);
  cr_assert_eq(lib->freeze(state, NULL), LIBRARY_ERROR_NULL);
  cr_assert_eq(lib->state_reset(NULL), LIBRARY_ERROR_NULL);
  cr_assert_eq(lib->state_write_bytes((library_part)9), 0);
  cr_assert_eq(lib->state_write(state, LIBRARY_EVERYTHING, small, sizeof small), LIBRARY_ERROR_WORKSPACE);
  cr_assert_eq(lib->state_write_file(state, LIBRARY_EVERYTHING, "/nowhere/at/all"), LIBRARY_ERROR_FILE);
  cr_assert_eq(lib->state_read_file(state, LIBRARY_EVERYTHING, "/nowhere/at/all"), LIBRARY_ERROR_FILE);
  cr_assert_eq(lib->state_read_file(state, LIBRARY_EVERYTHING, "/dev/null"), LIBRARY_ERROR_FORMAT);
  lib->state_free(NULL);
}

static mode_t mode_of(const char *path) {
  struct stat info;
  cr_assert_eq(lstat(path, &info), 0, "%s", path);
  return info.st_mode;
}

/* A state is for its owner to read; only plain files are replaced; nobody waits for the other end of a FIFO. */
static void write_states(const aot_library *lib, library_state *state, const char *directory) {
  test_path path;
  static const struct {
    mode_t mask, mode;
  } masks[] = {{0, 0600}, {022, 0600}, {077, 0600}, {0277, 0400}};
  for (size_t i = 0; i < sizeof masks / sizeof *masks; i++) {
    mode_t before = umask(masks[i].mask);
    library_status status =
        lib->state_write_file(state, LIBRARY_PARAMETERS, test_join(directory, "state", path));
    umask(before);
    cr_assert_eq(status, LIBRARY_OK);
    cr_assert_eq(mode_of(path) & 07777, masks[i].mode);
  }
  cr_assert_eq(lib->state_read_file(state, LIBRARY_PARAMETERS, path), LIBRARY_OK);
  cr_assert_eq(mkfifo(test_join(directory, "fifo", path), 0600), 0);
  cr_assert_eq(lib->state_read_file(state, LIBRARY_PARAMETERS, path), LIBRARY_ERROR_FORMAT);
  errno = ENOTTY;
  cr_assert_eq(lib->state_write_file(state, LIBRARY_PARAMETERS, path), LIBRARY_ERROR_FILE);
  cr_assert_eq(errno, EEXIST);
  cr_assert(S_ISFIFO(mode_of(path)));
  cr_assert_eq(mkdir(test_join(directory, "folder", path), 0700), 0);
  errno = ENOTTY;
  cr_assert_eq(lib->state_write_file(state, LIBRARY_PARAMETERS, path), LIBRARY_ERROR_FILE);
  cr_assert_eq(errno, EISDIR);
  errno = ENOTTY;
  cr_assert_eq(lib->state_write_file(state, LIBRARY_PARAMETERS, "/nowhere/at/all"), LIBRARY_ERROR_FILE);
  cr_assert_eq(errno, ENOENT);
}

/* The state in memory of exactly its size, as are the bytes that are read. */
static void fuzz_safetensors(const aot_library *lib, library_state *state) {
  size_t n = lib->state_write_bytes(LIBRARY_EVERYTHING);
  unsigned char *good = malloc(n);
  cr_assert_eq(lib->state_write(state, LIBRARY_EVERYTHING, good, n), LIBRARY_OK);
  cr_assert_eq(lib->state_read(state, LIBRARY_EVERYTHING, good, n), LIBRARY_OK);
  cr_assert_eq(lib->state_read(state, LIBRARY_PARAMETERS, good, n), LIBRARY_OK);
  moire__random random = moire__random_start(4, 0);
  size_t header = good[0] | (size_t)good[1] << 8 | (size_t)good[2] << 16;
  int refused = 0;
  for (int round = 0; round < 6000; round++) {
    size_t length = round % 3 ? n : moire__random_below(&random, n + 1);
    unsigned char *copy = malloc(length ? length : 1);
    memcpy(copy, good, length);
    int changes = (int)moire__random_below(&random, 4);
    for (int i = 0; i < changes && length; i++) {
      static const unsigned char likely[] = "{}[]\",:0123456789\\u ";
      size_t at = moire__random_below(&random, header + 16) % length;
      copy[at] = moire__random_below(&random, 2) ? likely[moire__random_below(&random, sizeof likely - 1)]
                                                 : (unsigned char)moire__random_bits(&random);
    }
    refused += lib->state_read(state, (library_part)(round & 1), copy, length) != LIBRARY_OK;
    free(copy);
  }
  cr_assert_gt(refused, 2000);
  free(good);
}

Test(aot, refuses_bad_training) {
  test_path directory;
  test_make_directory(directory);
  aot_library lib = make(config, "lib", true, false, directory);
  char *memory = malloc(lib.state_bytes());
  library_state *state = NULL;
  cr_assert_eq(lib.state_create(memory, lib.state_bytes(), 3, &state), LIBRARY_OK);
  refuse_training(&lib, state);
  refuse_states(&lib, state);
  write_states(&lib, state, directory);
  fuzz_safetensors(&lib, state);
  lib.state_free(state);
  free(memory);
  aot_unload(&lib);
  test_remove_directory(directory);
}
