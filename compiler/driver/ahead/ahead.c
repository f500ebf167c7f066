/* Ahead of time: from graphs and weights to a library.
 *
 *   graphs -> moire_compile's passes and lowering, for each version -> tables -> objects and C -> cc ->
 * DIR/NAME.*
 *
 * Everything up to objects is what moire_compile does, so results are those of the JIT, bit for bit, on the
 * same version. What depends on weights alone is computed here (fold.c). The C part is the run time that
 * lies under runtime/aot/, which this program carries as text. */
#include "compiler/driver/ahead/interface.h"
#include "compiler/driver/ahead/python/module.h"
#include "compiler/driver/ahead/python/wheel.h"

#include "compiler/driver/compile.h"
#include "runtime/base/hash.h"
#include "runtime/base/layout.h"

#include <inttypes.h>
#include <string.h>

enum { SLICE_BYTES = 1 << 20, MOST_ROWS = 64, STACK_MARGIN = 1 << 16 };

moire_ahead_options moire_ahead_defaults(void) {
  static const char *const x86[] = {"x86-64-v4", "x86-64-v3"}, *const host[] = {"host"};
  moire__target target = moire__target_host();
  bool is_x86 = !strncmp(target.triple, "x86_64", 6);
  return (moire_ahead_options){
      .cpus = is_x86 ? x86 : host, .n_cpus = is_x86 ? 2 : 1, .cc = "cc", .directory = ".", .threads = 1};
}

/* ---- What is asked for ------------------------------------------------------------------------------ */

static moire_status check_options(const moire_ahead_options *options, moire_error *error) {
  moire_status status = moire__ahead_check_name(options->name, error);
  if (status) return status;
  if (options->python || options->wheel) status = moire__ahead_check_python_name(options->name, error);
  if (!status && options->wheel) status = moire__ahead_check_wheel(options, error);
  if (status) return status;
  if (options->n_cpus < 1 || options->n_cpus > MOIRE__AHEAD_MOST_CPUS)
    return moire_fail(error, MOIRE_ERROR_ARGUMENT, "cpus: wanted 1 to %d versions, but %d came",
                      MOIRE__AHEAD_MOST_CPUS, options->n_cpus);
  return MOIRE_OK;
}

static moire_status find_targets(moire__ahead *a, moire_error *error) {
  const moire_ahead_options *options = a->options;
  a->levels = moire__arena_array(&a->arena, (size_t)options->n_cpus, sizeof *a->levels);
  for (int i = 0; i < options->n_cpus; i++) {
    moire__ahead_level *level = &a->levels[i];
    moire_status status = moire__target_named(options->cpus[i], &level->target, error);
    if (status) return status;
    size_t n = strcspn(level->target.triple, "-");
    if (strncmp(level->target.triple, a->levels[0].target.triple, n + 1) != 0)
      return moire_fail(error, MOIRE_ERROR_ARGUMENT, "cpus: %s and %s are of different architectures",
                        a->levels[0].target.name, level->target.name);
    for (int j = 0; j < i; j++) {
      if (!strcmp(a->levels[j].target.name, level->target.name))
        return moire_fail(error, MOIRE_ERROR_ARGUMENT, "cpus: %s comes twice", level->target.name);
    }
  }
  return MOIRE_OK;
}

static moire_status find_interface(moire__ahead *a, moire_error *error) {
  const moire_ahead_model *model = a->model;
  a->interface = moire__ahead_interface_named(model->interface, error);
  if (!a->interface) return MOIRE_ERROR_ARGUMENT;
  if (model->training && !a->interface->training_files)
    return moire_fail(error, MOIRE_ERROR_UNSUPPORTED, "%s: a library with the interface \"%s\" does not train",
                      model->name, a->interface->name);
  if (model->training && a->model->optimizer->training.sparse != MOIRE_SPARSE_OFF)
    return moire_fail(error, MOIRE_ERROR_UNSUPPORTED,
                      "%s: sparse: rows are stepped alone by the command moire train: wanted sparse: off",
                      model->name);
  if (!model->weights && a->interface->needs_weights)
    return moire_fail(error, MOIRE_ERROR_UNSUPPORTED, "%s: a library with the interface \"%s\" wants weights",
                      model->name, a->interface->name);
  return a->interface->choose(a, error);
}

/* ---- Lowering --------------------------------------------------------------------------------------- */

/* B*B, for interfaces whose batch is cut into slices. */
static bool is_product(moire_dim d) { return moire__dim_extent(d, 1) != 0; }

static bool has_products(const moire_plan *plan) {
  bool found = false;
  for (int i = 0; i < plan->n_buffers; i++) found = found || is_product(plan->buffers[i].elements);
  for (int i = 0; i < plan->n_steps; i++) found = found || is_product(plan->steps[i].count);
  return found;
}

/* A library gives the size of the batch, and of a packed plan the number of tokens; or those that its interface
 * names. */
static moire__module *lower(const moire__ahead *a, const moire_graph *graph,
                            const moire_compile_options *options, const moire__target *target,
                            moire_error *error) {
  moire__module *m = moire__driver_lower(graph, options, target, error);
  if (!m || a->interface->has_extents) return m;
  const moire_plan *plan = &m->plan;
  bool good = plan->n_extents <= 2 && (!plan->n_extents || !strcmp(plan->extents[1], "B"));
  if (good && plan->n_extents == 2) good = plan->packing.extent == 2;
  bool products = good && has_products(plan);
  if (good && !products) return m;
  moire_fail(error, MOIRE_ERROR_UNSUPPORTED,
             products ? "the graph %s: a size in it is a product of named extents, which libraries do not have"
                      : "the graph %s: wanted B as its only named extent",
             plan->name);
  moire__module_destroy(m);
  return NULL;
}

static moire_status lower_served(moire__ahead *a, moire__ahead_level *level, moire_compile_options *wanted,
                                 moire_error *error) {
  for (int i = 0; a->served[i].name; i++) {
    wanted->outputs = a->served[i].outputs;
    wanted->n_outputs = a->served[i].n_outputs;
    wanted->fixed = a->served[i].fixed;
    wanted->n_fixed = a->served[i].n_fixed;
    level->modules[i] = lower(a, a->model->inference, wanted, &level->target, error);
    if (!level->modules[i]) return MOIRE_ERROR_ARGUMENT;
  }
  return MOIRE_OK;
}

static moire_status lower_level(moire__ahead *a, moire__ahead_level *level, moire_error *error) {
  static const char *const loss[] = {"loss"};
  moire_compile_options wanted = moire_compile_defaults();
  if (a->model->optimizer) {
    wanted.off = a->model->optimizer->off;
    wanted.precision = a->model->optimizer->precision;
  }
  moire_status status = lower_served(a, level, &wanted, error);
  wanted.fixed = NULL;
  wanted.n_fixed = 0;
  if (status || !a->model->training) return status;
  wanted.outputs = loss;
  wanted.n_outputs = 1;
  level->modules[MOIRE__AHEAD_LOSS] = lower(a, a->model->inference, &wanted, &level->target, error);
  if (!level->modules[MOIRE__AHEAD_LOSS]) return MOIRE_ERROR_ARGUMENT;
  wanted = *a->model->optimizer;
  wanted.outputs = loss;
  wanted.n_outputs = 1;
  wanted.loss = "loss";
  wanted.keep_gradients = false;
  level->modules[MOIRE__AHEAD_STEP] = lower(a, a->model->training, &wanted, &level->target, error);
  return level->modules[MOIRE__AHEAD_STEP] ? MOIRE_OK : MOIRE_ERROR_ARGUMENT;
}

/* The states of the step, one after the other. */
static void lay_out_states(moire__ahead *a) {
  if (!a->model->training) return;
  const moire_plan *plan = &a->levels[0].modules[MOIRE__AHEAD_STEP]->plan;
  a->states = moire__arena_array(&a->arena, (size_t)plan->n_states + 1, sizeof *a->states);
  for (int i = 0; i < plan->n_states; i++) {
    moire__ahead_state *s = &a->states[a->n_states++];
    moire_dim elements = 0;
    moire__shape_elements(&plan->states[i].shape, &elements);
    *s = (moire__ahead_state){.info = plan->states[i],
                              .elements = moire__dim_factor(elements),
                              .bytes = moire__dim_factor(elements) *
                                       (int64_t)moire__dtype_bytes(plan->states[i].dtype),
                              .offset = a->state_bytes,
                              .embedded = -1};
    a->state_bytes += moire__ahead_bytes(plan->states[i].dtype, elements);
  }
}

/* ---- Weights ---------------------------------------------------------------------------------------- */

/* Offset of the bytes in the weights, at a multiple of 64. */
static int64_t add_weights(moire__ahead *a, const void *bytes, int64_t n) {
  int64_t offset = a->weight_bytes, padded = (n + 63) / 64 * 64;
  if (n == 0) return offset;
  if (a->weight_bytes + padded > a->weight_capacity) {
    a->weight_capacity = 2 * (a->weight_bytes + padded);
    a->weights = moire__resize(a->weights, (size_t)a->weight_capacity);
  }
  memset(a->weights + offset, 0, (size_t)padded);
  memcpy(a->weights + offset, bytes, (size_t)n);
  a->weight_bytes += padded;
  return offset;
}

/* Versions that lay out their block alike share it. */
static void add_blocks(moire__ahead *a) {
  for (int i = 0; i < a->n_levels; i++) {
    moire__ahead_level *level = &a->levels[i];
    if (!level->block) continue;
    int same = 0;
    while (same < i && (a->levels[same].block_bytes != level->block_bytes ||
                        memcmp(a->levels[same].block, level->block, (size_t)level->block_bytes) != 0))
      same++;
    level->weights = same < i ? a->levels[same].weights : add_weights(a, level->block, level->block_bytes);
  }
}

static moire_status add_states(moire__ahead *a, moire_error *error) {
  if (!a->model->weights || a->options->external_weights) return MOIRE_OK;
  for (int i = 0; i < a->n_states; i++) {
    moire__ahead_state *s = &a->states[i];
    const moire_ahead_weight *weight = moire__ahead_find_weight(a, s->info.name);
    if (!weight) continue;
    if (weight->elements != s->elements)
      return moire_fail(error, MOIRE_ERROR_ARGUMENT,
                        "weight %s: wanted %" PRId64 " elements, but %" PRId64 " were given", s->info.name,
                        s->elements, weight->elements);
    s->embedded = add_weights(a, weight->data, s->bytes);
  }
  return MOIRE_OK;
}

/* ---- Facts ------------------------------------------------------------------------------------------ */

/* Of the workspace for a row, of those in which padding is left out without any. */
static int64_t row_bytes(const moire__ahead_plan *plan) {
  int64_t bytes = 0;
  for (int i = 0; i < plan->n_parts; i++) {
    const moire__ahead_part *part = &plan->parts[i];
    if (part->extents) bytes += part->extents == 2 ? part->bytes * plan->length / plan->block : part->bytes;
  }
  return bytes;
}

/* Rows that are computed at once: as many as stay in a cache of SLICE_BYTES. */
static void choose_slice(moire__ahead *a) {
  int64_t most = 1;
  if (a->slice) return;
  for (int i = 0; i < a->n_levels; i++) {
    for (int p = 0; a->served[p].name; p++) {
      int64_t bytes = row_bytes(&a->levels[i].plans[p]);
      if (bytes > most) most = bytes;
    }
  }
  a->slice = SLICE_BYTES / most;
  if (a->slice < 1) a->slice = 1;
  if (a->slice > MOST_ROWS) a->slice = MOST_ROWS;
}

static int64_t local_bytes(const moire__loop_kernel *k) {
  int64_t bytes = 0;
  for (int i = 1; i < k->n_buffers; i++) {
    const moire__loop_buffer_info *b = &k->buffers[i];
    if (b->role == MOIRE__BUFFER_LOCAL)
      bytes += moire__dim_factor(b->elements) * (int64_t)moire__loop_type_bytes(b->type) + 64;
  }
  return bytes;
}

static void find_stack(moire__ahead *a) {
  for (int i = 0; i < a->n_levels; i++) {
    for (int k = 0; k < a->levels[i].n_kernels; k++) {
      int64_t bytes = local_bytes(a->levels[i].kernels[k]);
      if (bytes > a->stack_bytes) a->stack_bytes = bytes;
    }
  }
  a->stack_bytes = (a->stack_bytes + STACK_MARGIN + 4095) / 4096 * 4096;
}

/* Whatever gives weights in a file their meaning: the kernels, which contain every shape and number of the
 * model that is not a weight, and where each buffer lies. */
static void sign_plan(const moire__ahead_level *level, const moire__ahead_plan *plan, moire__text *text) {
  for (int s = 0; s < plan->n_steps; s++) {
    const moire__ahead_step *step = &plan->steps[s];
    moire__text_add(text, "%s", level->texts.names[step->kernel]);
    for (int j = 0; j < step->n_constants; j++)
      moire__text_add(text, "%" PRId64 "\n", plan->constants[step->first_constant + j]);
    for (int j = 0; j < step->n_arguments; j++) {
      const moire__ahead_buffer *b = &plan->buffers[plan->arguments[step->first_argument + j]];
      if (b->place == MOIRE__AHEAD_MODEL) moire__text_add(text, "%d %" PRId64 "\n", j, b->offset);
    }
  }
}

static void sign(moire__ahead *a) {
  moire__text text = {0};
  moire__text_add(&text, "%s %s %d\n", a->model->name, a->options->external_weights ? "external" : "embedded",
                  a->model->training != NULL);
  for (int i = 0; i < a->n_levels; i++) {
    const moire__ahead_level *level = &a->levels[i];
    moire__text_add(&text, "%s %" PRId64 " %" PRId64 "\n", level->target.name, level->weights,
                    level->block_bytes);
    for (int p = 0; a->served[p].name; p++) sign_plan(level, &level->plans[p], &text);
  }
  a->signature = moire__hash_bytes((const unsigned char *)text.data, text.length);
  moire__text_free(&text);
}

/* ---- All of it -------------------------------------------------------------------------------------- */

static moire_status prepare(moire__ahead *a, moire_error *error) {
  moire_status status = check_options(a->options, error);
  if (!status) status = find_interface(a, error);
  if (!status) status = find_targets(a, error);
  for (int i = 0; i < a->options->n_cpus && !status; i++) {
    a->n_levels++;
    status = lower_level(a, &a->levels[i], error);
  }
  if (!status) status = a->interface->check(a, error);
  if (!status) lay_out_states(a);
  for (int i = 0; i < a->n_levels && !status; i++) status = moire__ahead_make_plans(a, &a->levels[i], error);
  if (status) return status;
  add_blocks(a);
  status = add_states(a, error);
  a->weight_hash = a->weight_bytes ? moire__hash_bytes(a->weights, (size_t)a->weight_bytes) : 0;
  choose_slice(a);
  find_stack(a);
  sign(a);
  return status;
}

moire_status moire_ahead_write(const moire_ahead_model *model, const moire_ahead_options *options,
                               moire_error *error) {
  moire__ahead a = {.model = model, .options = options};
  moire__ahead_folder folder = {0};
  moire_status status = prepare(&a, error);
  if (!status) status = moire__ahead_folder_make(&folder, options->directory, error);
  if (!status) status = moire__ahead_write_files(&a, &folder, error);
  moire__ahead_folder_remove(&folder);
  for (int i = 0; i < a.n_levels; i++) {
    for (int p = 0; p < MOIRE__AHEAD_PLANS; p++) moire__module_destroy(a.levels[i].modules[p]);
  }
  moire__release(a.weights);
  moire__arena_free(&a.arena);
  return status;
}
