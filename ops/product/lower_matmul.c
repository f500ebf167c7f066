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
 * The parallel loop runs over blocks of rows and over the leading axes. A product that sums over a named
 * extent, or a long one, into a small result (the gradient of a weight) is cut along k into a fixed number of
 * pieces instead, which a second kernel adds in order.
 *
 * What is done to each element of the result (the epilogue) is done a stretch of columns of a block at a time:
 * the tiles leave their sums in a local block, from which the element-wise nodes go on.
 *
 * Operands that are to be bf16 are packed, and have tiles of their own (ops/product/narrow.h), and so have
 * complex products that are made of three real ones (ops/product/triple.h); a matrix b of fixed size is packed
 * by a kernel before.
 */
#include "compiler/ir/loop/lower.h"
#include "ops/parts.h"
#include "ops/product/blocked.h"
#include "ops/product/narrow.h"
#include "ops/product/tiles.h"
#include "ops/product/triple.h"

enum {
  ROW_BLOCK = 64,
  CUT_RESULT = 1 << 16,
  CUT_SUM = 1 << 13,
  PARTS_BYTES = 1 << 20,
  LEAST_PIECES = 8,
  LEAST_PART = 64
};

typedef struct product {
  moire__lowering *l;
  int planes; /* of each operand */
  moire__view a[2], b[2];
  moire__tiles tiles;
  moire_dim m, k, n, batch;
  moire__loop_value offset_c;  /* of the leading axes */
  moire__tile_matrix result;   /* where rows are stored as they are */
  moire__loop_buffer parts[2]; /* cut along k: where the planes of the pieces go */
  bool bf16, is_triple, is_blocked;
  moire__blocked blocked;
  moire__narrow narrow;
  moire__triple triple;
  int packed[2];                  /* extra buffers that b is packed into beforehand, -1: none */
  int n_packed;                   /* how many these are, if there are any */
  moire__loop_buffer sums[2];     /* of a stretch, where there is an epilogue */
  moire__loop_value first_column; /* of the stretch */
} product;

static product describe(moire__lowering *l) {
  const moire__node *node = l->node;
  product p = {.l = l, .planes = node->n_operands / 2, .batch = 1, .packed = {-1, -1}};
  p.bf16 = moire__node_int_or(node, "bf16", 0) != 0;
  for (int i = 0; i < p.planes; i++) {
    p.a[i] = moire__lower_view(l, node->operands[i]);
    p.b[i] = moire__lower_view(l, node->operands[p.planes + i]);
    p.tiles.skip[i] = p.planes == 2 && l->uses[node->first_result + i] == 0;
  }
  p.tiles.a.conjugate = moire__node_int_or(node, "conj_a", 0) != 0;
  p.tiles.b.conjugate = moire__node_int_or(node, "conj_b", 0) != 0;
  bool whole = !p.tiles.skip[0] && !p.tiles.skip[1];
  p.is_triple = moire__node_int_or(node, "triple", 0) != 0 && whole;
  p.is_blocked = moire__node_int_or(node, "blocks", 0) != 0;
  bool rounds = p.bf16 && (p.is_triple || p.is_blocked); /* as float32's, of rounded numbers */
  p.tiles.a.narrow = p.tiles.b.narrow = rounds;
  if (rounds) p.bf16 = false;
  p.n_packed = p.bf16 ? p.planes : 1;
  int rank = p.a[0].rank;
  p.m = p.a[0].dims[rank - 2];
  p.k = p.a[0].dims[rank - 1];
  p.n = p.b[0].dims[rank - 1];
  for (int d = 0; d < rank - 2; d++) moire__dim_multiply(p.batch, p.a[0].dims[d], &p.batch);
  p.tiles.n_extent = p.n;
  p.tiles.k_extent = p.k;
  p.tiles.a.planes = p.tiles.b.planes = p.planes;
  p.tiles.type = moire__loop_type_from_dtype(l->g->values[node->first_result].dtype);
  return p;
}

static moire__loop_buffer result_buffer(const product *p, int plane) {
  return p->parts[plane] ? p->parts[plane] : moire__lower_buffer(p->l, p->l->node->first_result + plane);
}

/* What store_row and load_row do, for tiles. */
static void place_result(product *p) {
  moire__loop_builder *b = &p->l->builder;
  p->result = (moire__tile_matrix){.planes = p->planes};
  for (int i = 0; i < p->planes; i++) {
    if (!p->tiles.skip[i]) p->result.buffer[i] = result_buffer(p, i);
    p->result.base[i] = p->offset_c;
    p->result.row[i] = moire__loop_extent(b, p->n);
    p->result.column[i] = moire__loop_index(b, 1);
  }
  if (p->tiles.type == MOIRE__LOOP_F32) p->narrow.result = &p->result;
}

static moire__loop_value result_address(product *p, moire__loop_value m, moire__loop_value n) {
  moire__lowering *l = p->l;
  moire__loop_value row = moire__lower_mul(l, m, moire__loop_extent(&l->builder, p->n));
  return moire__lower_add(l, moire__lower_add(l, p->offset_c, row), n);
}

static void store_row(void *context, moire__loop_value m, moire__loop_value n, const moire__loop_value sum[2]) {
  product *p = context;
  moire__loop_value address = result_address(p, m, n);
  for (int i = 0; i < p->planes; i++) {
    if (sum[i]) moire__loop_store(&p->l->builder, result_buffer(p, i), address, sum[i]);
  }
}

static moire__loop_value load_row(void *context, int plane, moire__loop_value m, moire__loop_value n) {
  product *p = context;
  return moire__loop_load(&p->l->builder, result_buffer(p, plane), result_address(p, m, n));
}

/* ---- epilogue ---------------------------------------------------------------------------------------------
 */

/* Columns of a stretch: what a row of a tile holds. */
static int64_t stretch_of(const product *p) {
  int64_t lanes = p->l->target.lanes;
  if (p->is_blocked) return p->blocked.lanes;
  return moire__dim_factor(p->n) <= lanes ? lanes : 2 * lanes;
}

static moire__loop_value in_stretch(product *p, moire__loop_value m, moire__loop_value n) {
  moire__loop_builder *b = &p->l->builder;
  moire__loop_value row = moire__loop_binary(b, MOIRE__LOOP_sub, m, p->tiles.m_low);
  moire__loop_value column = moire__loop_binary(b, MOIRE__LOOP_sub, n, p->first_column);
  return moire__lower_add(p->l, moire__lower_mul(p->l, row, moire__loop_index(b, stretch_of(p))), column);
}

static void keep_row(void *context, moire__loop_value m, moire__loop_value n, const moire__loop_value sum[2]) {
  product *p = context;
  moire__loop_value at = in_stretch(p, m, n);
  for (int i = 0; i < p->planes; i++) {
    if (sum[i]) moire__loop_store(&p->l->builder, p->sums[i], at, sum[i]);
  }
}

/* Element (m, n) of everything that the kernel computes. */
static void finish_element(product *p, moire__loop_value m, moire__loop_value n) {
  moire__lowering *l = p->l;
  int32_t result = l->node->first_result;
  moire__index index = moire__lower_index(l->g, result);
  index.at[0] = m;
  index.at[1] = n;
  index.linear = result_address(p, m, n);
  index.is_current = true;
  for (int i = 0; i < p->planes; i++) {
    if (!p->tiles.skip[i])
      l->registers[result + i] = moire__loop_load(&l->builder, p->sums[i], in_stretch(p, m, n));
  }
  moire__lower_epilogue(l, p->planes, &index);
}

/* The stretch of p's tiles, of a block of rows that may have been copied. */
static void panel_of_block(product *p, const moire__tiles *block) {
  moire__tiles panel = p->tiles;
  panel.a = block->a;
  panel.b = block->b;
  moire__blocked_panel(p->l, &panel, &p->blocked);
}

static void stretches_of_rows(product *p) {
  moire__lowering *l = p->l;
  moire__loop_builder *b = &l->builder;
  int64_t wide = stretch_of(p);
  if (p->is_triple) moire__triple_begin(l, &p->tiles, &p->triple);
  moire__tiles block = p->tiles;
  if (p->is_blocked) block = moire__blocked_begin(l, &p->tiles, &p->blocked);
  moire__loop_value columns = moire__loop_extent(b, p->n);
  p->first_column = moire__loop_for(b, moire__loop_index(b, 0), columns, wide, 1);
  moire__loop_value end = moire__lower_add(l, p->first_column, moire__loop_index(b, wide));
  if (moire__dim_factor(p->n) % wide != 0) end = moire__loop_binary(b, MOIRE__LOOP_min, end, columns);
  p->tiles.n_low = p->first_column;
  p->tiles.n_high = end;
  p->tiles.finish = keep_row;
  if (p->is_triple)
    moire__triple_panel(l, &p->tiles, &p->triple);
  else if (p->is_blocked)
    panel_of_block(p, &block);
  else
    moire__tiles_emit(l, &p->tiles);
  moire__loop_value m = moire__loop_for(b, p->tiles.m_low, p->tiles.m_high, 1, 1);
  finish_element(p, m, moire__loop_for(b, p->first_column, end, 1, (int)wide));
  moire__loop_end(b);
  moire__loop_end(b);
  moire__loop_end(b);
}

/* What the epilogue reads and writes, and its locals. */
static void add_epilogue(product *p, int64_t rows) {
  moire__lowering *l = p->l;
  moire__lower_add_epilogue(l);
  for (int i = 0; i < p->planes && l->n_epilogue; i++) {
    if (!p->tiles.skip[i])
      p->sums[i] = moire__loop_add_local(l->kernel, "sums", MOIRE__LOOP_F32, rows * stretch_of(p));
  }
}

/* Rows [low, high), all columns. */
static void block_of_rows(product *p, moire__loop_value low, moire__loop_value high) {
  p->tiles.m_low = low;
  p->tiles.m_high = high;
  p->tiles.n_low = moire__loop_index(&p->l->builder, 0);
  p->tiles.n_high = moire__loop_extent(&p->l->builder, p->n);
  p->tiles.finish = store_row;
  p->tiles.resume = load_row;
  p->tiles.context = p;
  if (p->l->n_epilogue)
    stretches_of_rows(p);
  else if (p->bf16) {
    place_result(p);
    moire__narrow_emit(p->l, &p->tiles, &p->narrow);
  } else if (p->is_triple)
    moire__triple_emit(p->l, &p->tiles, &p->triple);
  else if (p->is_blocked)
    moire__blocked_emit(p->l, &p->tiles, &p->blocked);
  else
    moire__tiles_emit(p->l, &p->tiles);
}

static void whole_k(product *p) {
  p->tiles.k_low = moire__loop_index(&p->l->builder, 0);
  p->tiles.k_high = moire__loop_extent(&p->l->builder, p->k);
}

static void place_matrix(product *p, moire__tile_matrix *to, const moire__view *planes,
                         const moire__loop_value *at) {
  moire__lowering *l = p->l;
  to->planes = p->planes;
  for (int i = 0; i < p->planes; i++) {
    to->buffer[i] = moire__lower_buffer(l, planes[i].base);
    to->base[i] = moire__lower_address(l, &planes[i], at);
    to->row[i] = moire__loop_extent(&l->builder, planes[i].strides[planes[i].rank - 2]);
    to->column[i] = moire__loop_extent(&l->builder, planes[i].strides[planes[i].rank - 1]);
  }
}

/* Offsets of the leading axes at number `batch` of them. */
static void place_batch(product *p, moire__loop_value batch) {
  moire__lowering *l = p->l;
  moire__index leading = {.rank = p->a[0].rank - 2, .linear = batch};
  for (int d = 0; d < leading.rank; d++) leading.dims[d] = p->a[0].dims[d];
  moire__loop_value at[MOIRE_MAX_RANK] = {0};
  for (int d = 0; d < leading.rank; d++) at[d] = batch ? moire__lower_index_at(l, &leading, d) : 0;
  place_matrix(p, &p->tiles.a, p->a, at);
  if (p->packed[0] < 0) place_matrix(p, &p->tiles.b, p->b, at);
  moire_dim elements = 0;
  moire__dim_multiply(p->m, p->n, &elements);
  p->offset_c = moire__loop_index(&l->builder, 0);
  if (batch) p->offset_c = moire__lower_mul(l, batch, moire__loop_extent(&l->builder, elements));
}

/* ---- packed operands ---------------------------------------------------------------------------------------
 */

static void choose_blocks(product *p, bool cut) {
  const moire__view *a = &p->a[0], *b = &p->b[0];
  int row = a->rank - 2, column = a->rank - 1;
  const moire__blocked_shape shape = {.m = p->m,
                                      .k = p->k,
                                      .n = p->n,
                                      .a_row = a->strides[row],
                                      .a_column = a->strides[column],
                                      .b_row = b->strides[row],
                                      .b_column = b->strides[column],
                                      .batched = p->batch != 1,
                                      .cut = cut,
                                      .rounds = p->tiles.a.narrow};
  p->blocked = moire__blocked_choose(p->l, &shape);
  p->tiles.rows = p->blocked.tile;
  p->tiles.lanes = p->blocked.lanes;
}

static void choose_form(product *p, int64_t most_rows, bool cut) {
  const moire__view *a = &p->a[0];
  int rank = a->rank;
  bool along_k = a->strides[rank - 1] == 1 || a->dims[rank - 1] == 1;
  if (p->bf16) p->narrow = moire__narrow_choose(p->l, &p->tiles, p->m, p->k, most_rows, along_k);
  if (p->bf16 && p->narrow.tiles) p->n_packed = 1;
  if (p->is_blocked) choose_blocks(p, cut);
  if (p->is_triple)
    p->triple = moire__triple_choose(p->l, &p->tiles, p->k, most_rows, along_k, a->strides[rank - 2]);
}

static void add_packed(product *p, moire__buffer_role role) {
  for (int i = 0; i < p->n_packed; i++) {
    moire__loop_buffer buffer = moire__lower_add_extra(p->l, p->packed[i], role);
    if (p->bf16)
      p->narrow.b[i] = buffer;
    else if (p->is_blocked)
      p->blocked.b = buffer;
    else
      p->triple.b = buffer;
  }
}

static bool is_packed_first(product *p) {
  if (p->is_blocked) return p->blocked.b_form == MOIRE__BLOCKED_FIRST;
  if (p->batch != 1) return false;
  if (p->bf16) return moire__narrow_pack_first(&p->narrow, &p->tiles, p->k);
  return p->is_triple && moire__triple_pack_first(&p->triple, p->k);
}

static int new_packed(product *p) {
  if (p->is_blocked)
    return moire__lower_new_extra_of(p->l, p->blocked.halves ? MOIRE_BF16 : MOIRE_F32,
                                     moire__blocked_elements(&p->blocked));
  if (p->is_triple) return moire__lower_new_extra(p->l, moire__triple_elements(&p->triple));
  return moire__lower_new_extra_of(p->l, moire__narrow_dtype(&p->narrow), moire__narrow_elements(&p->narrow));
}

static int64_t packed_panels(const product *p) {
  if (p->is_triple) return moire__triple_panels(&p->triple);
  return p->is_blocked ? moire__blocked_panels(&p->blocked) : moire__narrow_panels(&p->narrow);
}

/* The kernel that packs b, if there is to be one; afterwards the product's own is begun. */
static void pack_first(product *p) {
  moire__lowering *l = p->l;
  if (!is_packed_first(p)) return;
  const char *name = l->kernel->name;
  moire__lower_begin(l, moire__arena_printf(l->arena, "%s, packed operand", name));
  for (int i = 0; i < p->planes; i++) moire__lower_add_reads(l, l->node->operands[p->planes + i]);
  for (int i = 0; i < p->n_packed; i++) p->packed[i] = new_packed(p);
  add_packed(p, MOIRE__BUFFER_OUT);
  moire__lower_body(l, packed_panels(p), 1);
  place_matrix(p, &p->tiles.b, p->b, (const moire__loop_value[MOIRE_MAX_RANK]){0});
  whole_k(p);
  p->tiles.n_low = moire__loop_index(&l->builder, 0);
  p->tiles.n_high = moire__loop_extent(&l->builder, p->n);
  if (p->is_triple)
    moire__triple_emit_packing(l, &p->tiles, &p->triple);
  else if (p->is_blocked)
    moire__blocked_emit_packing(l, &p->tiles, &p->blocked);
  else
    moire__narrow_emit_packing(l, &p->tiles, &p->narrow);
  moire__lower_finish(l);
  moire__lower_begin(l, name);
}

/* For a profile: which of the ways of docs/products.md. */
static const char *say_way(const product *p) {
  const char *rounded = p->tiles.a.narrow ? "rounded to bf16, " : "";
  if (p->is_blocked)
    return moire__arena_printf(p->l->arena, "%s%s", rounded, moire__blocked_say(p->l, &p->blocked));
  if (p->bf16) return p->narrow.tiles ? "bf16, tiles of AMX" : "bf16, packed";
  if (p->tiles.a.narrow) return "rounded to bf16, three real products";
  return p->is_triple ? "three real products" : "tiles on operands as they lie";
}

/* What the product's kernel reads. */
static void add_operands(product *p) {
  p->l->kernel->way = say_way(p);
  bool packed = p->packed[0] >= 0;
  int n = packed ? p->planes : p->l->node->n_operands;
  for (int i = 0; i < n; i++) moire__lower_add_reads(p->l, p->l->node->operands[i]);
  if (packed) add_packed(p, MOIRE__BUFFER_IN);
}

/* ---- pieces ------------------------------------------------------------------------------------------------
 */

static moire__loop_value smaller(moire__lowering *l, moire__loop_value a, moire__loop_value b) {
  return moire__loop_binary(&l->builder, MOIRE__LOOP_min, a, b);
}

/* Rows of a block: whole tiles. */
static int64_t block_size(const product *p) {
  int64_t size = moire__lower_block(p->l, ROW_BLOCK), rows = moire__tiles_rows(p->l, &p->tiles);
  if (p->bf16) return p->narrow.rows;
  if (p->is_triple) return p->triple.rows;
  if (p->is_blocked) return p->blocked.rows;
  return p->l->target.small_blocks ? size : (size + rows - 1) / rows * rows;
}

/* One piece is a block of rows of one member of the leading axes. */
static void lower_batched(product *p) {
  moire__lowering *l = p->l;
  int64_t size = block_size(p), blocks = (moire__dim_factor(p->m) + size - 1) / size;
  moire_dim count = 0;
  moire__dim_multiply(p->batch, blocks, &count);
  moire__lower_body(l, count, 1);
  moire__loop_builder *b = &l->builder;
  moire__loop_value piece = l->kernel->parallel;
  moire__loop_value per_batch = moire__loop_index(b, blocks);
  place_batch(p, moire__loop_binary(b, MOIRE__LOOP_div, piece, per_batch));
  moire__loop_value block = moire__loop_binary(b, MOIRE__LOOP_mod, piece, per_batch);
  moire__loop_value low = moire__lower_mul(l, block, moire__loop_index(b, size));
  moire__loop_value high =
      smaller(l, moire__lower_add(l, low, moire__loop_index(b, size)), moire__loop_extent(b, p->m));
  whole_k(p);
  block_of_rows(p, low, high);
}

/* One piece is one member of the leading axes, whose rows are not known to be many. */
static void lower_by_member(product *p) {
  moire__lowering *l = p->l;
  int64_t size = block_size(p);
  moire__lower_body(l, p->batch, 1);
  moire__loop_builder *b = &l->builder;
  moire__loop_value m = moire__loop_extent(b, p->m);
  place_batch(p, l->kernel->parallel);
  whole_k(p);
  moire__loop_value low = moire__loop_for(b, moire__loop_index(b, 0), m, size, 1);
  block_of_rows(p, low, smaller(l, moire__lower_add(l, low, moire__loop_index(b, size)), m));
  moire__loop_end(b);
}

/* One piece is a block of rows of every member of the leading axes. */
static void lower_by_rows(product *p) {
  moire__lowering *l = p->l;
  int64_t size = block_size(p);
  moire__lower_body(l, p->m, size);
  moire__loop_builder *b = &l->builder;
  moire__loop_value low = moire__lower_mul(l, l->kernel->parallel, moire__loop_index(b, size));
  moire__loop_value high =
      smaller(l, moire__lower_add(l, low, moire__loop_index(b, size)), moire__loop_extent(b, p->m));
  whole_k(p);
  bool batched = p->batch != 1;
  moire__loop_value batch = 0;
  if (batched) batch = moire__loop_for(b, moire__loop_index(b, 0), moire__loop_extent(b, p->batch), 1, 1);
  place_batch(p, batch);
  block_of_rows(p, low, high);
  if (batched) moire__loop_end(b);
}

/* How k is cut. The parts of a short k are not too short: each has all sums, which are written and read. With
 * tiles a part begins with one, and there are fewer where their sums would take more than PARTS_BYTES. */
static moire__lower_cut cut_of(const product *p) {
  moire__lower_cut cut = {p->k, moire__lower_pieces(p->l), moire__lower_block(p->l, LEAST_PART), 1};
  int64_t elements = moire__dim_factor(p->m) * moire__dim_factor(p->n);
  if (!p->bf16 || !p->narrow.tiles || elements < 1) return cut;
  cut.unit = MOIRE__NARROW_TILE_DEPTH;
  int64_t fit = PARTS_BYTES / (elements * p->planes * (int64_t)sizeof(float));
  if (fit < LEAST_PIECES) fit = LEAST_PIECES;
  if (fit < cut.n) cut.n = fit;
  return cut;
}

/* The rows that a piece has sums of: of one that is empty none, but for the first, which stores zeros. */
static moire__loop_value rows_of_cut(product *p, const moire__lower_cut *cut) {
  moire__lowering *l = p->l;
  moire__loop_builder *b = &l->builder;
  moire__loop_value sums =
      moire__loop_binary(b, MOIRE__LOOP_lt, l->kernel->parallel, moire__lower_cut_count(l, cut));
  return moire__loop_ternary(b, MOIRE__LOOP_select, sums, moire__loop_extent(b, p->m), moire__loop_index(b, 0));
}

static void lower_cut(product *p) {
  moire__lowering *l = p->l;
  int extras[2] = {-1, -1};
  int64_t elements = moire__dim_factor(p->m) * moire__dim_factor(p->n);
  const moire__lower_cut cut = cut_of(p);
  for (int i = 0; i < p->planes; i++) {
    if (p->tiles.skip[i]) continue;
    extras[i] = moire__lower_new_extra(l, elements * cut.n);
    p->parts[i] = moire__lower_add_extra(l, extras[i], MOIRE__BUFFER_OUT);
  }
  moire__lower_body(l, cut.n, 1);
  moire__loop_builder *b = &l->builder;
  place_batch(p, 0);
  p->offset_c = moire__lower_mul(l, l->kernel->parallel, moire__loop_index(b, elements));
  moire__lower_cut_bounds(l, &cut, l->kernel->parallel, &p->tiles.k_low, &p->tiles.k_high);
  block_of_rows(p, moire__loop_index(b, 0), rows_of_cut(p, &cut));
  moire__lower_finish(l);
  for (int i = 0; i < p->planes; i++) {
    if (extras[i] >= 0) moire__lower_sum_cut(l, extras[i], l->node->first_result + i, &cut);
  }
}

static bool is_cut(const product *p) {
  const moire__lowering *l = p->l;
  bool small = moire__dim_is_static(p->m) && moire__dim_is_static(p->n) &&
               moire__dim_factor(p->m) * moire__dim_factor(p->n) <= CUT_RESULT;
  if (moire__lower_pieces(l) == 1) return false;
  bool large = !moire__dim_is_static(p->k) || (moire__dim_factor(p->k) >= CUT_SUM && !l->n_epilogue);
  return small && large && p->batch == 1 && l->g->values[l->node->first_result].dtype == MOIRE_F32;
}

/* Rows that a piece packs at once: with tiles, of a b that was packed beforehand, as many as meet a tile of it.
 */
static int64_t rows_at_once(const product *p) {
  bool tiles = p->bf16 && p->l->target.tiles && p->batch == 1 && moire__dim_is_static(p->n);
  return moire__lower_block(p->l, tiles ? 2 * MOIRE__LOOP_TILE_SIDE : ROW_BLOCK);
}

static void lower(moire__lowering *l) {
  product p = describe(l);
  if (is_cut(&p)) {
    choose_form(&p, moire__dim_factor(p.m), true);
    add_operands(&p);
    lower_cut(&p);
    return;
  }
  choose_form(&p, rows_at_once(&p), false);
  pack_first(&p);
  add_operands(&p);
  for (int i = 0; i < p.planes; i++) {
    int32_t result = l->node->first_result + i;
    if (!p.tiles.skip[i] && (!l->n_epilogue || l->stored[result])) moire__lower_add_write(l, result);
  }
  add_epilogue(&p, block_size(&p));
  if (p.batch != 1 && moire__dim_is_static(p.m)) {
    lower_batched(&p);
  } else if (!moire__dim_is_static(p.batch)) {
    lower_by_member(&p);
  } else {
    lower_by_rows(&p);
  }
  moire__lower_finish(l);
}

void moire__matmul_lower(moire__lowering *l) { lower(l); }

void moire__cmatmul_lower(moire__lowering *l) { lower(l); }
