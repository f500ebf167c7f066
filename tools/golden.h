/* Golden numbers: a file of parameters, inputs and what a model must make of them, and the comparison. */
#ifndef MOIRE_TOOLS_GOLDEN_H
#define MOIRE_TOOLS_GOLDEN_H

#include "runtime/base/memory.h"
#include "tools/session.h"
#include "tools/tool.h"

typedef enum tool_class { TOOL_OUTPUTS, TOOL_LOSSES, TOOL_GRADIENTS, TOOL_TRAINED, TOOL_N_CLASSES } tool_class;

/* One tensor compared: ||got - want|| / ||want||, or, of a gradient that carries no information, ||got|| in
 * units of the largest gradient. */
typedef struct tool_finding {
  tool_class class;
  const char *name; /* of the tensor in the file */
  double error, limit;
  bool noise; /* such a gradient: only has to be small */
  bool good;  /* error <= limit, which no NaN is */
} tool_finding;

/* One input of the model: a batch for all steps, or one for each step and one for the last loss. */
typedef struct tool_golden_input {
  const char *name;
  double *values; /* [n], or [steps + 1, n] */
  int64_t n;
  bool each_step;
} tool_golden_input;

/* A named extent that the inputs' shapes say. */
typedef struct tool_golden_extent {
  const char *name;
  int64_t size;
} tool_golden_extent;

/* Zero-initialise; free with tool_golden_free. */
typedef struct tool_golden {
  const char *path;
  const char *const *assignments; /* of --set, to be given before it is opened; borrowed */
  int n_assignments;
  moire__safetensors *file;
  moire__setup setup;
  bool generates, is_curve; /* of kind `generate`, or `curve` */
  int64_t steps;
  tool_golden_extent extents[16];
  int n_extents;
  tool_golden_input *inputs; /* of the model, as far as the file has them */
  int n_inputs, input_capacity;
  moire_compile_options optimizer;
  bool compared;             /* it is a task's own, and has been compared while it was opened */
  bool from_torch;           /* of format golden/pt2/1: of a program of torch.export */
  moire_precision precision; /* to be set before the check, */
  unsigned off;              /* as what the compiler does not do */
  bool measures;             /* float32 says how far its numbers go, instead of being judged: golden_unit.c */
  int draw;                  /* of that: the number of what weights are shifted by; 0: by nothing */
  const double **unshifted;  /* what draw 0 gave for each finding */
  int n_unshifted, unshifted_capacity;
  const double *reach; /* of each finding, in bf16 */
  const char **angles; /* outputs that are angles: 2 pi makes no difference */
  int n_angles, angle_capacity;
  double largest_gradient;
  moire__arena arena;
  tool_finding *findings;
  int n, capacity;
} tool_golden;

/* Reads the file and all but the comparison. `model` is a name or a path instead of the one that the file
 * holds, or NULL; `data` is where the data of a task's own golden lie, or NULL. Everything in it is checked:
 * shapes are as the model has them, and values what its task allows. */
moire_status tool_golden_open(tool_golden *golden, const char *path, const char *model, const char *data,
                              moire_error *error);
/* The same of format golden/pt2/1: `model` is the path of a program. */
moire_status tool_golden_open_torch(tool_golden *golden, const char *path, const char *model,
                                    moire_error *error);
void tool_golden_free(tool_golden *golden);

/* Computes and compares everything. A failure of a comparison is a finding, not an error. */
moire_status tool_golden_check(tool_golden *golden, tool_engine engine, moire_threads *threads,
                               moire_error *error);

/* What golden_generate.c does for such a file, and what it judges a tensor with: the last finding is its. */
moire_status tool_golden_generate(tool_golden *golden, tool_engine engine, moire_threads *threads,
                                  moire_error *error);
/* The same of kind `curve`, which golden_curve.c does. */
moire_status tool_golden_curve(tool_golden *golden, tool_engine engine, moire_threads *threads,
                               moire_error *error);
/* The same of format golden/pt2/1, which golden_torch.c does. */
moire_status tool_golden_torch(tool_golden *golden, tool_engine engine, moire_threads *threads,
                               moire_error *error);
void tool_golden_compare(tool_golden *golden, tool_class class, tool_engine engine,
                         const moire__st_tensor *want, const double *got);

/* Appends a finding, good or not by its limit. In bf16 the limit is what was measured, but for what is a whole
 * number or noise. */
void tool_golden_find(tool_golden *golden, tool_finding finding);

/* golden_unit.c: how far each number of the golden goes if weights move by bf16's unit, which is what bf16 is
 * judged by. `check` is what compares this golden. To be called before it. */
typedef moire_status (*tool_golden_checker)(tool_golden *, tool_engine, moire_threads *, moire_error *);
moire_status tool_golden_measure(tool_golden *golden, tool_golden_checker check, tool_engine engine,
                                 moire_threads *threads, moire_error *error);
/* Moves the values [n] of a state of floating point, while the golden is measured. */
void tool_golden_shift(const tool_golden *golden, const moire_plan_state *state, double *values, int64_t n);
/* What the next finding's `got` [n] is compared with: `want`, or, while the golden is measured, what unshifted
 * weights gave. */
const double *tool_golden_origin(tool_golden *golden, const double *want, const double *got, int64_t n);
/* The limit in bf16 of the next finding. */
double tool_golden_reach_limit(const tool_golden *golden, tool_class class);

/* Compares the output of a session that has run. */
moire_status tool_golden_compare_output(tool_golden *golden, tool_class class, tool_engine engine,
                                        const tool_session *session, const char *output,
                                        const moire__st_tensor *want, moire_error *error);
/* The golden's model in a session, with its precision and switches and no state or input yet; owned. */
tool_session *tool_golden_session(const tool_golden *golden, tool_engine engine, moire_mode mode,
                                  moire_compile_options options, moire_threads *threads, moire_error *error);

/* Appends a finding of the outputs. */
void tool_golden_add(void *golden, const moire__st_tensor *want, double off);

/* Puts the assignments of --set on top of the table. */
moire_status tool_golden_assign(tool_golden *golden, moire_error *error);

double tool_class_limit(tool_class class, tool_engine engine);

#endif
