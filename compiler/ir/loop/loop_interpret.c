/* Runs a kernel statement by statement, every access checked: the meaning of the loop IR and the oracle of the
 * code generator.
 *
 * A vector loop runs one value of its variable after the other. Values sit in an array of slots by id: integers
 * and bools as int64, floats as double. A result of type f32 is computed in double and rounded once, which is
 * the correctly rounded float for + - * / and sqrt (a double has more than twice the digits); fma, where it
 * would not be, calls fmaf. With `in_double` nothing of type f32 is rounded and f32 buffers hold doubles; bf16
 * buffers hold bf16 in either mode, since what is stored there is rounded by intent.
 *
 * Requires nothing: the kernel is verified first. What has no meaning (an offset outside of its buffer, a
 * division by zero) is a sentence that quotes the statement. A local starts each iteration as NaN, or as an
 * absurd integer, so that what was read before it was written shows. A float that has no integer of the type it
 * is cast to gives the smallest one.
 */
#include "compiler/ir/loop/loop_narrow.h"
#include "compiler/ir/loop/loop_private.h"
#include "compiler/ir/loop/loop_work.h"
#include "runtime/base/philox.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef union slot {
  int64_t i;
  double d;
} slot;

typedef struct machine {
  const moire__loop_kernel *k;
  void **buffers;  /* by buffer id */
  int64_t *counts; /* elements, by buffer id */
  slot *values, *vars;
  moire__loop_tiles *tiles; /* NULL: the kernel has none */
  bool in_double;
  int64_t iteration;
  moire_error *error;
  const moire__loop_slice *slice; /* counting: only what decides about control flow is computed */
  const moire__loop_runs *runs;   /* while counting */
  int64_t times;                  /* how often the current block runs with nothing changed */
} machine;

static bool fail(machine *m, const moire__loop_statement *s, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static bool fail(machine *m, const moire__loop_statement *s, const char *format, ...) {
  char reason[300];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(reason, sizeof reason, format, arguments);
  va_end(arguments);
  moire__text line = {0};
  moire__loop_names names = moire__loop_names_make(m->k);
  moire__loop_print_statement(m->k, &names, s, &line);
  moire_fail(m->error, MOIRE_ERROR_INTERNAL, "kernel @%.200s, iteration %lld: `%.250s`: %s", m->k->name,
             (long long)m->iteration, moire__text_string(&line), reason);
  moire__loop_names_free(&names);
  moire__text_free(&line);
  return false;
}

/* ---- memory ---------------------------------------------------------------------------------------------- */

static size_t element_bytes(const machine *m, moire__loop_type type) {
  return m->in_double && type == MOIRE__LOOP_F32 ? sizeof(double) : moire__loop_type_bytes(type);
}

static bool check_offset(machine *m, const moire__loop_statement *s, moire__loop_buffer buffer, int64_t at) {
  if (at >= 0 && at < m->counts[buffer]) return true;
  return fail(m, s, "offset %lld is outside of %%%.100s, which has %lld elements", (long long)at,
              m->k->buffers[buffer].name, (long long)m->counts[buffer]);
}

static slot read_element(const machine *m, moire__loop_buffer buffer, int64_t at) {
  const void *base = m->buffers[buffer];
  switch (m->k->buffers[buffer].type) {
    case MOIRE__LOOP_BOOL: return (slot){.i = ((const uint8_t *)base)[at] != 0};
    case MOIRE__LOOP_I32: return (slot){.i = ((const int32_t *)base)[at]};
    case MOIRE__LOOP_I64: return (slot){.i = ((const int64_t *)base)[at]};
    case MOIRE__LOOP_F32:
      return (slot){.d = m->in_double ? ((const double *)base)[at] : (double)((const float *)base)[at]};
    case MOIRE__LOOP_F64: return (slot){.d = ((const double *)base)[at]};
    case MOIRE__LOOP_BF16: return (slot){.d = moire__bf16_to_double(((const uint16_t *)base)[at])};
    case MOIRE__LOOP_VOID: break;
  }
  return (slot){0};
}

static void write_element(const machine *m, moire__loop_buffer buffer, int64_t at, slot x) {
  void *base = m->buffers[buffer];
  switch (m->k->buffers[buffer].type) {
    case MOIRE__LOOP_BOOL: ((uint8_t *)base)[at] = x.i != 0; return;
    case MOIRE__LOOP_I32: ((int32_t *)base)[at] = (int32_t)x.i; return;
    case MOIRE__LOOP_I64: ((int64_t *)base)[at] = x.i; return;
    case MOIRE__LOOP_F32:
      if (m->in_double) {
        ((double *)base)[at] = x.d;
      } else {
        ((float *)base)[at] = (float)x.d;
      }
      return;
    case MOIRE__LOOP_F64: ((double *)base)[at] = x.d; return;
    case MOIRE__LOOP_BF16: ((uint16_t *)base)[at] = moire__bf16_from_double(x.d); return;
    case MOIRE__LOOP_VOID: return;
  }
}

/* ---- arithmetic ------------------------------------------------------------------------------------------ */

static double rounded(const machine *m, moire__loop_type type, double x) {
  return type == MOIRE__LOOP_F32 && !m->in_double ? (double)(float)x : x;
}

/* Two's complement, as the hardware does it. */
static int64_t wrapped(moire__loop_type type, uint64_t x) {
  return type == MOIRE__LOOP_I32 ? (int64_t)(int32_t)(uint32_t)x : (int64_t)x;
}

static double float_result(const machine *m, const moire__loop_value_info *info, double a, double b, double c) {
  switch ((int)info->op) {
    case MOIRE__LOOP_add: return a + b;
    case MOIRE__LOOP_sub: return a - b;
    case MOIRE__LOOP_mul: return a * b;
    case MOIRE__LOOP_div: return a / b;
    case MOIRE__LOOP_min: return a < b ? a : b;
    case MOIRE__LOOP_max: return a > b ? a : b;
    case MOIRE__LOOP_fma:
      if (info->type == MOIRE__LOOP_F32 && !m->in_double) return (double)fmaf((float)a, (float)b, (float)c);
      return fma(a, b, c);
    case MOIRE__LOOP_neg: return -a;
    case MOIRE__LOOP_abs: return fabs(a);
    case MOIRE__LOOP_sqrt: return sqrt(a);
    case MOIRE__LOOP_exp: return exp(a);
    case MOIRE__LOOP_exp2: return exp2(a);
    case MOIRE__LOOP_log: return log(a);
    case MOIRE__LOOP_sin: return sin(a);
    case MOIRE__LOOP_cos: return cos(a);
    case MOIRE__LOOP_tanh: return tanh(a);
    case MOIRE__LOOP_erf: return erf(a);
    case MOIRE__LOOP_atan2: return atan2(a, b);
    case MOIRE__LOOP_pow: return pow(a, b);
    case MOIRE__LOOP_floor: return floor(a);
    case MOIRE__LOOP_single: return (double)(float)a;
    case MOIRE__LOOP_narrow: return moire__bf16_to_double(moire__bf16_from_double(a));
    default: return (double)NAN; /* no other op has a float type: verified */
  }
}

/* Of integers; false where it has no meaning. */
static bool int_result(moire__loop_op op, moire__loop_type type, int64_t a, int64_t b, int64_t *result) {
  uint64_t x = (uint64_t)a, y = (uint64_t)b;
  switch ((int)op) {
    case MOIRE__LOOP_add: *result = wrapped(type, x + y); return true;
    case MOIRE__LOOP_sub: *result = wrapped(type, x - y); return true;
    case MOIRE__LOOP_mul: *result = wrapped(type, x * y); return true;
    case MOIRE__LOOP_min: *result = a < b ? a : b; return true;
    case MOIRE__LOOP_max: *result = a > b ? a : b; return true;
    case MOIRE__LOOP_and: *result = a & b; return true;
    case MOIRE__LOOP_neg: *result = wrapped(type, 0 - x); return true;
    case MOIRE__LOOP_abs: *result = wrapped(type, a < 0 ? 0 - x : x); return true;
    case MOIRE__LOOP_byte: *result = (int8_t)(uint8_t)(x >> 8 * (y & 3)); return true;
    case MOIRE__LOOP_div:
    case MOIRE__LOOP_mod:
      if (a < 0 || b <= 0) return false;
      *result = op == MOIRE__LOOP_div ? a / b : a % b;
      return true;
    default: return false;
  }
}

static int64_t bool_result(moire__loop_op op, bool is_float, slot a, slot b) {
  switch ((int)op) {
    case MOIRE__LOOP_eq: return is_float ? a.d == b.d : a.i == b.i;
    case MOIRE__LOOP_lt: return is_float ? a.d < b.d : a.i < b.i;
    case MOIRE__LOOP_le: return is_float ? a.d <= b.d : a.i <= b.i;
    case MOIRE__LOOP_and: return a.i && b.i;
    case MOIRE__LOOP_or: return a.i || b.i;
    case MOIRE__LOOP_not: return !a.i;
    default: return 0;
  }
}

static int64_t int_from_float(moire__loop_type type, double x) {
  double limit = type == MOIRE__LOOP_I32 ? 0x1p31 : 0x1p63;
  double whole = trunc(x);
  if (!(whole >= -limit && whole < limit)) return type == MOIRE__LOOP_I32 ? INT32_MIN : INT64_MIN;
  return (int64_t)whole;
}

static slot cast(const machine *m, moire__loop_type from, moire__loop_type to, slot x) {
  bool from_float = moire__loop_type_is_float(from);
  if (to == MOIRE__LOOP_BOOL) return (slot){.i = from_float ? x.d != 0 : x.i != 0};
  if (moire__loop_type_is_int(to)) {
    return (slot){.i = from_float ? int_from_float(to, x.d) : wrapped(to, (uint64_t)x.i)};
  }
  if (from_float) return (slot){.d = rounded(m, to, x.d)};
  bool narrow = to == MOIRE__LOOP_F32 && !m->in_double; /* rounded once */
  return (slot){.d = narrow ? (double)(float)x.i : (double)x.i};
}

static slot random_word(const machine *m, moire__loop_op op, const moire__loop_value *operands) {
  uint32_t word[4];
  for (int i = 0; i < 4; i++) word[i] = (uint32_t)m->values[operands[i]].i;
  uint64_t element = (uint64_t)m->values[operands[4]].i;
  uint32_t drawn = op == MOIRE__LOOP_random16
                       ? moire__philox_bits(word[0], word[1], word[2], word[3], element)
                       : moire__philox_element(word[0], word[1], word[2], word[3], element);
  return (slot){.i = (int32_t)drawn};
}

/* ---- statements ------------------------------------------------------------------------------------------ */

static bool run_load(machine *m, const moire__loop_statement *s, const moire__loop_value_info *info) {
  int64_t at = m->values[info->operands[0]].i;
  if (!check_offset(m, s, info->buffer, at)) return false;
  m->values[s->value] = read_element(m, info->buffer, at);
  return true;
}

static bool run_word(machine *m, const moire__loop_statement *s, const moire__loop_value_info *info) {
  int64_t at = m->values[info->operands[0]].i, first = 0;
  if (__builtin_mul_overflow(at, 2, &first)) first = INT64_MAX;
  if (!check_offset(m, s, info->buffer, first) || !check_offset(m, s, info->buffer, first + 1)) return false;
  const uint16_t *halves = m->buffers[info->buffer];
  m->values[s->value].i = (int32_t)((uint32_t)halves[first + 1] << 16 | halves[first]);
  return true;
}

static bool run_let(machine *m, const moire__loop_statement *s) {
  const moire__loop_value_info *info = &m->k->values[s->value];
  slot *result = &m->values[s->value];
  const slot a = m->values[info->operands[0]], b = m->values[info->operands[1]],
             c = m->values[info->operands[2]]; /* 0 is a slot too: for operands that are not there */
  moire__loop_type from = m->k->values[info->operands[0]].type;
  switch ((int)info->op) {
    case MOIRE__LOOP_load: return run_load(m, s, info);
    case MOIRE__LOOP_word: return run_word(m, s, info);
    case MOIRE__LOOP_pair: result->i = moire__bf16_pair(a.d, b.d); return true;
    case MOIRE__LOOP_dot:
      result->d = rounded(m, MOIRE__LOOP_F32, c.d + moire__bf16_dot((int32_t)a.i, (int32_t)b.i));
      return true;
    case MOIRE__LOOP_get: *result = m->vars[info->var]; return true;
    case MOIRE__LOOP_select: *result = a.i ? b : c; return true;
    case MOIRE__LOOP_cast: *result = cast(m, from, info->type, a); return true;
    case MOIRE__LOOP_random:
    case MOIRE__LOOP_random16: *result = random_word(m, info->op, info->operands); return true;
    default: break;
  }
  if (info->type == MOIRE__LOOP_BOOL) {
    result->i = bool_result(info->op, moire__loop_type_is_float(from), a, b);
  } else if (moire__loop_type_is_float(info->type)) {
    result->d = rounded(m, info->type, float_result(m, info, a.d, b.d, c.d));
  } else if (!int_result(info->op, info->type, a.i, b.i, &result->i)) {
    return fail(m, s, "%lld by %lld: the operands of %s are not negative, and the second not zero",
                (long long)a.i, (long long)b.i, moire__loop_op_name(info->op));
  }
  return true;
}

static bool run_reduce(machine *m, const moire__loop_statement *s) {
  moire__loop_value_info as = {.op = s->combine, .type = m->k->vars[s->var].type};
  slot *var = &m->vars[s->var];
  slot value = m->values[s->value];
  if (as.type == MOIRE__LOOP_BOOL) {
    var->i = var->i || value.i;
    return true;
  }
  if (!moire__loop_type_is_float(as.type)) return int_result(as.op, as.type, var->i, value.i, &var->i);
  var->d = rounded(m, as.type, float_result(m, &as, var->d, value.d, 0));
  return true;
}

static bool run_store(machine *m, const moire__loop_statement *s) {
  int64_t at = m->values[s->address].i;
  if (!check_offset(m, s, s->buffer, at)) return false;
  write_element(m, s->buffer, at, m->values[s->value]);
  return true;
}

/* base + i * pitch + j, or an offset that no buffer has. */
static int64_t in_square(int64_t base, int64_t pitch, int i, int j) {
  int64_t at = 0;
  if (__builtin_mul_overflow(pitch, i, &at) || __builtin_add_overflow(base, at, &at)) return INT64_MAX;
  return __builtin_add_overflow(at, j, &at) ? INT64_MAX : at;
}

/* The word at an element, of a buffer of bf16 with the next one. */
static bool read_word(machine *m, const moire__loop_statement *s, moire__loop_buffer buffer, int64_t at,
                      slot *word) {
  bool halves = m->k->buffers[buffer].type == MOIRE__LOOP_BF16;
  if (!check_offset(m, s, buffer, at) || (halves && !check_offset(m, s, buffer, at + 1))) return false;
  const uint16_t *half = m->buffers[buffer];
  if (halves)
    word->i = (int32_t)((uint32_t)half[at + 1] << 16 | half[at]);
  else
    *word = read_element(m, buffer, at);
  return true;
}

static bool run_turn(machine *m, const moire__loop_statement *s) {
  int along = m->k->buffers[s->from].type == MOIRE__LOOP_BF16 ? 2 : 1;
  for (int i = 0; i < s->lanes; i++) {
    for (int j = 0; j < s->lanes; j++) {
      slot word;
      int64_t from = in_square(m->values[s->value].i, m->values[s->low].i, i, along * j);
      int64_t to = in_square(m->values[s->address].i, s->step, j, i);
      if (!read_word(m, s, s->from, from, &word) || !check_offset(m, s, s->buffer, to)) return false;
      write_element(m, s->buffer, to, word);
    }
  }
  return true;
}

/* Loads or stores every word of a tile. */
static bool run_tile_access(machine *m, const moire__loop_statement *s, bool loads) {
  moire__loop_type type = m->k->buffers[s->buffer].type;
  for (int64_t i = 0; i < MOIRE__TILE_WORDS; i++) {
    int64_t column = i % MOIRE__LOOP_TILE_SIDE * (type == MOIRE__LOOP_BF16 ? 2 : 1), at = 0;
    if (__builtin_add_overflow(m->values[s->address].i, i / MOIRE__LOOP_TILE_SIDE * s->step + column, &at))
      at = INT64_MAX;
    slot word = {.d = m->tiles->sums[s->tiles[0]][i]};
    if (loads ? !read_word(m, s, s->buffer, at, &word) : !check_offset(m, s, s->buffer, at)) return false;
    if (!loads)
      write_element(m, s->buffer, at, word);
    else if (type == MOIRE__LOOP_F32)
      m->tiles->sums[s->tiles[0]][i] = word.d;
    else
      m->tiles->pairs[s->tiles[0]][i] = (int32_t)word.i;
  }
  return true;
}

static bool run_tile(machine *m, const moire__loop_statement *s) {
  switch (s->tile_op) {
    case MOIRE__TILE_ZERO: moire__loop_tiles_zero(m->tiles, s->tiles[0]); return true;
    case MOIRE__TILE_DOT: moire__loop_tiles_dot(m->tiles, s->tiles, m->in_double); return true;
    case MOIRE__TILE_LOAD: return run_tile_access(m, s, true);
    case MOIRE__TILE_STORE: return run_tile_access(m, s, false);
  }
  return false;
}

static bool run_block(machine *m, const moire__loop_statement *s);

/* The body once for all iterations, where nothing that decides differs between them. */
static bool count_alike(machine *m, const moire__loop_statement *s) {
  int64_t low = m->values[s->low].i, high = m->values[s->high].i, times = m->times;
  if (low >= high) return true;
  m->values[s->value].i = low;
  m->times = times * ((high - low) / s->step + ((high - low) % s->step != 0));
  bool good = run_block(m, s->body);
  m->times = times;
  return good;
}

static void count_vectors(machine *m, const moire__loop_statement *s) {
  int64_t n = m->values[s->high].i - m->values[s->low].i;
  if (n > 0) m->runs->vectors[s->number] += m->times * (n / s->lanes + (n % s->lanes != 0));
}

static bool run_for(machine *m, const moire__loop_statement *s) {
  if (m->slice && s->lanes > 1) count_vectors(m, s);
  if (m->slice && !m->slice->varies[s->number]) return count_alike(m, s);
  int64_t high = m->values[s->high].i;
  for (int64_t i = m->values[s->low].i; i < high;) {
    m->values[s->value].i = i;
    if (!run_block(m, s->body)) return false;
    if (__builtin_add_overflow(i, s->step, &i)) break;
  }
  return true;
}

static bool run_statement(machine *m, const moire__loop_statement *s) {
  switch (s->kind) {
    case MOIRE__LOOP_LET: return run_let(m, s);
    case MOIRE__LOOP_DECLARE: m->vars[s->var] = m->values[m->k->vars[s->var].init]; return true;
    case MOIRE__LOOP_SET: m->vars[s->var] = m->values[s->value]; return true;
    case MOIRE__LOOP_REDUCE: return run_reduce(m, s);
    case MOIRE__LOOP_STORE: return run_store(m, s);
    case MOIRE__LOOP_FETCH: return true;
    case MOIRE__LOOP_FOR: return run_for(m, s);
    case MOIRE__LOOP_IF: return !m->values[s->value].i || run_block(m, s->body);
    case MOIRE__LOOP_TURN: return run_turn(m, s);
    case MOIRE__LOOP_TILE: return run_tile(m, s);
  }
  return false;
}

static bool run_block(machine *m, const moire__loop_statement *s) {
  for (; s; s = s->next) {
    if (m->slice) m->runs->times[s->number] += m->times;
    if (m->slice && !m->slice->needed[s->number]) continue;
    if (!run_statement(m, s)) return false;
  }
  return true;
}

/* ---- kernels --------------------------------------------------------------------------------------------- */

static void set_up(machine *m, void *const *buffers, const int64_t *extents) {
  const moire__loop_kernel *k = m->k;
  for (int i = 1; i < k->n_values; i++) {
    const moire__loop_value_info *info = &k->values[i];
    if (info->op == MOIRE__LOOP_extent) {
      m->values[i].i = moire__dim_size(info->integer, extents);
    } else if (info->op == MOIRE__LOOP_const && moire__loop_type_is_float(info->type)) {
      m->values[i].d = rounded(m, info->type, info->real);
    } else if (info->op == MOIRE__LOOP_const) {
      m->values[i].i = info->integer;
    }
  }
  for (int i = 1; i < k->n_buffers; i++) {
    m->counts[i] = moire__dim_size(k->buffers[i].elements, extents);
    size_t bytes = element_bytes(m, k->buffers[i].type);
    bool local = i > k->n_parameters;
    m->buffers[i] = local ? moire__allocate_array((size_t)m->counts[i], bytes) : buffers[i - 1];
  }
}

static void spoil_locals(machine *m) {
  for (int i = m->k->n_parameters + 1; i < m->k->n_buffers; i++) {
    moire__loop_type type = m->k->buffers[i].type;
    int fill = moire__loop_type_is_int(type) ? 0x9d : 0xff; /* all bits set is a NaN in every float type */
    if (m->counts[i]) memset(m->buffers[i], fill, (size_t)m->counts[i] * element_bytes(m, type));
  }
  if (m->tiles) moire__loop_tiles_spoil(m->tiles);
}

static void tear_down(machine *m) {
  for (int i = m->k->n_parameters + 1; i < m->k->n_buffers; i++) moire__release(m->buffers[i]);
  moire__release(m->buffers);
  moire__release(m->counts);
  moire__release(m->values);
  moire__release(m->vars);
  moire__release(m->tiles);
}

static void make_tables(machine *m) {
  m->buffers = moire__allocate_array((size_t)m->k->n_buffers, sizeof *m->buffers);
  m->counts = moire__allocate_array((size_t)m->k->n_buffers, sizeof *m->counts);
  m->values = moire__allocate_array((size_t)m->k->n_values, sizeof *m->values);
  m->vars = moire__allocate_array((size_t)m->k->n_vars, sizeof *m->vars);
  if (m->k->has_tiles) m->tiles = moire__allocate(sizeof *m->tiles);
}

moire_status moire__loop_interpret(const moire__loop_kernel *k, void *const *buffers, const int64_t *extents,
                                   int64_t begin, int64_t end, bool in_double, moire_error *error) {
  moire_status status = moire__loop_verify(k, error);
  if (status) return status;
  machine m = {.k = k, .in_double = in_double, .error = error};
  make_tables(&m);
  set_up(&m, buffers, extents);
  bool good = true;
  for (m.iteration = begin; good && m.iteration < end; m.iteration++) {
    spoil_locals(&m);
    m.values[k->parallel].i = m.iteration;
    good = run_block(&m, k->body);
  }
  tear_down(&m);
  return good ? MOIRE_OK : MOIRE_ERROR_INTERNAL;
}

moire_status moire__loop_count(const moire__loop_kernel *k, const moire__loop_slice *slice,
                               void *const *buffers, const int64_t *extents, const moire__loop_runs *runs,
                               moire_error *error) {
  machine m = {.k = k, .error = error, .slice = slice, .runs = runs, .times = 1};
  make_tables(&m);
  set_up(&m, buffers, extents);
  int64_t count = moire__dim_size(k->count, extents), end = count / k->block + (count % k->block != 0);
  if (!slice->parallel_varies && end > 0) {
    m.times = end;
    end = 1;
  }
  bool good = true;
  for (; good && m.iteration < end; m.iteration++) {
    m.values[k->parallel].i = m.iteration;
    good = run_block(&m, k->body);
  }
  tear_down(&m);
  return good ? MOIRE_OK : MOIRE_ERROR_INTERNAL;
}
