/* A step of training by groups of samples. See groups.h. */
#include "runtime/train/groups.h"

#include "runtime/base/layout.h"
#include "runtime/base/memory.h"
#include "runtime/train/tree.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

enum { ALIGNED = 16 }; /* floats of a line of the caches */

/* An output of SUMS of fixed size: a piece of what a group gives. */
typedef struct piece {
  const char *name;
  int64_t offset, elements;
  bool mean; /* counts by the group's weight */
} piece;

/* An output with a row for each sample. */
typedef struct rows {
  const char *name;
  int64_t width;  /* elements of a sample, of 4 bytes */
  char *data;     /* of the whole batch */
  int64_t length; /* samples that it has room for */
} rows;

struct moire__groups {
  moire__division division;
  moire_runner *sums, *step;
  moire_threads *threads;
  piece *pieces;
  rows *rows;
  int n_pieces, n_rows, stop; /* stop: the piece that is not an output */
  int64_t elements;           /* of all pieces, with the gaps that align them */
  float *whole;               /* the step's sums */
  moire__tree tree, range;    /* over groups; over what ranks give of this rank's range */
  float *spare[MOIRE__TREE_NODES];
  int n_spare;
  float *received; /* parts of the range */
  int64_t n;       /* samples of the last step */
  moire__arena arena;
};

/* ---- What SUMS gives ----------------------------------------------------------------------------------------
 */

static const char sum_prefix[] = "group.sum.", stop_name[] = "stop";

static void add_piece(moire__groups *g, const char *name, int64_t elements, bool mean) {
  g->pieces[g->n_pieces++] = (piece){name, g->elements, elements, mean};
  g->elements += (elements + ALIGNED - 1) / ALIGNED * ALIGNED;
}

/* Elements of a sample; 0: there is no row for each. */
static int64_t width_of(const moire_plan *plan, const moire_plan_buffer *b) {
  if (!b->shape.rank || moire__dtype_bytes(b->dtype) != 4) return 0;
  moire_dim extents = b->elements >> 48;
  bool alone = extents > 0 && extents < 16 && b->shape.dims[0] >> 48 == extents;
  return alone && !strcmp(plan->extents[extents], "B") ? b->elements & (((int64_t)1 << 48) - 1) : 0;
}

static void list_outputs(moire__groups *g, const moire_plan *plan) {
  g->pieces = moire__arena_array(&g->arena, (size_t)plan->n_buffers + 2, sizeof *g->pieces);
  g->rows = moire__arena_array(&g->arena, (size_t)plan->n_buffers + 1, sizeof *g->rows);
  for (int i = 0; i < plan->n_buffers; i++) {
    const moire_plan_buffer *b = &plan->buffers[i];
    int64_t elements = 0;
    if (b->role != MOIRE_PLAN_OUTPUT) continue;
    bool fixed = b->elements >> 48 == 0 && moire__extent_size(b->elements, NULL, &elements);
    if (fixed && b->dtype == MOIRE_F32)
      add_piece(g, b->name, elements, strncmp(b->name, sum_prefix, sizeof sum_prefix - 1) != 0);
    else if (width_of(plan, b))
      g->rows[g->n_rows++] = (rows){.name = b->name, .width = width_of(plan, b)};
  }
  g->stop = g->n_pieces;
  add_piece(g, stop_name, 1, false);
}

static const piece *find_piece(const moire__groups *g, const char *name) {
  for (int i = 0; i < g->stop; i++) {
    if (!strcmp(g->pieces[i].name, name)) return &g->pieces[i];
  }
  return NULL;
}

/* STEP reads the whole sums where they lie. */
static moire_status bind_step(moire__groups *g, moire_error *error) {
  moire_status status = MOIRE_OK;
  for (int i = 0; i < g->stop && !status; i++) {
    const piece *p = &g->pieces[i];
    if (moire_runner_has_input(g->step, p->name))
      status = moire_runner_set_input(g->step, p->name, g->whole + p->offset, p->elements, error);
  }
  return status;
}

static float *allocate_floats(int64_t n) {
  return moire__allocate_aligned((size_t)(n ? n : 1) * sizeof(float), MOIRE__ALIGNMENT);
}

moire__groups *moire__groups_create(const moire__division *division, const moire_plan *sums,
                                    moire_runner *runner, moire_store *store, moire_threads *threads,
                                    moire_error *error) {
  moire__groups *g = moire__allocate(sizeof *g);
  g->division = *division;
  g->sums = runner;
  g->threads = threads;
  list_outputs(g, sums);
  const char *before = moire__memory_purpose("the sums of groups of samples (batch_groups)");
  g->whole = allocate_floats(g->elements);
  moire__memory_purpose(before);
  g->step = moire_runner_create(division->step, store, threads, error);
  if (g->step && !bind_step(g, error)) return g;
  moire__groups_destroy(g);
  return NULL;
}

void moire__groups_destroy(moire__groups *g) {
  if (!g) return;
  for (int i = 0; i < g->n_spare; i++) moire__release_aligned(g->spare[i]);
  for (int i = 0; i < g->tree.n_free; i++) moire__release_aligned(g->tree.free[i]);
  for (int i = 0; i < g->n_rows; i++) moire__release_aligned(g->rows[i].data);
  moire__release_aligned(g->whole);
  moire__release_aligned(g->received);
  moire_runner_destroy(g->step);
  moire__arena_free(&g->arena);
  moire__release(g);
}

moire_runner *moire__groups_step_runner(moire__groups *g) { return g->step; }

/* ---- Groups -------------------------------------------------------------------------------------------------
 */

static int64_t begin_of(int64_t n, int64_t i, int64_t parts) { return n * i / parts; }

/* The groups of rank r. */
static int64_t first_group(const moire__groups *g, int r) {
  return begin_of(g->division.groups, r, moire__team_size(g->division.team));
}

/* Values of a node: those that are free, or new ones. */
static float *take_values(moire__groups *g) {
  while (g->tree.n_free) g->spare[g->n_spare++] = g->tree.free[--g->tree.n_free];
  if (g->n_spare) return g->spare[--g->n_spare];
  return allocate_floats(g->elements);
}

static moire_status give(moire__groups *g, const moire__samples *from, const int64_t *samples, int64_t first,
                         int64_t end, moire_error *error) {
  moire_status status = moire_runner_set_extent(g->sums, "B", end - first, error);
  if (!status) status = moire_runner_set_extent(g->sums, "B_first", first, error);
  if (from->begin_part) from->begin_part(from->context, first);
  return status ? status : from->give(from->context, g->sums, samples + first, end - first, error);
}

static double weight_of(const moire__samples *from, const int64_t *samples, int64_t n) {
  return from->weigh ? from->weigh(from->context, samples, n) : (double)n;
}

/* What SUMS has given for samples that weigh so. */
static void collect(const moire__groups *g, double weight, bool stop, float *values) {
  for (int i = 0; i < g->stop; i++) {
    const piece *p = &g->pieces[i];
    const float *from = moire_runner_output(g->sums, p->name, NULL);
    float *to = values + p->offset, factor = (float)weight;
    if (p->mean)
      for (int64_t j = 0; j < p->elements; j++) to[j] = factor * from[j];
    else
      memcpy(to, from, (size_t)p->elements * sizeof *to);
  }
  values[g->pieces[g->stop].offset] = stop;
}

static void reserve_rows(moire__groups *g, int64_t n) {
  for (int i = 0; i < g->n_rows; i++) {
    rows *r = &g->rows[i];
    if (r->length >= n) continue;
    moire__release_aligned(r->data);
    r->data = moire__allocate_aligned((size_t)(n * r->width) * 4, MOIRE__ALIGNMENT);
    r->length = n;
  }
}

static void collect_rows(const moire__groups *g, int64_t first, int64_t n) {
  for (int i = 0; i < g->n_rows; i++) {
    const rows *r = &g->rows[i];
    memcpy(r->data + first * r->width * 4, moire_runner_output(g->sums, r->name, NULL),
           (size_t)(n * r->width) * 4);
  }
}

static moire_status run_group(moire__groups *g, const moire__samples *from, const int64_t *samples,
                              int64_t first, int64_t end, double whole_weight, bool stop, float **values,
                              moire_error *error) {
  double weight = weight_of(from, samples + first, end - first) / whole_weight;
  *values = NULL;
  if (first == end || !(weight > 0)) return MOIRE_OK;
  moire_status status = give(g, from, samples, first, end, error);
  if (!status) status = moire_runner_run(g->sums, error);
  if (status) return status;
  *values = take_values(g);
  collect(g, weight, stop, *values);
  collect_rows(g, first, end - first);
  return MOIRE_OK;
}

/* ---- Sums of all ranks --------------------------------------------------------------------------------------
 */

/* Whether any sample of the node's groups counts, so that its rank has values for it. */
static bool is_there(const moire__groups *g, const moire__samples *from, const int64_t *samples, int64_t n,
                     const moire__tree_node *node) {
  int64_t first = node->index << node->level, end = (node->index + 1) << node->level,
          groups = g->division.groups;
  if (end > groups) end = groups;
  if (first >= end) return false;
  int64_t begin = begin_of(n, first, groups), last = begin_of(n, end, groups);
  return begin < last && weight_of(from, samples + begin, last - begin) > 0;
}

/* The elements that rank r adds up. */
static int64_t range_begin(const moire__groups *g, int r) {
  return begin_of(g->elements / ALIGNED, r, moire__team_size(g->division.team)) * ALIGNED;
}

typedef struct mail {
  moire__parcel *parcels;
  int n;
} mail;

static void post(mail *m, int rank, bool receive, void *data, int64_t bytes) {
  if (bytes > 0) m->parcels[m->n++] = (moire__parcel){rank, receive, data, (size_t)bytes};
}

/* Nodes of the other ranks. */
static int64_t count_parts(const moire__groups *g) {
  moire__tree_node nodes[MOIRE__TREE_NODES];
  int64_t n = 0;
  for (int r = 0; r < moire__team_size(g->division.team); r++) {
    if (r != moire__team_rank(g->division.team))
      n += moire__tree_cover(first_group(g, r), first_group(g, r + 1), nodes);
  }
  return n;
}

/* Nodes of every rank in the order of their groups: this rank sends of its own what belongs to others' ranges,
 * and receives what others have of its range. `parts` has the values of its range, in the same order. */
static moire_status trade(moire__groups *g, const moire__samples *from, const int64_t *samples, int64_t n,
                          moire__tree_node *parts, int *n_parts, moire_error *error) {
  int size = moire__team_size(g->division.team), own = moire__team_rank(g->division.team), received = 0;
  int64_t begin = range_begin(g, own), length = range_begin(g, own + 1) - begin;
  moire__arena scratch = {0};
  size_t most = (size_t)size * MOIRE__TREE_NODES;
  mail m = {.parcels = moire__arena_array(&scratch, 2 * most, sizeof *m.parcels)};
  if (!g->received) g->received = allocate_floats(count_parts(g) * length);
  *n_parts = 0;
  for (int r = 0; r < size; r++) {
    moire__tree_node nodes[MOIRE__TREE_NODES];
    int count = moire__tree_cover(first_group(g, r), first_group(g, r + 1), nodes);
    for (int i = 0; i < count; i++) {
      float *mine = g->tree.nodes[i].values;
      if (r == own && mine) nodes[i].values = mine + begin;
      if (r != own && is_there(g, from, samples, n, &nodes[i])) {
        nodes[i].values = g->received + length * received++;
        post(&m, r, true, nodes[i].values, length * (int64_t)sizeof(float));
      }
      parts[(*n_parts)++] = nodes[i];
    }
    for (int i = 0; r != own && i < g->tree.n; i++) {
      float *values = g->tree.nodes[i].values;
      int64_t at = range_begin(g, r);
      if (values) post(&m, r, false, values + at, (range_begin(g, r + 1) - at) * (int64_t)sizeof(float));
    }
  }
  moire_status status = moire__team_exchange(g->division.team, m.parcels, m.n, error);
  moire__arena_free(&scratch);
  return status;
}

/* Every rank's range, and rows, to all. */
static moire_status gather(moire__groups *g, int64_t n, moire_error *error) {
  int size = moire__team_size(g->division.team), own = moire__team_rank(g->division.team);
  int64_t groups = g->division.groups;
  moire__arena scratch = {0};
  size_t most = 2 * (size_t)size * ((size_t)g->n_rows + 1);
  mail m = {.parcels = moire__arena_array(&scratch, most, sizeof *m.parcels)};
  for (int step = 0; step < 2 * size; step++) {
    int r = step / 2, holder = step % 2 ? r : own;
    if (r == own) continue;
    int64_t begin = range_begin(g, holder), length = range_begin(g, holder + 1) - begin;
    post(&m, r, step % 2, g->whole + begin, length * (int64_t)sizeof(float));
    int64_t first = begin_of(n, first_group(g, holder), groups);
    int64_t end = begin_of(n, first_group(g, holder + 1), groups);
    for (int i = 0; i < g->n_rows; i++) {
      int64_t bytes = g->rows[i].width * 4;
      post(&m, r, step % 2, g->rows[i].data + first * bytes, (end - first) * bytes);
    }
  }
  moire_status status = moire__team_exchange(g->division.team, m.parcels, m.n, error);
  moire__arena_free(&scratch);
  return status;
}

/* Leaves beyond the last group fill the root. */
static void fill_up(const moire__groups *g, moire__tree *tree) {
  int64_t leaf = g->division.groups, all = (int64_t)1 << moire__tree_height(leaf);
  for (; leaf < all; leaf++) moire__tree_push(tree, (moire__tree_node){0, leaf, NULL});
}

/* The tree has this rank's nodes; afterwards `whole` has the sums of all. */
static moire_status add_ranks(moire__groups *g, const moire__samples *from, const int64_t *samples, int64_t n,
                              moire_error *error) {
  int size = moire__team_size(g->division.team), own = moire__team_rank(g->division.team), n_parts = 0;
  if (size == 1) {
    fill_up(g, &g->tree);
    memcpy(g->whole, g->tree.nodes[0].values, (size_t)g->elements * sizeof(float));
    return MOIRE_OK;
  }
  moire__arena scratch = {0};
  moire__tree_node *parts = moire__arena_array(&scratch, (size_t)size * MOIRE__TREE_NODES, sizeof *parts);
  moire_status status = trade(g, from, samples, n, parts, &n_parts, error);
  int64_t begin = range_begin(g, own), length = range_begin(g, own + 1) - begin;
  g->range = (moire__tree){.elements = length, .threads = g->threads};
  for (int i = 0; i < n_parts && !status; i++) {
    moire__tree_push(&g->range, parts[i]);
    g->range.n_free = 0;
  }
  if (!status) fill_up(g, &g->range);
  moire__arena_free(&scratch);
  if (status) return status;
  memcpy(g->whole + begin, g->range.nodes[0].values, (size_t)length * sizeof(float));
  return gather(g, n, error);
}

/* ---- Steps --------------------------------------------------------------------------------------------------
 */

static void clear_tree(moire__groups *g) {
  for (int i = 0; i < g->tree.n; i++) {
    if (g->tree.nodes[i].values) g->tree.free[g->tree.n_free++] = g->tree.nodes[i].values;
  }
  g->tree.n = 0;
}

/* The tree of this rank's groups. */
static moire_status run_groups(moire__groups *g, const moire__samples *from, const int64_t *samples, int64_t n,
                               bool stop, moire_error *error) {
  int rank = moire__team_rank(g->division.team);
  int64_t groups = g->division.groups, end = first_group(g, rank + 1);
  double weight = weight_of(from, samples, n);
  moire_status status = MOIRE_OK;
  g->tree.elements = g->elements;
  g->tree.threads = g->threads;
  for (int64_t i = first_group(g, rank); i < end && !status; i++) {
    float *values = NULL;
    status = run_group(g, from, samples, begin_of(n, i, groups), begin_of(n, i + 1, groups), weight, stop,
                       &values, error);
    if (!status) moire__tree_push(&g->tree, (moire__tree_node){0, i, values});
  }
  return status;
}

moire_status moire__groups_run(moire__groups *g, const moire__samples *from, const int64_t *samples, int64_t n,
                               bool stop, moire_error *error) {
  g->n = n;
  reserve_rows(g, n);
  if (!(weight_of(from, samples, n) > 0))
    return moire_fail(error, MOIRE_ERROR_ARGUMENT, "no sample of the batch counts");
  moire_status status = run_groups(g, from, samples, n, stop, error);
  if (!status) status = add_ranks(g, from, samples, n, error);
  clear_tree(g);
  if (!status) status = moire_runner_set_extent(g->step, "B", n, error);
  return status ? status : moire_runner_run(g->step, error);
}

bool moire__groups_stopped(const moire__groups *g) { return g->whole[g->pieces[g->stop].offset] > 0; }

moire_status moire__groups_give_one(moire__groups *g, const moire__samples *from, const int64_t *samples,
                                    int64_t n, moire_error *error) {
  int64_t groups = g->division.groups, i = first_group(g, moire__team_rank(g->division.team));
  int64_t first = begin_of(n, i, groups), end = begin_of(n, i + 1, groups);
  return give(g, from, samples, first < n ? first : n - 1, end > first ? end : first + 1, error);
}

size_t moire__groups_bytes(const moire__groups *g) {
  int levels = moire__tree_height(g->division.groups) + 3;
  return (size_t)levels * (size_t)g->elements * sizeof(float);
}

const void *moire__groups_output(const moire__groups *g, const char *name, int64_t *elements) {
  const piece *p = find_piece(g, name);
  if (elements) *elements = p ? p->elements : 0;
  if (p) return g->whole + p->offset;
  for (int i = 0; i < g->n_rows; i++) {
    if (strcmp(g->rows[i].name, name) != 0) continue;
    if (elements) *elements = g->n * g->rows[i].width;
    return g->rows[i].data;
  }
  return moire_runner_output(g->step, name, elements);
}

/* ---- Whether samples depend on each other -------------------------------------------------------------------
 */

/* |a - b| / |b| over the pieces whose names begin so. */
static double difference(const moire__groups *g, const char *prefix, const float *a, const float *b) {
  double off = 0, norm = 0;
  for (int i = 0; i < g->stop; i++) {
    const piece *p = &g->pieces[i];
    if (strncmp(p->name, prefix, strlen(prefix)) != 0) continue;
    for (int64_t j = p->offset; j < p->offset + p->elements; j++) {
      double d = (double)a[j] - (double)b[j];
      off += d * d;
      norm += (double)b[j] * (double)b[j];
    }
  }
  return off > 0 ? sqrt(off / norm) : off;
}

moire_status moire__groups_compare(moire__groups *g, const moire__samples *from, const int64_t *samples,
                                   int64_t n, double *loss, double *gradient, moire_error *error) {
  int64_t both = begin_of(n, 2, g->division.groups), half;
  if (both < 2 || both > n) both = n < 2 || both > n ? n : 2;
  half = both / 2;
  *loss = *gradient = 0;
  double weight = weight_of(from, samples, both);
  if (!half || !(weight > 0)) return MOIRE_OK;
  float *one = NULL, *parts[2] = {NULL, NULL};
  reserve_rows(g, n);
  g->tree.elements = g->elements;
  g->tree.threads = g->threads;
  moire_status status = run_group(g, from, samples, 0, half, weight, false, &parts[0], error);
  if (!status) status = run_group(g, from, samples, half, both, weight, false, &parts[1], error);
  if (!status) status = run_group(g, from, samples, 0, both, weight, false, &one, error);
  for (int i = 0; i < 2 && !status; i++) moire__tree_push(&g->tree, (moire__tree_node){0, i, parts[i]});
  if (!status) {
    *loss = difference(g, "loss", one, g->tree.nodes[0].values);
    *gradient = difference(g, "grad.", one, g->tree.nodes[0].values);
  }
  clear_tree(g);
  if (one) g->tree.free[g->tree.n_free++] = one;
  return status;
}
