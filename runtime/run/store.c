/* The store of named states: who declares first decides how a state starts out, later plans share it.
 *
 * Every state has a block of its own, so pointers stay valid while others are added. A first value is a
 * function of (seed, stream, index) alone: neither the order of declaration nor other states have a part in it.
 */
#include "runtime/run/store.h"

#include "runtime/base/memory.h"
#include "runtime/files/scratch.h"
#include "runtime/run/initial.h"
#include "runtime/base/layout.h"

#include <string.h>

typedef struct state {
  moire_plan_state info; /* strings are in the arena */
  int64_t elements;
  void *data;
  bool in_file;
} state;

struct moire_store {
  moire__arena arena;
  state *states;
  int n, capacity;
  const char *folder; /* of states that lie in files */
  const char **in_files;
  int n_in_files;
};

moire_store *moire_store_create(void) { return moire__allocate(sizeof(moire_store)); }

void moire_store_destroy(moire_store *store) {
  if (!store) return;
  for (int i = 0; i < store->n; i++) {
    state *s = &store->states[i];
    if (s->in_file)
      moire__scratch_free(s->data, (size_t)s->elements * moire__dtype_bytes(s->info.dtype));
    else
      moire__release_aligned(s->data);
  }
  moire__arena_free(&store->arena);
  moire__release(store);
}

void moire__store_put_in_files(moire_store *store, const char *folder, const char *const *names, int n) {
  store->folder = moire__arena_copy_string(&store->arena, folder);
  store->in_files = moire__arena_array(&store->arena, (size_t)n + 1, sizeof *store->in_files);
  store->n_in_files = n;
  for (int i = 0; i < n; i++) store->in_files[i] = moire__arena_copy_string(&store->arena, names[i]);
}

int moire_store_count(const moire_store *store) { return store->n; }

moire_plan_state moire_store_at(const moire_store *store, int i) { return store->states[i].info; }

static state *find(const moire_store *store, const char *name) {
  for (int i = 0; i < store->n; i++) {
    if (!strcmp(store->states[i].info.name, name)) return &store->states[i];
  }
  return NULL;
}

void *moire_store_data(const moire_store *store, const char *name, int64_t *elements) {
  state *s = find(store, name);
  if (elements) *elements = s ? s->elements : 0;
  return s ? s->data : NULL;
}

/* ---- Declaring --------------------------------------------------------------------------------------------
 */

static bool equal_shapes(const moire_shape *a, const moire_shape *b) {
  if (a->rank != b->rank) return false;
  for (int i = 0; i < a->rank; i++) {
    if (a->dims[i] != b->dims[i]) return false;
  }
  return true;
}

static bool static_elements(const moire_shape *shape, int64_t *elements) {
  *elements = 1;
  if (shape->rank < 0 || shape->rank > MOIRE_MAX_RANK) return false;
  for (int i = 0; i < shape->rank; i++) {
    int64_t size = 0;
    if (shape->dims[i] >> 48 || !moire__extent_size(shape->dims[i], NULL, &size)) return false;
    if (__builtin_mul_overflow(*elements, size, elements) || *elements >= (int64_t)1 << 47) return false;
  }
  return true;
}

static bool lies_in_file(const moire_store *store, const char *name) {
  for (int i = 0; i < store->n_in_files; i++) {
    if (!strcmp(store->in_files[i], name)) return true;
  }
  return false;
}

/* All bits 0, as memory is that was just had. */
static bool is_zero(const moire_init *init) {
  const double zero = 0;
  return init->kind == MOIRE_INIT_CONSTANT && !memcmp(&init->a, &zero, sizeof zero);
}

static moire_status add(moire_store *store, const moire_plan_state *wanted, uint64_t seed, moire_error *error) {
  state s = {.info = *wanted};
  size_t size = moire__dtype_bytes(wanted->dtype);
  if (!size || !static_elements(&wanted->shape, &s.elements)) {
    return moire_fail(error, MOIRE_ERROR_UNSUPPORTED, "state %s: wanted a real type and fixed extents",
                      wanted->name);
  }
  s.info.name = moire__arena_copy_string(&store->arena, wanted->name);
  if (wanted->init.stream) s.info.init.stream = moire__arena_copy_string(&store->arena, wanted->init.stream);
  if (wanted->init.n_values > 0) {
    size_t n = (size_t)wanted->init.n_values;
    double *values = moire__arena_array(&store->arena, n, sizeof *values);
    s.info.init.values = memcpy(values, wanted->init.values, n * sizeof *values);
  }
  if (lies_in_file(store, wanted->name)) {
    s.in_file = true;
    s.data = moire__scratch_make(store->folder, (size_t)s.elements * size, error);
    if (!s.data) return MOIRE_ERROR_IO;
  } else {
    const char *before = moire__memory_purpose(s.info.name);
    s.data = moire__allocate_aligned((size_t)s.elements * size, MOIRE__ALIGNMENT);
    moire__memory_purpose(before);
  }
  if (!is_zero(&wanted->init))
    moire__initial_fill(&s.info.init, s.info.name, s.info.dtype, s.elements, seed, s.data);
  MOIRE__PUSH(&store->arena, store->states, store->n, store->capacity, s);
  return MOIRE_OK;
}

moire_status moire_store_declare(moire_store *store, const moire_plan *plan, uint64_t seed,
                                 moire_error *error) {
  for (int i = 0; i < plan->n_states; i++) {
    const moire_plan_state *wanted = &plan->states[i];
    const state *there = find(store, wanted->name);
    moire_status status = MOIRE_OK;
    if (!there) {
      status = add(store, wanted, seed, error);
    } else if (there->info.dtype != wanted->dtype || !equal_shapes(&there->info.shape, &wanted->shape)) {
      status =
          moire_fail(error, MOIRE_ERROR_SHAPE, "state %s of %s: is in the store with another type or shape",
                     wanted->name, plan->name);
    }
    if (status) return status;
  }
  return MOIRE_OK;
}

void moire__store_restart(moire_store *store, uint64_t seed) {
  for (int i = 0; i < store->n; i++) {
    state *s = &store->states[i];
    moire__initial_fill(&s->info.init, s->info.name, s->info.dtype, s->elements, seed, s->data);
  }
}
