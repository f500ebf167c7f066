/* Operations and bytes of a kernel, from how often its statements run. See loop_work.h.
 *
 * A vector loop's body runs for every element in meaning, but what is the same for all lanes is one
 * instruction: it runs once a vector. What varies is the loop's variable, what is computed from
 * something that varies, and what a variable holds. */
#include "compiler/ir/loop/loop_work.h"

typedef struct worker {
  const moire__loop_kernel *k;
  const moire__loop_runs *runs;
  double vectors; /* vectors an iteration of the vector loop that is being looked at; 1 outside of one */
  bool in_vector;
  bool *varies; /* of every value: differs between lanes of the vector loop that it stands in */
  moire__loop_work *out;
} worker;

/* f32, f64. Held against the code by tests/codegen/flop_test.c. */
int moire__loop_op_flop(moire__loop_op op, moire__loop_type type) {
  bool wide = type == MOIRE__LOOP_F64;
  switch ((int)op) {
    case MOIRE__LOOP_add:
    case MOIRE__LOOP_sub:
    case MOIRE__LOOP_mul:
    case MOIRE__LOOP_div:
    case MOIRE__LOOP_min:
    case MOIRE__LOOP_max:
    case MOIRE__LOOP_sqrt: return 1;
    case MOIRE__LOOP_fma: return 2;
    case MOIRE__LOOP_dot: return 4;
    default: break;
  }
  static const struct {
    moire__loop_op op;
    int flop[2];
  } functions[] = {{MOIRE__LOOP_exp2, {14, 30}}, {MOIRE__LOOP_exp, {20, 33}}, {MOIRE__LOOP_log, {28, 30}},
                   {MOIRE__LOOP_sin, {39, 36}},  {MOIRE__LOOP_cos, {39, 36}}, {MOIRE__LOOP_tanh, {36, 36}},
                   {MOIRE__LOOP_erf, {48, 93}},  {MOIRE__LOOP_pow, {36, 81}}, {MOIRE__LOOP_atan2, {23, 45}}};
  for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
    if (functions[i].op == op) return functions[i].flop[wide];
  }
  return 0;
}

/* About how many instructions one takes, as far as dividing time goes. */
static double cost_of(moire__loop_op op, moire__loop_type type) {
  if (op == MOIRE__LOOP_div || op == MOIRE__LOOP_sqrt || op == MOIRE__LOOP_mod) return 4;
  if (op == MOIRE__LOOP_random) return 20;
  if (op == MOIRE__LOOP_random16) return 6;
  int flop = moire__loop_op_flop(op, type);
  return flop > 2 ? flop : 1;
}

static void note_let(worker *w, const moire__loop_statement *at) {
  const moire__loop_value_info *info = &w->k->values[at->value];
  bool varies = info->op == MOIRE__LOOP_get;
  for (int i = 0; i < info->n_operands; i++) varies = varies || w->varies[info->operands[i]];
  w->varies[at->value] = varies && w->in_vector;
  double runs = (double)w->runs->times[at->number];
  if (!w->varies[at->value]) runs *= w->vectors;
  bool word = info->op == MOIRE__LOOP_word; /* two elements at once */
  if (info->op == MOIRE__LOOP_load || word) {
    double bytes = runs * (word ? 2 : 1) * (double)moire__loop_type_bytes(w->k->buffers[info->buffer].type);
    w->out->buffers[info->buffer] += bytes;
    w->out->accessed += bytes;
  }
  bool is_float = moire__loop_type_is_float(info->type);
  if (is_float) w->out->flop += runs * moire__loop_op_flop(info->op, info->type);
  w->out->cost[at->number] = runs * (info->op == MOIRE__LOOP_get ? 0 : cost_of(info->op, info->type));
}

/* A vector of the square is loaded, shuffled in four or fewer stages, and stored. */
static void note_turn(worker *w, const moire__loop_statement *at, double runs) {
  double bytes = runs * at->lanes * at->lanes * 4;
  w->out->buffers[at->buffer] += bytes;
  w->out->buffers[at->from] += bytes;
  w->out->accessed += 2 * bytes;
  w->out->cost[at->number] = runs * at->lanes * 6;
}

static void note_block(worker *w, const moire__loop_statement *at);

static void note_loop(worker *w, const moire__loop_statement *at) {
  double outer = w->vectors;
  bool inside = w->in_vector;
  int64_t iterations = at->body ? w->runs->times[at->body->number] : 0;
  w->varies[at->value] = at->lanes > 1;
  w->in_vector = inside || at->lanes > 1;
  if (at->lanes > 1 && iterations > 0) {
    w->vectors = (double)w->runs->vectors[at->number] / (double)iterations;
  }
  note_block(w, at->body);
  w->vectors = outer;
  w->in_vector = inside;
}

/* A product of tiles takes as long as 16 instructions, loading or storing one as 8. */
static void note_tile(worker *w, const moire__loop_statement *at, double runs) {
  enum { WORDS = MOIRE__LOOP_TILE_SIDE * MOIRE__LOOP_TILE_SIDE };
  bool moves = at->tile_op == MOIRE__TILE_LOAD || at->tile_op == MOIRE__TILE_STORE;
  if (at->tile_op == MOIRE__TILE_DOT)
    w->out->flop +=
        runs * WORDS * MOIRE__LOOP_TILE_SIDE * moire__loop_op_flop(MOIRE__LOOP_dot, MOIRE__LOOP_F32);
  w->out->cost[at->number] = runs * (moves ? 8 : at->tile_op == MOIRE__TILE_DOT ? 16 : 1);
  if (!moves) return;
  w->out->buffers[at->buffer] += runs * WORDS * 4;
  w->out->accessed += runs * WORDS * 4;
}

static void note_block(worker *w, const moire__loop_statement *at) {
  for (; at; at = at->next) {
    double runs = (double)w->runs->times[at->number];
    switch (at->kind) {
      case MOIRE__LOOP_LET: note_let(w, at); break;
      case MOIRE__LOOP_REDUCE:
        w->out->cost[at->number] = runs;
        if (moire__loop_type_is_float(w->k->vars[at->var].type)) w->out->flop += runs;
        break;
      case MOIRE__LOOP_STORE: {
        double bytes = runs * (double)moire__loop_type_bytes(w->k->buffers[at->buffer].type);
        w->out->buffers[at->buffer] += bytes;
        w->out->accessed += bytes;
        w->out->cost[at->number] = runs;
        break;
      }
      case MOIRE__LOOP_FETCH: w->out->cost[at->number] = runs; break;
      case MOIRE__LOOP_FOR: note_loop(w, at); break;
      case MOIRE__LOOP_IF: note_block(w, at->body); break;
      case MOIRE__LOOP_TURN: note_turn(w, at, runs); break;
      case MOIRE__LOOP_TILE: note_tile(w, at, runs); break;
      case MOIRE__LOOP_DECLARE:
      case MOIRE__LOOP_SET: break;
    }
  }
}

moire__loop_work moire__loop_work_make(const moire__loop_kernel *k, const moire__loop_runs *runs,
                                       moire__arena *arena) {
  moire__loop_work out = {.buffers = moire__arena_array(arena, (size_t)k->n_buffers, sizeof(double)),
                          .cost = moire__arena_array(arena, (size_t)k->n_statements + 1, sizeof(double))};
  worker w = {.k = k, .runs = runs, .vectors = 1, .out = &out};
  w.varies = moire__arena_array(arena, (size_t)k->n_values, sizeof *w.varies);
  note_block(&w, k->body);
  return out;
}
