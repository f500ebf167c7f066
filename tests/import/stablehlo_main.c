/* Judges StableHLO files by themselves (tests/support/stablehlo/stablehlo.h).
 *
 *   stablehlo_main interpreter|jit [--largest] FOLDER|FILE.mlir ...
 *
 * prints a line for each case that is not equal, with the sentence, and behind them all
 *
 *   N equal, N refused, N wrong
 *
 * Beside a folder may lie MANIFEST.tsv: a row a file, its name, primitive, type_class and tier in columns 1, 2,
 * 5 and 6, and in column 10 `bound` where the interpreter is judged by the norm; then the sums of each class
 * and tier are printed, too.
 * --largest judges by |a - b| <= 1e-5 max |b|. Ends with 1 where one is wrong. Without arguments it judges two
 * modules of its own.
 */
#include "runtime/base/memory.h"
#include "runtime/files/file.h"
#include "tests/support/stablehlo/stablehlo.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_GROUPS = 16 };

typedef struct group {
  char name[40];
  int files[3]; /* by verdict */
} group;

typedef struct judge {
  bool compiled, largest;
  char *manifest; /* owned; NULL: none */
  group groups[MOST_GROUPS];
  int n_groups;
  test_tally tally;
} judge;

/* Column `index` of the row of a file, cut to `size`; "" where there is none. */
static void column(const char *manifest, const char *file, int index, char *out, size_t size) {
  size_t n = strlen(file);
  *out = 0;
  for (const char *row = manifest; row && *row; row = strchr(row, '\n'), row += row != NULL) {
    if (strncmp(row, file, n) != 0 || row[n] != '\t') continue;
    const char *end = row + strcspn(row, "\n");
    for (int i = 0; i < index && row < end; i++) row += strcspn(row, "\t\n") + 1;
    if (row < end) snprintf(out, size, "%.*s", (int)strcspn(row, "\t\n"), row);
    return;
  }
}

static void count(judge *j, const char *file, test_verdict verdict) {
  char type[16], tier[8], rule[16], name[40];
  if (!j->manifest) return;
  column(j->manifest, file, 4, type, sizeof type);
  column(j->manifest, file, 5, tier, sizeof tier);
  column(j->manifest, file, 9, rule, sizeof rule);
  bool refuse = !strcmp(rule, "refuse") || !*rule;
  snprintf(name, sizeof name, refuse ? "to be refused" : "class %s, tier %s", type, tier);
  int i = 0;
  while (i < j->n_groups && strcmp(j->groups[i].name, name) != 0) i++;
  if (i == MOST_GROUPS) return;
  if (i == j->n_groups) snprintf(j->groups[j->n_groups++].name, sizeof j->groups->name, "%s", name);
  j->groups[i].files[verdict]++;
}

static int judge_file(judge *j, const char *path) {
  char *bytes = NULL, rule[16], primitive[40];
  size_t n = 0;
  moire_error error = {0};
  if (moire__file_read(path, 0, &bytes, &n, &error)) {
    fprintf(stderr, "%s\n", error.message);
    return 1;
  }
  const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
  moire__text said = {0};
  column(j->manifest, name, 9, rule, sizeof rule);
  column(j->manifest, name, 1, primitive, sizeof primitive);
  bool cancels = !strcmp(rule, "bound") ||
                 !strcmp(primitive, "reduce_window_add"); /* float32 results, where sums cancel */
  test_rule by = j->largest ? TEST_BY_LARGEST : cancels ? TEST_BY_NORM : TEST_BY_FILE;
  test_verdict verdict = test_stablehlo_judge(name, bytes, n, j->compiled, by, &j->tally, &said);
  count(j, name, verdict);
  printf("%s", moire__text_string(&said));
  fflush(stdout);
  moire__text_free(&said);
  moire__release(bytes);
  return 0;
}

static int by_name(const struct dirent **a, const struct dirent **b) {
  return strcmp((*a)->d_name, (*b)->d_name);
}

static int is_mlir(const struct dirent *entry) {
  size_t n = strlen(entry->d_name);
  return n > 5 && !strcmp(entry->d_name + n - 5, ".mlir");
}

static int judge_folder(judge *j, const char *path) {
  struct dirent **entries = NULL;
  char file[4200];
  size_t size = 0;
  int status = 0, n = scandir(path, &entries, is_mlir, by_name);
  if (n < 0) return judge_file(j, path);
  snprintf(file, sizeof file, "%s/../MANIFEST.tsv", path);
  j->manifest = NULL;
  if (moire__file_read(file, 0, &j->manifest, &size, NULL)) j->manifest = NULL;
  for (int i = 0; i < n; i++) {
    snprintf(file, sizeof file, "%s/%s", path, entries[i]->d_name);
    status |= judge_file(j, file);
    free(entries[i]);
  }
  free(entries);
  moire__release(j->manifest);
  j->manifest = NULL;
  return status;
}

/* ---- without files ----------------------------------------------------------------------------------------
 */

static const char good[] =
    "module @own {\n"
    "  func.func public @main() {\n"
    "    %0 = call @twice() : () -> tensor<2x2xcomplex<f32>>\n"
    "    %1 = stablehlo.abs %0 : (tensor<2x2xcomplex<f32>>) -> tensor<2x2xf32>\n"
    "    %2 = stablehlo.constant dense<[[1.000000e+01, 2.0], [5.000000e+00, 0x40400000]]> : tensor<2x2xf32>\n"
    "    stablehlo.custom_call @check.expect_close(%1, %2) {has_side_effect = true} : (tensor<2x2xf32>, "
    "tensor<2x2xf32>) -> ()\n"
    "    return\n"
    "  }\n"
    "  func.func private @twice() -> tensor<2x2xcomplex<f32>> {\n"
    "    %c = stablehlo.constant dense<[[(3.0, 4.0), (1.0, 0.0)], [(0.0, -2.5), (1.5, 0.0)]]> : "
    "tensor<2x2xcomplex<f32>>\n"
    "    %0 = \"stablehlo.add\"(%c, %c) : (tensor<2x2xcomplex<f32>>, tensor<2x2xcomplex<f32>>) -> "
    "tensor<2x2xcomplex<f32>>\n"
    "    return %0 : tensor<2x2xcomplex<f32>>\n"
    "  }\n"
    "}\n";

static const char bad[] = "func.func @differs() {\n"
                          "  %0 = stablehlo.constant dense<[1, 2]> : tensor<2xi32>\n"
                          "  check.expect_eq_const %0, dense<[1, 3]> : tensor<2xi32>\n"
                          "  func.return\n"
                          "}\n"
                          "// -----\n"
                          "func.func @unknown() {\n"
                          "  %0 = stablehlo.constant dense<1> : tensor<2xui8>\n"
                          "  check.expect_eq_const %0, dense<1> : tensor<2xui8>\n"
                          "  func.return\n"
                          "}\n";

/* What is equal is found so, and what is not is not. */
static int judge_own(void) {
  int failures = 0;
  for (int compiled = 0; compiled < 2; compiled++) {
    test_tally tally = {0};
    moire__text said = {0};
    test_stablehlo_judge("good", good, sizeof good - 1, compiled, TEST_BY_FILE, &tally, &said);
    test_stablehlo_judge("bad", bad, sizeof bad - 1, compiled, TEST_BY_FILE, &tally, &said);
    failures += tally.n[TEST_EQUAL] != 1 || tally.n[TEST_REFUSED] != 1 || tally.n[TEST_WRONG] != 1;
    printf("%s%d equal, %d refused, %d wrong\n", moire__text_string(&said), tally.n[TEST_EQUAL],
           tally.n[TEST_REFUSED], tally.n[TEST_WRONG]);
    moire__text_free(&said);
  }
  return failures != 0;
}

int main(int argc, char **argv) {
  judge j = {0};
  int status = 0;
  if (argc == 1) return judge_own();
  j.compiled = !strcmp(argv[1], "jit");
  if (!j.compiled && strcmp(argv[1], "interpreter") != 0) {
    fprintf(stderr, "wanted interpreter or jit, not %s\n", argv[1]);
    return 2;
  }
  for (int i = 2; i < argc; i++) {
    if (!strcmp(argv[i], "--largest"))
      j.largest = true;
    else
      status |= judge_folder(&j, argv[i]);
  }
  for (int i = 0; i < j.n_groups; i++) {
    const group *g = &j.groups[i];
    printf("%s: %d files equal, %d refused, %d wrong\n", g->name, g->files[0], g->files[1], g->files[2]);
  }
  printf("%d equal, %d refused, %d wrong\n", j.tally.n[TEST_EQUAL], j.tally.n[TEST_REFUSED],
         j.tally.n[TEST_WRONG]);
  return status || j.tally.n[TEST_WRONG] ? 1 : 0;
}
