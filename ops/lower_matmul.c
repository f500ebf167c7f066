/* Products, real and complex: register tiles of rows x lanes with the accumulators of a tile in registers.
 *
 *   re[m,n] = sum_k ar[m,k] br[k,n] - sa sb ai[m,k] bi[k,n]        sa, sb = -1 where a, b are conjugated
 *   im[m,n] = sum_k sb ar[m,k] bi[k,n] + sa ai[m,k] br[k,n]
 *
 * A complex product is one loop over k that loads each plane of both operands once and accumulates four
 * products. For a stretch of columns (the vector loop) the rows are taken `rows` at a time; for each k the
 * stretch of b is loaded once and meets `rows` scalars of a. Operands are read through strides; b's last axis
 * runs along memory.
 *
 * The parallel loop runs over blocks of rows and over the leading axes. A product that sums over a named extent
 * into a small result (the gradient of a weight) is cut along k into a fixed number of pieces instead, which a
 * second kernel adds in order.
 */
#include "compiler/ir/lower.h"
#include "ops/parts.h"

enum { ROW_BLOCK = 64, CUT_RESULT = 1 << 16, MAX_ROWS = 16 };

typedef struct product {
  moire__lowering *l;
  int planes; /* of each operand */
  moire__view a[2], b[2];
  bool result_wanted[2]; /* planes of the result that somebody reads */
  double sign_a, sign_b;
  moire_dim m, k, n, batch;
  int lanes, rows;
  moire__loop_value low_k, high_k;
  moire__loop_value offset_a[2], offset_b[2], offset_c; /* of the leading axes */
  moire__loop_buffer parts[2];                          /* cut along k: where the planes of the pieces go */
} product;

static product describe(moire__lowering *l) {
  const moire__node *node = l->node;
  product p = {.l = l, .planes = node->n_operands / 2, .batch = 1};
  for (int i = 0; i < p.planes; i++) {
    p.a[i] = moire__lower_view(l, node->operands[i]);
    p.b[i] = moire__lower_view(l, node->operands[p.planes + i]);
    p.result_wanted[i] = p.planes == 1 || l->uses[node->first_result + i] > 0;
  }
  p.sign_a = moire__node_int_or(node, "conj_a", 0) ? -1 : 1;
  p.sign_b = moire__node_int_or(node, "conj_b", 0) ? -1 : 1;
  int rank = p.a[0].rank;
  p.m = p.a[0].dims[rank - 2];
  p.k = p.a[0].dims[rank - 1];
  p.n = p.b[0].dims[rank - 1];
  for (int d = 0; d < rank - 2; d++) moire__dim_multiply(p.batch, p.a[0].dims[d], &p.batch);
  int vector = l->target.lanes;
  p.lanes = vector * 2;
  if (moire__dim_is_static(p.n) && p.n <= vector) p.lanes = vector;
  int per_row = p.planes * (p.lanes / vector);
  int left = l->target.registers - p.planes * (p.lanes / vector) - p.planes;
  p.rows = left / per_row;
  if (p.rows > MAX_ROWS) p.rows = MAX_ROWS;
  if (p.rows < 1) p.rows = 1;
  return p;
}

static moire__loop_value negate_if(moire__loop_builder *b, double sign, moire__loop_value x) {
  return sign < 0 ? moire__loop_unary(b, MOIRE__LOOP_neg, x) : x;
}

static void accumulate(moire__loop_builder *b, moire__loop_var sum, moire__loop_value x, moire__loop_value y) {
  moire__loop_set(b, sum, moire__loop_ternary(b, MOIRE__LOOP_fma, x, y, moire__loop_get(b, sum)));
}

static moire__loop_value load_a(product *p, int plane, moire__loop_value m, moire__loop_value k) {
  moire__loop_value at[MOIRE_MAX_RANK] = {0};
  at[p->a[plane].rank - 2] = m;
  at[p->a[plane].rank - 1] = k;
  moire__loop_value address =
      moire__lower_add(p->l, p->offset_a[plane], moire__lower_address(p->l, &p->a[plane], at));
  return moire__loop_load(&p->l->builder, moire__lower_buffer(p->l, p->a[plane].base), address);
}

static moire__loop_value load_b(product *p, int plane, moire__loop_value k, moire__loop_value n) {
  moire__loop_value at[MOIRE_MAX_RANK] = {0};
  at[p->b[plane].rank - 2] = k;
  at[p->b[plane].rank - 1] = n;
  moire__loop_value address =
      moire__lower_add(p->l, p->offset_b[plane], moire__lower_address(p->l, &p->b[plane], at));
  return moire__loop_load(&p->l->builder, moire__lower_buffer(p->l, p->b[plane].base), address);
}

static void accumulate_row(product *p, const moire__loop_var *sum, moire__loop_value m, moire__loop_value k,
                           const moire__loop_value *y) {
  moire__loop_builder *b = &p->l->builder;
  moire__loop_value x[2] = {load_a(p, 0, m, k), 0};
  if (p->planes == 1) {
    accumulate(b, sum[0], x[0], y[0]);
    return;
  }
  x[1] = load_a(p, 1, m, k);
  if (p->result_wanted[0]) {
    accumulate(b, sum[0], x[0], y[0]);
    accumulate(b, sum[0], negate_if(b, -p->sign_a * p->sign_b, x[1]), y[1]);
  }
  if (p->result_wanted[1]) {
    accumulate(b, sum[1], negate_if(b, p->sign_b, x[0]), y[1]);
    accumulate(b, sum[1], negate_if(b, p->sign_a, x[1]), y[0]);
  }
}

static void store_row(product *p, const moire__loop_var *sum, moire__loop_value m, moire__loop_value n) {
  moire__lowering *l = p->l;
  moire__loop_builder *b = &l->builder;
  moire__loop_value row = moire__lower_mul(l, m, moire__loop_extent(b, p->n));
  moire__loop_value address = moire__lower_add(l, moire__lower_add(l, p->offset_c, row), n);
  for (int i = 0; i < p->planes; i++) {
    if (!p->result_wanted[i]) continue;
    moire__loop_buffer to = p->parts[i] ? p->parts[i] : moire__lower_buffer(l, l->node->first_result + i);
    moire__loop_store(b, to, address, moire__loop_get(b, sum[i]));
  }
}

static void tile(product *p, moire__loop_value m, int rows, moire__loop_value n) {
  moire__lowering *l = p->l;
  moire__loop_builder *b = &l->builder;
  moire__loop_var sum[MAX_ROWS][2];
  moire__loop_type type = moire__loop_type_from_dtype(l->g->values[l->node->first_result].dtype);
  for (int r = 0; r < rows; r++) {
    for (int i = 0; i < p->planes; i++) sum[r][i] = moire__loop_declare(b, moire__loop_const(b, type, 0));
  }
  moire__loop_value k = moire__loop_for(b, p->low_k, p->high_k, 1, 1);
  moire__loop_value y[2] = {load_b(p, 0, k, n), 0};
  if (p->planes == 2) y[1] = load_b(p, 1, k, n);
  for (int r = 0; r < rows; r++) {
    accumulate_row(p, sum[r], moire__lower_add(l, m, moire__loop_index(b, r)), k, y);
  }
  moire__loop_end(b);
  for (int r = 0; r < rows; r++) store_row(p, sum[r], moire__lower_add(l, m, moire__loop_index(b, r)), n);
}

/* Rows [low, high), all columns. */
static void block_of_rows(product *p, moire__loop_value low, moire__loop_value high) {
  moire__lowering *l = p->l;
  moire__loop_builder *b = &l->builder;
  moire__loop_value n = moire__loop_for(b, moire__loop_index(b, 0), moire__loop_extent(b, p->n), 1, p->lanes);
  moire__loop_value rows = moire__loop_index(b, p->rows);
  moire__loop_value count = moire__loop_binary(b, MOIRE__LOOP_sub, high, low);
  moire__loop_value tiles = moire__loop_binary(b, MOIRE__LOOP_div, count, rows);
  moire__loop_value middle = moire__lower_add(l, low, moire__lower_mul(l, tiles, rows));
  moire__loop_value m = moire__loop_for(b, low, middle, p->rows, 1);
  tile(p, m, p->rows, n);
  moire__loop_end(b);
  if (p->rows > 1) {
    m = moire__loop_for(b, middle, high, 1, 1);
    tile(p, m, 1, n);
    moire__loop_end(b);
  }
  moire__loop_end(b);
}

/* Offsets of the leading axes at number `batch` of them. */
static void place_batch(product *p, moire__loop_value batch) {
  moire__lowering *l = p->l;
  moire__index leading = {.rank = p->a[0].rank - 2, .linear = batch};
  for (int d = 0; d < leading.rank; d++) leading.dims[d] = p->a[0].dims[d];
  moire__loop_value at[MOIRE_MAX_RANK] = {0};
  for (int d = 0; d < leading.rank; d++) at[d] = batch ? moire__lower_index_at(l, &leading, d) : 0;
  for (int i = 0; i < p->planes; i++) {
    moire__view a = p->a[i], b = p->b[i];
    p->offset_a[i] = moire__lower_address(l, &a, at);
    p->offset_b[i] = moire__lower_address(l, &b, at);
    p->a[i].offset = p->b[i].offset = 0; /* counted above, once */
  }
  moire_dim elements = 0;
  moire__dim_multiply(p->m, p->n, &elements);
  p->offset_c = moire__loop_index(&l->builder, 0);
  if (batch) p->offset_c = moire__lower_mul(l, batch, moire__loop_extent(&l->builder, elements));
}

static moire__loop_value smaller(moire__lowering *l, moire__loop_value a, moire__loop_value b) {
  return moire__loop_binary(&l->builder, MOIRE__LOOP_min, a, b);
}

/* One piece is a block of rows of one member of the leading axes. */
static void lower_batched(product *p) {
  moire__lowering *l = p->l;
  int64_t rows = moire__dim_factor(p->m);
  int64_t blocks = (rows + ROW_BLOCK - 1) / ROW_BLOCK;
  moire_dim count = 0;
  moire__dim_multiply(p->batch, blocks, &count);
  moire__lower_body(l, count, 1);
  moire__loop_builder *b = &l->builder;
  moire__loop_value piece = l->kernel->parallel;
  moire__loop_value per_batch = moire__loop_index(b, blocks);
  place_batch(p, moire__loop_binary(b, MOIRE__LOOP_div, piece, per_batch));
  moire__loop_value block = moire__loop_binary(b, MOIRE__LOOP_mod, piece, per_batch);
  moire__loop_value low = moire__lower_mul(l, block, moire__loop_index(b, ROW_BLOCK));
  moire__loop_value high =
      smaller(l, moire__lower_add(l, low, moire__loop_index(b, ROW_BLOCK)), moire__loop_extent(b, p->m));
  p->low_k = moire__loop_index(b, 0);
  p->high_k = moire__loop_extent(b, p->k);
  block_of_rows(p, low, high);
}

/* One piece is a block of rows of every member of the leading axes. */
static void lower_by_rows(product *p) {
  moire__lowering *l = p->l;
  moire__lower_body(l, p->m, ROW_BLOCK);
  moire__loop_builder *b = &l->builder;
  moire__loop_value low = moire__lower_mul(l, l->kernel->parallel, moire__loop_index(b, ROW_BLOCK));
  moire__loop_value high =
      smaller(l, moire__lower_add(l, low, moire__loop_index(b, ROW_BLOCK)), moire__loop_extent(b, p->m));
  p->low_k = moire__loop_index(b, 0);
  p->high_k = moire__loop_extent(b, p->k);
  bool batched = p->batch != 1;
  moire__loop_value batch = 0;
  if (batched) batch = moire__loop_for(b, moire__loop_index(b, 0), moire__loop_extent(b, p->batch), 1, 1);
  place_batch(p, batch);
  block_of_rows(p, low, high);
  if (batched) moire__loop_end(b);
}

static void lower_cut(product *p) {
  moire__lowering *l = p->l;
  int extras[2] = {-1, -1};
  int64_t elements = moire__dim_factor(p->m) * moire__dim_factor(p->n);
  for (int i = 0; i < p->planes; i++) {
    if (!p->result_wanted[i]) continue;
    extras[i] = moire__lower_new_extra(l, elements * MOIRE__REDUCTION_PIECES);
    p->parts[i] = moire__lower_add_extra(l, extras[i], MOIRE__BUFFER_OUT);
  }
  moire__lower_body(l, MOIRE__REDUCTION_PIECES, 1);
  moire__loop_builder *b = &l->builder;
  place_batch(p, 0);
  p->offset_c = moire__lower_mul(l, l->kernel->parallel, moire__loop_index(b, elements));
  moire__lower_piece(l, p->k, l->kernel->parallel, &p->low_k, &p->high_k);
  block_of_rows(p, moire__loop_index(b, 0), moire__loop_extent(b, p->m));
  moire__lower_finish(l);
  for (int i = 0; i < p->planes; i++) {
    if (extras[i] >= 0) moire__lower_sum_pieces(l, extras[i], l->node->first_result + i);
  }
}

static bool is_cut(const product *p) {
  const moire__lowering *l = p->l;
  bool small = moire__dim_is_static(p->m) && moire__dim_is_static(p->n) &&
               moire__dim_factor(p->m) * moire__dim_factor(p->n) <= CUT_RESULT;
  return small && p->batch == 1 && !moire__dim_is_static(p->k) &&
         l->g->values[l->node->first_result].dtype == MOIRE_F32;
}

static void lower(moire__lowering *l) {
  for (int i = 0; i < l->node->n_operands; i++) moire__lower_add_reads(l, l->node->operands[i]);
  product p = describe(l);
  if (is_cut(&p)) {
    lower_cut(&p);
    return;
  }
  for (int i = 0; i < p.planes; i++) {
    if (p.result_wanted[i]) moire__lower_add_write(l, l->node->first_result + i);
  }
  if (p.batch != 1 && moire__dim_is_static(p.m)) {
    lower_batched(&p);
  } else {
    lower_by_rows(&p);
  }
  moire__lower_finish(l);
}

void moire__matmul_lower(moire__lowering *l) { lower(l); }

void moire__cmatmul_lower(moire__lowering *l) { lower(l); }
