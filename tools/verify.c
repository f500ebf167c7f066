/* moire verify: compares what a model computes with golden numbers. */
#include "tools/golden.h"
#include "tools/tool.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct arguments {
  const char **files; /* owned */
  int n_files, threads;
  const char *model;        /* instead of the files' own, or NULL */
  const char *data;         /* of a task's own goldens, or NULL */
  const char **assignments; /* of --set; owned */
  int n_assignments;
  tool_engine engine;
  moire_precision precision;
  unsigned off; /* optimizations */
  bool json;
} arguments;

enum { ENGINE = 0x100, MODEL, DATA, PRECISION, SET, THREADS, JSON };

static const struct argp_option options[] = {
    {"model", MODEL, "NAME|PATH", 0, "The model, instead of the one that the files name", 0},
    {"data", DATA, "FOLDER", 0,
     "Where the data of a golden of reading lie (../data/movielens, from the golden's folder)", 0},
    {"engine", ENGINE, "jit|interpreter", 0,
     "What computes: native code in float32, or the interpreter in double", 0},
    {"precision", PRECISION, "f32|bf16", 0, "Of what products multiply (f32); the limits of bf16 are measured",
     0},
    {"set", SET, "KEY=VALUE", 0,
     "Replace a value of the configuration, or say whether the compiler makes an optimization (`moire models` "
     "lists them), as in fuse=false; may come often",
     0},
    {"threads", THREADS, "N", 0, "Threads (as many as there are CPUs)", 0},
    {"json", JSON, NULL, 0, "Print JSON, one line a file", 0},
    {0}};

/* An optimization and true or false; false: it is a key of the configuration. */
static bool is_switch(struct argp_state *state, unsigned *off, const char *text) {
  const char *equals = strchr(text, '=');
  for (int i = 0; equals && i < MOIRE_OPTIMIZATION_COUNT; i++) {
    const char *name = moire_optimization_name((moire_optimization)i);
    if (strlen(name) != (size_t)(equals - text) || strncmp(name, text, strlen(name)) != 0) continue;
    if (strcmp(equals, "=false") != 0 && strcmp(equals, "=true") != 0)
      argp_error(state, "--set: wanted %s=true or %s=false, but '%s' came", name, name, text);
    *off = !strcmp(equals, "=false") ? *off | 1u << i : *off & ~(1u << i);
    return true;
  }
  return false;
}

static error_t parse(int key, char *text, struct argp_state *state) {
  arguments *a = state->input;
  switch (key) {
    case MODEL: a->model = text; return 0;
    case DATA: a->data = text; return 0;
    case ENGINE:
      if (strcmp(text, "jit") != 0 && strcmp(text, "interpreter") != 0) {
        argp_error(state, "--engine: wanted jit or interpreter, but '%s' came", text);
      }
      a->engine = strcmp(text, "jit") ? TOOL_ENGINE_INTERPRETER : TOOL_ENGINE_JIT;
      return 0;
    case PRECISION:
      if (!strcmp(tool_precision_argument(state, text), "int8"))
        argp_error(state, "--precision: goldens are for f32 and bf16");
      a->precision = strcmp(text, "f32") ? MOIRE_PRECISION_BF16 : MOIRE_PRECISION_F32;
      return 0;
    case SET:
      if (!is_switch(state, &a->off, text)) a->assignments[a->n_assignments++] = text;
      return 0;
    case THREADS: a->threads = (int)tool_int_argument(state, "--threads", text, 1, 1024); return 0;
    case JSON: a->json = true; return 0;
    case ARGP_KEY_ARG: a->files[a->n_files++] = text; return 0;
    case ARGP_KEY_END:
      if (!a->n_files) argp_error(state, "wanted a golden");
      return 0;
    default: return ARGP_ERR_UNKNOWN;
  }
}

static const char *const class_names[TOOL_N_CLASSES] = {"outputs", "losses", "gradients", "trained"};

/* Where nothing may differ, nothing does or all is lost. */
static double part_of_limit(const tool_finding *f) {
  return f->limit > 0 ? f->error / f->limit : f->error > 0 ? INFINITY : f->error;
}

/* The finding of a class that is the nearest to its limit, or the farthest beyond. NULL: none was judged. */
static const tool_finding *worst_of(const tool_golden *g, tool_class class) {
  const tool_finding *worst = NULL;
  for (int i = 0; i < g->n; i++) {
    const tool_finding *f = &g->findings[i];
    if (f->class != class || (f->noise && f->good)) continue;
    bool nan_already = worst && isnan(worst->error);
    if (!worst || (!nan_already && !(part_of_limit(f) <= part_of_limit(worst)))) worst = f;
  }
  return worst;
}

static int count_failures(const tool_golden *g) {
  int n = 0;
  for (int i = 0; i < g->n; i++) n += !g->findings[i].good;
  return n;
}

static const char *engine_name(tool_engine engine) { return engine == TOOL_ENGINE_JIT ? "jit" : "interpreter"; }

static void print_table(const tool_golden *g, tool_engine engine) {
  printf("%s (%s): %s\n", g->path, engine_name(engine), count_failures(g) ? "FAILED" : "passed");
  for (tool_class class = 0; class < TOOL_N_CLASSES; class ++) {
    const tool_finding *worst = worst_of(g, class);
    if (!worst) continue;
    printf("  %-10s worst error %.2e of %.0e  %s\n", class_names[class], worst->error, worst->limit,
           worst->name);
  }
  for (int i = 0; i < g->n; i++) {
    const tool_finding *f = &g->findings[i];
    if (f->good) continue;
    fprintf(stderr, "moire verify: %s: %s: the error %.3g is over the limit %.3g%s\n", g->path, f->name,
            f->error, f->limit, f->noise ? " of the largest gradient" : "");
  }
}

static json_t *number(double x) { return isfinite(x) ? json_real(x) : json_null(); }

static void print_json(const tool_golden *g, tool_engine engine) {
  json_t *classes = json_object(), *failures = json_array();
  for (tool_class class = 0; class < TOOL_N_CLASSES; class ++) {
    const tool_finding *worst = worst_of(g, class);
    if (!worst) continue;
    json_object_set_new(classes, class_names[class],
                        json_pack("{s:o, s:o, s:s}", "error", number(worst->error), "limit",
                                  number(worst->limit), "tensor", worst->name));
  }
  for (int i = 0; i < g->n; i++) {
    const tool_finding *f = &g->findings[i];
    if (f->good) continue;
    json_array_append_new(failures, json_pack("{s:s, s:o, s:o}", "tensor", f->name, "error", number(f->error),
                                              "limit", number(f->limit)));
  }
  json_t *root = json_pack("{s:s, s:s, s:b, s:o, s:o}", "file", g->path, "engine", engine_name(engine),
                           "passed", !count_failures(g), "worst", classes, "failures", failures);
  char *text = root ? json_dumps(root, JSON_COMPACT) : NULL;
  printf("%s\n", text ? text : "{}");
  free(text);
  json_decref(root);
}

/* 0, or TOOL_FAILURE after saying what is wrong. */
static int verify_file(const arguments *a, const char *path, moire_threads *threads) {
  tool_golden golden = {.assignments = a->assignments, .n_assignments = a->n_assignments};
  moire_error error = {0};
  bool torch = a->model && moire_import_is(a->model);
  moire_status status = torch ? tool_golden_open_torch(&golden, path, a->model, &error)
                              : tool_golden_open(&golden, path, a->model, a->data, &error);
  golden.precision = a->precision;
  golden.off = a->off;
  tool_golden_checker check = torch              ? tool_golden_torch
                              : golden.generates ? tool_golden_generate
                              : golden.is_curve  ? tool_golden_curve
                                                 : tool_golden_check;
  if (!status && a->precision == MOIRE_PRECISION_BF16 && !golden.compared)
    status = tool_golden_measure(&golden, check, a->engine, threads, &error);
  if (!status) status = check(&golden, a->engine, threads, &error);
  int result = status || count_failures(&golden) ? TOOL_FAILURE : 0;
  if (status) {
    tool_fail("verify", &error);
  } else if (a->json) {
    print_json(&golden, a->engine);
  } else {
    print_table(&golden, a->engine);
  }
  tool_golden_free(&golden);
  return result;
}

int tool_verify(int argc, char **argv) {
  static const struct argp parser = {options,
                                     parse,
                                     "GOLDEN.safetensors...",
                                     "Compares outputs, losses, gradients and trained parameters of a model "
                                     "with golden numbers, tensor by tensor: "
                                     "||got - want|| / ||want||. Exit status 1 if one is past its limit.",
                                     NULL,
                                     NULL,
                                     NULL};
  arguments a = {.threads = tool_default_threads()};
  a.files = moire__allocate_array((size_t)argc + 1, sizeof *a.files);
  a.assignments = moire__allocate_array((size_t)argc + 1, sizeof *a.assignments);
  argp_parse(&parser, argc, argv, 0, NULL, &a);
  moire_error error = {0};
  moire_threads *threads = moire_threads_create(a.threads, &error);
  int result = threads ? 0 : tool_fail("verify", &error);
  for (int i = 0; threads && i < a.n_files; i++) {
    int one = verify_file(&a, a.files[i], threads);
    if (one) result = one;
  }
  moire_threads_destroy(threads);
  moire__release(a.files);
  moire__release(a.assignments);
  return result;
}
