/* The builder of the loop IR: kernels are made statement by statement, at the end of the innermost open block.
 *
 * Tables of values, buffers and variables grow in the kernel's arena; statements are linked where `end` of the
 * open block points. Operations on constants and extents (loop_values.c) fold (loop_fold.c). A hash table finds
 * operations that were appended before: one whose block is still open is visible here, and serves again. All
 * but loads and variables are pure.
 *
 * Wrong types are not refused here: such a value has the type void, and moire__loop_verify says what is wrong
 * with it. Ids that do not exist and blocks that are not balanced are defects of the caller and stop the
 * program.
 */
#include "compiler/ir/loop/loop_private.h"
#include "runtime/base/hash.h"

#include <assert.h>
#include <string.h>

/* ---- kernels and their tables ---------------------------------------------------------------------------- */

moire__loop_kernel *moire__loop_kernel_create(moire__arena *arena, const char *name,
                                              const moire_graph *extents_of) {
  moire__loop_kernel *k = moire__arena_alloc(arena, sizeof *k);
  k->arena = arena;
  k->name = moire__arena_copy_string(arena, name);
  k->block = 1;
  k->count = 1;
  int n = extents_of ? extents_of->n_extents : 0;
  const char **extents = moire__arena_array(arena, (size_t)n + 1, sizeof *extents);
  for (int i = 1; i <= n; i++) extents[i] = moire__arena_copy_string(arena, extents_of->extents[i]);
  k->extents = extents;
  k->n_extents = n;
  MOIRE__PUSH(arena, k->buffers, k->n_buffers, k->buffer_capacity, (moire__loop_buffer_info){0});
  MOIRE__PUSH(arena, k->values, k->n_values, k->value_capacity, (moire__loop_value_info){0});
  MOIRE__PUSH(arena, k->vars, k->n_vars, k->var_capacity, (moire__loop_var_info){0});
  return k;
}

static bool name_is_taken(const moire__loop_kernel *k, const char *name) {
  for (int i = 1; i < k->n_buffers; i++) {
    if (strcmp(k->buffers[i].name, name) == 0) return true;
  }
  return false;
}

static moire__loop_buffer add_buffer(moire__loop_kernel *k, const char *name, moire__buffer_role role,
                                     moire__loop_type type, moire_dim elements) {
  const char *unique = moire__arena_copy_string(k->arena, name);
  for (int i = 2; name_is_taken(k, unique); i++) unique = moire__arena_printf(k->arena, "%s_%d", name, i);
  moire__loop_buffer_info info = {.name = unique, .role = role, .type = type, .elements = elements};
  MOIRE__PUSH(k->arena, k->buffers, k->n_buffers, k->buffer_capacity, info);
  return k->n_buffers - 1;
}

moire__loop_buffer moire__loop_add_parameter(moire__loop_kernel *k, const char *name, moire__buffer_role role,
                                             moire__loop_type type, moire_dim elements) {
  assert(role != MOIRE__BUFFER_LOCAL && k->n_parameters == k->n_buffers - 1); /* parameters before locals */
  k->n_parameters++;
  return add_buffer(k, name, role, type, elements);
}

moire__loop_buffer moire__loop_add_local(moire__loop_kernel *k, const char *name, moire__loop_type type,
                                         int64_t elements) {
  return add_buffer(k, name, MOIRE__BUFFER_LOCAL, type, moire__dim_make(elements, 0));
}

static moire__loop_value add_index(moire__loop_kernel *k) {
  return moire__loop_add_value(
      k, (moire__loop_value_info){.op = MOIRE__LOOP_OP_COUNT, .type = MOIRE__LOOP_I64, .is_index = true});
}

moire__loop_builder moire__loop_begin(moire__loop_kernel *k, moire_dim count, int64_t block) {
  assert(!k->body && !k->parallel);
  k->count = count;
  k->block = block;
  k->parallel = add_index(k);
  moire__loop_builder b = {.kernel = k, .depth = 1};
  b.open[0].end = &k->body;
  b.open[0].number = k->n_blocks++;
  return b;
}

/* ---- constants ------------------------------------------------------------------------------------------- */

moire__loop_value moire__loop_const(moire__loop_builder *b, moire__loop_type type, double value) {
  moire__loop_value_info info = {.op = MOIRE__LOOP_const, .type = type};
  if (moire__loop_type_is_float(type)) info.real = value;
  if (moire__loop_type_is_int(type)) info.integer = (int64_t)value;
  if (type == MOIRE__LOOP_BOOL) info.integer = value != 0;
  return moire__loop_share(b->kernel, info);
}

moire__loop_value moire__loop_index(moire__loop_builder *b, int64_t value) {
  return moire__loop_share(
      b->kernel, (moire__loop_value_info){.op = MOIRE__LOOP_const, .type = MOIRE__LOOP_I64, .integer = value});
}

moire__loop_value moire__loop_extent(moire__loop_builder *b, moire_dim dim) {
  if (moire__dim_is_static(dim) || moire__dim_factor(dim) == 0) {
    return moire__loop_index(b, moire__dim_factor(dim));
  }
  return moire__loop_share(
      b->kernel, (moire__loop_value_info){.op = MOIRE__LOOP_extent, .type = MOIRE__LOOP_I64, .integer = dim});
}

/* ---- instructions ---------------------------------------------------------------------------------------- */

static moire__loop_statement *append(moire__loop_builder *b, moire__loop_statement_kind kind) {
  assert(b->depth > 0);
  moire__loop_statement *s = moire__arena_alloc(b->kernel->arena, sizeof *s);
  s->kind = kind;
  s->number = b->kernel->n_statements++;
  s->origin = b->origin;
  s->at = b->at;
  b->last = s;
  *b->open[b->depth - 1].end = s;
  b->open[b->depth - 1].end = &s->next;
  return s;
}

static void check_value(const moire__loop_builder *b, moire__loop_value v) {
  assert(v > 0 && v < b->kernel->n_values);
}
static void check_buffer(const moire__loop_builder *b, moire__loop_buffer buffer) {
  assert(buffer > 0 && buffer < b->kernel->n_buffers);
}
static void check_var(const moire__loop_builder *b, moire__loop_var var) {
  assert(var > 0 && var < b->kernel->n_vars);
}

moire__loop_type moire__loop_type_of(const moire__loop_builder *b, moire__loop_value v) {
  check_value(b, v);
  return b->kernel->values[v].type;
}

moire__loop_value moire__loop_let(moire__loop_builder *b, moire__loop_value_info info) {
  info.block = b->open[b->depth - 1].number;
  moire__loop_value v = moire__loop_add_value(b->kernel, info);
  append(b, MOIRE__LOOP_LET)->value = v;
  return v;
}

/* ---- operations that are there --------------------------------------------------------------------------- */

static bool same_operation(const moire__loop_value_info *a, const moire__loop_value_info *b) {
  bool same = a->op == b->op && a->type == b->type && a->n_operands == b->n_operands;
  for (int i = 0; same && i < a->n_operands; i++) same = a->operands[i] == b->operands[i];
  return same;
}

static moire__loop_value *bucket_of(moire__loop_kernel *k, const moire__loop_value_info *info) {
  uint64_t hash = moire__fnv(MOIRE__FNV_START, (uint64_t)info->op << 8 | (uint64_t)info->type);
  for (int i = 0; i < info->n_operands; i++) hash = moire__fnv(hash, (uint64_t)info->operands[i]);
  return &k->computed[(hash ^ hash >> 32) % (sizeof k->computed / sizeof *k->computed)];
}

static bool is_open(const moire__loop_builder *b, int block) {
  for (int i = 0; i < b->depth; i++) {
    if (b->open[i].number == block) return true;
  }
  return false;
}

/* An equal operation that is visible here, or a new one. */
static moire__loop_value compute(moire__loop_builder *b, moire__loop_value_info info) {
  moire__loop_kernel *k = b->kernel;
  moire__loop_value *bucket = bucket_of(k, &info);
  for (moire__loop_value v = *bucket; v; v = k->values[v].next_shared) {
    if (same_operation(&k->values[v], &info) && is_open(b, k->values[v].block)) return v;
  }
  info.next_shared = *bucket;
  return *bucket = moire__loop_let(b, info);
}

/* ---- operations ----------------------------------------------------------------------------------------- */

moire__loop_value moire__loop_emit(moire__loop_builder *b, moire__loop_op op, const moire__loop_value *operands,
                                   int n) {
  assert(op != MOIRE__LOOP_const && op != MOIRE__LOOP_extent && op != MOIRE__LOOP_cast &&
         op != MOIRE__LOOP_load && op != MOIRE__LOOP_word && op != MOIRE__LOOP_get &&
         n == moire__loop_op_arity(op));
  moire__loop_value_info info = {.op = op, .n_operands = n};
  moire__loop_type types[5];
  for (int i = 0; i < n; i++) {
    info.operands[i] = operands[i];
    types[i] = moire__loop_type_of(b, operands[i]);
  }
  info.type = moire__loop_result_type(op, types);
  if (info.type != MOIRE__LOOP_VOID) {
    moire__loop_value folded = moire__loop_fold(b->kernel, &info.op, info.operands);
    if (folded) return folded;
  }
  return compute(b, info);
}

moire__loop_value moire__loop_unary(moire__loop_builder *b, moire__loop_op op, moire__loop_value a) {
  return moire__loop_emit(b, op, &a, 1);
}

moire__loop_value moire__loop_binary(moire__loop_builder *b, moire__loop_op op, moire__loop_value x,
                                     moire__loop_value y) {
  return moire__loop_emit(b, op, (moire__loop_value[]){x, y}, 2);
}

moire__loop_value moire__loop_ternary(moire__loop_builder *b, moire__loop_op op, moire__loop_value x,
                                      moire__loop_value y, moire__loop_value z) {
  return moire__loop_emit(b, op, (moire__loop_value[]){x, y, z}, 3);
}

/* The constant `value`, of an integer type or bool, as one of `type`: 0 unless it is exactly that. */
static moire__loop_value cast_constant(moire__loop_builder *b, int64_t value, moire__loop_type type) {
  if (type == MOIRE__LOOP_BOOL) return moire__loop_const(b, type, value != 0);
  if (type == MOIRE__LOOP_I64) return moire__loop_index(b, value);
  bool small = value >= INT32_MIN && value <= INT32_MAX; /* a float may still round it: so does its use */
  return small ? moire__loop_const(b, type, (double)value) : 0;
}

moire__loop_value moire__loop_cast(moire__loop_builder *b, moire__loop_value a, moire__loop_type type) {
  moire__loop_type from = moire__loop_type_of(b, a);
  if (from == type) return a;
  if (b->kernel->values[a].op == MOIRE__LOOP_const && type != MOIRE__LOOP_VOID && type != MOIRE__LOOP_BF16 &&
      !moire__loop_type_is_float(from)) {
    moire__loop_value folded = cast_constant(b, b->kernel->values[a].integer, type);
    if (folded) return folded;
  }
  return compute(
      b, (moire__loop_value_info){.op = MOIRE__LOOP_cast, .type = type, .operands = {a}, .n_operands = 1});
}

moire__loop_value moire__loop_load(moire__loop_builder *b, moire__loop_buffer buffer,
                                   moire__loop_value address) {
  check_buffer(b, buffer);
  check_value(b, address);
  return moire__loop_let(
      b, (moire__loop_value_info){.op = MOIRE__LOOP_load,
                                  .type = moire__loop_type_loaded(b->kernel->buffers[buffer].type),
                                  .operands = {address},
                                  .n_operands = 1,
                                  .buffer = buffer});
}

moire__loop_value moire__loop_word(moire__loop_builder *b, moire__loop_buffer buffer,
                                   moire__loop_value address) {
  check_buffer(b, buffer);
  check_value(b, address);
  return moire__loop_let(b, (moire__loop_value_info){.op = MOIRE__LOOP_word,
                                                     .type = MOIRE__LOOP_I32,
                                                     .operands = {address},
                                                     .n_operands = 1,
                                                     .buffer = buffer});
}

void moire__loop_store(moire__loop_builder *b, moire__loop_buffer buffer, moire__loop_value address,
                       moire__loop_value value) {
  check_buffer(b, buffer);
  check_value(b, address);
  check_value(b, value);
  moire__loop_statement *s = append(b, MOIRE__LOOP_STORE);
  s->buffer = buffer;
  s->address = address;
  s->value = value;
}

void moire__loop_fetch(moire__loop_builder *b, moire__loop_buffer buffer, moire__loop_value address) {
  check_buffer(b, buffer);
  check_value(b, address);
  moire__loop_statement *s = append(b, MOIRE__LOOP_FETCH);
  s->buffer = buffer;
  s->address = address;
}

void moire__loop_turn(moire__loop_builder *b, moire__loop_buffer to, moire__loop_value to_at, int64_t to_pitch,
                      moire__loop_buffer from, moire__loop_value from_at, moire__loop_value from_pitch,
                      int side) {
  check_buffer(b, to);
  check_buffer(b, from);
  check_value(b, to_at);
  check_value(b, from_at);
  check_value(b, from_pitch);
  moire__loop_statement *s = append(b, MOIRE__LOOP_TURN);
  s->buffer = to;
  s->address = to_at;
  s->step = to_pitch;
  s->from = from;
  s->value = from_at;
  s->low = from_pitch;
  s->lanes = side;
}

/* ---- variables ------------------------------------------------------------------------------------------- */

moire__loop_var moire__loop_declare(moire__loop_builder *b, moire__loop_value init) {
  moire__loop_kernel *k = b->kernel;
  moire__loop_var_info info = {.type = moire__loop_type_of(b, init), .init = init};
  MOIRE__PUSH(k->arena, k->vars, k->n_vars, k->var_capacity, info);
  append(b, MOIRE__LOOP_DECLARE)->var = k->n_vars - 1;
  return k->n_vars - 1;
}

moire__loop_value moire__loop_get(moire__loop_builder *b, moire__loop_var var) {
  check_var(b, var);
  return moire__loop_let(
      b, (moire__loop_value_info){.op = MOIRE__LOOP_get, .type = b->kernel->vars[var].type, .var = var});
}

void moire__loop_set(moire__loop_builder *b, moire__loop_var var, moire__loop_value value) {
  check_var(b, var);
  check_value(b, value);
  moire__loop_statement *s = append(b, MOIRE__LOOP_SET);
  s->var = var;
  s->value = value;
}

void moire__loop_reduce(moire__loop_builder *b, moire__loop_var var, moire__loop_op combine,
                        moire__loop_value value) {
  check_var(b, var);
  check_value(b, value);
  moire__loop_statement *s = append(b, MOIRE__LOOP_REDUCE);
  s->var = var;
  s->combine = combine;
  s->value = value;
}

/* ---- tiles ----------------------------------------------------------------------------------------------- */

static moire__loop_statement *append_tile(moire__loop_builder *b, moire__loop_tile_op op, int tile) {
  moire__loop_statement *s = append(b, MOIRE__LOOP_TILE);
  s->tile_op = op;
  s->tiles[0] = tile;
  b->kernel->has_tiles = true;
  return s;
}

static void access_tile(moire__loop_builder *b, moire__loop_tile_op op, int tile, moire__loop_buffer buffer,
                        moire__loop_value address, int64_t pitch) {
  check_buffer(b, buffer);
  check_value(b, address);
  moire__loop_statement *s = append_tile(b, op, tile);
  s->buffer = buffer;
  s->address = address;
  s->step = pitch;
}

void moire__loop_tile_zero(moire__loop_builder *b, int tile) { append_tile(b, MOIRE__TILE_ZERO, tile); }

void moire__loop_tile_load(moire__loop_builder *b, int tile, moire__loop_buffer buffer,
                           moire__loop_value address, int64_t pitch) {
  access_tile(b, MOIRE__TILE_LOAD, tile, buffer, address, pitch);
}

void moire__loop_tile_store(moire__loop_builder *b, int tile, moire__loop_buffer buffer,
                            moire__loop_value address, int64_t pitch) {
  access_tile(b, MOIRE__TILE_STORE, tile, buffer, address, pitch);
}

void moire__loop_tile_dot(moire__loop_builder *b, int sums, int rows, int columns) {
  moire__loop_statement *s = append_tile(b, MOIRE__TILE_DOT, sums);
  s->tiles[1] = rows;
  s->tiles[2] = columns;
}

/* ---- blocks ---------------------------------------------------------------------------------------------- */

static void open_block(moire__loop_builder *b, moire__loop_statement *owner) {
  assert((size_t)b->depth < sizeof b->open / sizeof b->open[0]);
  b->open[b->depth].owner = owner;
  b->open[b->depth].end = &owner->body;
  b->open[b->depth].number = b->kernel->n_blocks++;
  b->depth++;
}

moire__loop_value moire__loop_for(moire__loop_builder *b, moire__loop_value low, moire__loop_value high,
                                  int64_t step, int lanes) {
  check_value(b, low);
  check_value(b, high);
  moire__loop_statement *s = append(b, MOIRE__LOOP_FOR);
  s->low = low;
  s->high = high;
  s->step = step;
  s->lanes = lanes;
  s->value = add_index(b->kernel);
  open_block(b, s);
  return s->value;
}

void moire__loop_if(moire__loop_builder *b, moire__loop_value condition) {
  check_value(b, condition);
  moire__loop_statement *s = append(b, MOIRE__LOOP_IF);
  s->value = condition;
  open_block(b, s);
}

void moire__loop_end(moire__loop_builder *b) {
  assert(b->depth > 1);
  b->depth--;
}
