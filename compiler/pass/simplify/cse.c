/* cse: what is computed twice is computed once.
 *
 * Two nodes are equal if op, operands and attributes are; the operands of a commutative op may be exchanged.
 * The first of them stays, and takes in the lines of the others. Random masks are equal if their streams are,
 * as they were made to be: the backward pass asks for the mask of the forward pass again.
 */
#include "compiler/pass/walk.h"

#include "runtime/base/hash.h"

#include <string.h>

/* ---- hashing: FNV-1a ----------------------------------------------------------------------------------------
 */

static uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t n) {
  const unsigned char *at = bytes;
  for (size_t i = 0; i < n; i++) hash = moire__fnv(hash, at[i]);
  return hash;
}

static uint64_t hash_attr(uint64_t hash, const moire__attr *attr) {
  hash = hash_bytes(hash, attr->name, strlen(attr->name));
  switch (attr->kind) {
    case MOIRE__ATTR_INT: return hash_bytes(hash, &attr->integer, sizeof attr->integer);
    case MOIRE__ATTR_REAL: return hash_bytes(hash, &attr->real, sizeof attr->real);
    case MOIRE__ATTR_INTS:
    case MOIRE__ATTR_DIMS: return hash_bytes(hash, attr->ints, (size_t)attr->n_ints * sizeof *attr->ints);
    case MOIRE__ATTR_TEXT: return hash_bytes(hash, attr->text, strlen(attr->text));
  }
  return hash;
}

/* By bits, so that 0.0 and -0.0 differ. */
static bool attrs_equal(const moire__attr *a, const moire__attr *b) {
  if (a->kind != b->kind || strcmp(a->name, b->name) != 0) return false;
  switch (a->kind) {
    case MOIRE__ATTR_INT: return a->integer == b->integer;
    case MOIRE__ATTR_REAL: return memcmp(&a->real, &b->real, sizeof a->real) == 0;
    case MOIRE__ATTR_INTS:
    case MOIRE__ATTR_DIMS:
      return a->n_ints == b->n_ints &&
             (a->n_ints == 0 || memcmp(a->ints, b->ints, (size_t)a->n_ints * sizeof *a->ints) == 0);
    case MOIRE__ATTR_TEXT: return strcmp(a->text, b->text) == 0;
  }
  return false;
}

/* ---- the table ----------------------------------------------------------------------------------------------
 */

typedef struct entry {
  const moire__node *node; /* of the old graph */
  const int32_t *operands; /* in the new one; in one order if the op commutes */
  uint64_t hash;
  struct entry *next;
} entry;

typedef struct cse {
  moire__rewrite r;
  moire__arena arena;
  entry **buckets;
  size_t n_buckets; /* a power of two */
} cse;

static entry make_entry(cse *c, const moire__node *node) {
  int32_t *operands = moire__arena_array(&c->arena, (size_t)node->n_operands + 1, sizeof *operands);
  for (int i = 0; i < node->n_operands; i++) operands[i] = c->r.map[node->operands[i]];
  bool commutes = moire__op_get(node->op)->traits & MOIRE__TRAIT_COMMUTES;
  if (commutes && node->n_operands == 2 && operands[0] > operands[1]) {
    int32_t first = operands[0];
    operands[0] = operands[1];
    operands[1] = first;
  }
  uint64_t hash = hash_bytes(MOIRE__FNV_START, &node->op, sizeof node->op);
  hash = hash_bytes(hash, operands, (size_t)node->n_operands * sizeof *operands);
  for (int i = 0; i < node->n_attrs; i++) hash = hash_attr(hash, &node->attrs[i]);
  return (entry){.node = node, .operands = operands, .hash = hash};
}

static bool entries_equal(const entry *a, const entry *b) {
  if (a->hash != b->hash || a->node->op != b->node->op || a->node->n_operands != b->node->n_operands ||
      a->node->n_attrs != b->node->n_attrs)
    return false;
  for (int i = 0; i < a->node->n_operands; i++) {
    if (a->operands[i] != b->operands[i]) return false;
  }
  for (int i = 0; i < a->node->n_attrs; i++) {
    if (!attrs_equal(&a->node->attrs[i], &b->node->attrs[i])) return false;
  }
  return true;
}

static void merge_node(cse *c, const moire__node *node) {
  entry made = make_entry(c, node);
  entry **bucket = &c->buckets[made.hash & (c->n_buckets - 1)];
  for (const entry *e = *bucket; e; e = e->next) {
    if (!entries_equal(e, &made)) continue;
    for (int i = 0; i < node->n_results; i++) {
      moire_value first = moire__rewrite_value(&c->r, e->node->first_result + i);
      moire__rewrite_set(&c->r, node->first_result + i, first);
    }
    return;
  }
  moire__rewrite_clone(&c->r, node);
  entry *kept = moire__arena_alloc(&c->arena, sizeof *kept);
  *kept = made;
  kept->next = *bucket;
  *bucket = kept;
}

moire_graph *moire__pass_cse(const moire_graph *g, const moire__goal *goal, moire_error *error) {
  (void)goal;
  cse c = {.r = moire__rewrite_begin(g), .n_buckets = 16};
  while (c.n_buckets < (size_t)g->n_nodes) c.n_buckets *= 2;
  c.buckets = moire__arena_array(&c.arena, c.n_buckets, sizeof(entry *));
  for (int n = 0; n < g->n_nodes; n++) merge_node(&c, &g->nodes[n]);
  moire__arena_free(&c.arena);
  return moire__rewrite_finish(&c.r, error);
}
