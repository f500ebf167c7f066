/* The command: finds the subcommand, and sees to it that what was printed has arrived. */
#include "tools/tool.h"

#include "compiler/codegen/codegen.h"
#include "moire/version.h"

#include <errno.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct subcommand {
  const char *name, *summary;
  int (*run)(int argc, char **argv);
} subcommand;

static const subcommand subcommands[] = {
    {"train", "trains a model, validates, stops early, tests the best", tool_train},
    {"sweep", "trains every combination of the values of some keys", tool_sweep},
    {"runs", "tells finished trainings apart: a table, with what is noise", tool_runs},
    {"eval", "measures a trained model on data", tool_eval},
    {"predict", "writes what a trained model makes of tensors", tool_predict},
    {"generate", "continues texts by a language model", tool_generate},
    {"teach", "stores a language model's logits, for others to follow", tool_teach},
    {"recommend", "lists the best items for each user", tool_recommend},
    {"items", "makes and changes tables of items, which are searched apart", tool_items},
    {"merge", "joins the parts of a result that several calls computed", tool_merge},
    {"encode", "codes the items of a feature file by a trained coder", tool_encode},
    {"decode", "turns codes of items back into features", tool_decode},
    {"verify", "compares a model with golden numbers", tool_verify},
    {"compile", "makes a library of a model, which C programs call", tool_compile},
    {"profile", "says where the time of a step goes, kernel by kernel", tool_profile},
    {"graph", "prints a model's graph, kernels or plan at any stage", tool_graph},
    {"import", "reads a program of torch.export.save or of StableHLO as a model", tool_import},
    {"models", "lists the models and the keys of their configurations", tool_models},
    {"peaks", "measures what this machine can do at most", tool_peaks},
    {"tokenize", "makes a token file of texts, for language models", tool_tokenize},
    {"synth", "writes a synthetic data set", tool_synth},
    {"cache", "shows what is kept of compiled kernels, or removes it", tool_cache},
};
enum { N_SUBCOMMANDS = sizeof subcommands / sizeof *subcommands };

static void print_help(FILE *to) {
  fprintf(to, "usage: moire SUBCOMMAND [ARGUMENT...]\n\n");
  for (int i = 0; i < N_SUBCOMMANDS; i++) {
    fprintf(to, "  %-10s %s\n", subcommands[i].name, subcommands[i].summary);
  }
  fprintf(to, "\n`moire SUBCOMMAND --help` explains one. `moire --version` says what this is.\n"
              "Exit status: 0, 1 for a failure, 2 for wrong usage.\n");
}

/* Characters to insert, delete or replace to get from a to b (Levenshtein), for words of at most 31. */
static int distance(const char *a, const char *b) {
  enum { LONGEST = 31 };
  int n = (int)strnlen(a, LONGEST), m = (int)strnlen(b, LONGEST), row[LONGEST + 1];
  for (int j = 0; j <= m; j++) row[j] = j;
  for (int i = 1; i <= n; i++) {
    int diagonal = row[0];
    row[0] = i;
    for (int j = 1; j <= m; j++) {
      int replaced = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      int shorter = row[j] < row[j - 1] ? row[j] : row[j - 1];
      row[j] = shorter + 1 < replaced ? shorter + 1 : replaced;
    }
  }
  return row[m];
}

static int refuse(const char *name) {
  const subcommand *nearest = &subcommands[0];
  for (int i = 1; i < N_SUBCOMMANDS; i++) {
    if (distance(name, subcommands[i].name) < distance(name, nearest->name)) nearest = &subcommands[i];
  }
  fprintf(stderr, "moire: there is no subcommand '%s'", name);
  if (distance(name, nearest->name) <= 3) fprintf(stderr, "; did you mean '%s'?", nearest->name);
  fprintf(stderr, "\nTry 'moire --help'.\n");
  return TOOL_USAGE;
}

/* A reader that went away is not worth a word; anything else that kept results from arriving is. */
static int finish(int status) {
  bool failed = ferror(stdout) != 0;
  failed = fflush(stdout) != 0 || failed;
  if (!failed) return status;
  if (errno != EPIPE) fprintf(stderr, "moire: the results could not be written: %s\n", strerror(errno));
  return status ? status : TOOL_FAILURE;
}

static int print_version(void) {
  moire__text llvm = {0};
  moire__codegen_llvm_version(&llvm);
  printf("moire " MOIRE_VERSION "\ncommit %s\nLLVM %s\n", tool_commit, moire__text_string(&llvm));
  moire__text_free(&llvm);
  return finish(0);
}

/* Large blocks go back to the system as soon as they are freed. By default the C library keeps more and more of
 * them, so that training would hold on to what validation has used. */
static void give_back_memory(void) {
#ifdef __GLIBC__
  mallopt(M_MMAP_THRESHOLD, 1 << 20);
#endif
}

int main(int argc, char **argv) {
  give_back_memory();
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is a failure of its writing */
  argp_err_exit_status = TOOL_USAGE;
  if (argc < 2) {
    print_help(stderr);
    return TOOL_USAGE;
  }
  if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
    print_help(stdout);
    return finish(0);
  }
  if (!strcmp(argv[1], "--version")) {
    return print_version();
  }
  for (int i = 0; i < N_SUBCOMMANDS; i++) {
    if (strcmp(argv[1], subcommands[i].name) != 0) continue;
    char name[32];
    snprintf(name, sizeof name, "moire %s", subcommands[i].name);
    argv[1] = name;
    return finish(subcommands[i].run(argc - 1, argv + 1));
  }
  return refuse(argv[1]);
}
