/* Names of states among the names of a checkpoint. */
#include "runtime/files/checkpoint_names.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static int by_name(const void *a, const void *b) {
  const moire__checkpoint_name *x = a, *y = b;
  int order = strcmp(x->name, y->name);
  return order ? order : x->index - y->index;
}

/* Drops "module." and "model." at the front and "_orig_mod." wherever a part of the name begins. */
static const char *without_prefixes(moire__arena *arena, const char *name) {
  static const char wrapper[] = "module.", holder[] = "model.", compiled[] = "_orig_mod.";
  enum { WRAPPER = sizeof wrapper - 1, HOLDER = sizeof holder - 1, COMPILED = sizeof compiled - 1 };
  char *copy = moire__arena_copy_string(arena, name), *to = copy;
  bool front = true;
  for (const char *from = copy; *from;) {
    bool begins = front || from[-1] == '.';
    if (front && !strncmp(from, wrapper, WRAPPER)) {
      from += WRAPPER;
    } else if (front && !strncmp(from, holder, HOLDER)) {
      from += HOLDER;
    } else if (begins && !strncmp(from, compiled, COMPILED)) {
      from += COMPILED;
    } else {
      front = false;
      *to++ = *from++;
    }
  }
  *to = 0;
  return copy;
}

void moire__checkpoint_names_read(moire__checkpoint_names *names, const moire__safetensors *file) {
  size_t n = (size_t)moire__safetensors_count(file);
  *names = (moire__checkpoint_names){.file = file, .n = (int)n};
  names->full = moire__arena_array(&names->arena, n + 1, sizeof *names->full);
  names->bare = moire__arena_array(&names->arena, n + 1, sizeof *names->bare);
  names->bare_of = moire__arena_array(&names->arena, n + 1, sizeof *names->bare_of);
  for (int i = 0; i < names->n; i++) {
    const char *name = moire__safetensors_at(file, i)->name;
    names->bare_of[i] = without_prefixes(&names->arena, name);
    names->full[i] = (moire__checkpoint_name){name, i};
    names->bare[i] = (moire__checkpoint_name){names->bare_of[i], i};
  }
  qsort(names->full, n, sizeof *names->full, by_name);
  qsort(names->bare, n, sizeof *names->bare, by_name);
}

void moire__checkpoint_names_free(moire__checkpoint_names *names) {
  moire__arena_free(&names->arena);
  *names = (moire__checkpoint_names){0};
}

/* The first place of `name`, or -1. */
static int look_up(const moire__checkpoint_name *sorted, int n, const char *name) {
  int low = 0, high = n;
  while (low < high) {
    int middle = low + (high - low) / 2;
    if (strcmp(sorted[middle].name, name) < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return low < n && !strcmp(sorted[low].name, name) ? low : -1;
}

static moire_status find_tensor(const moire__checkpoint_names *names, const char *name, int *index,
                                moire_error *error) {
  int at = look_up(names->full, names->n, name);
  *index = at < 0 ? -1 : names->full[at].index;
  if (at >= 0) return MOIRE_OK;
  at = look_up(names->bare, names->n, name);
  if (at < 0) return MOIRE_OK;
  *index = names->bare[at].index;
  if (at + 1 == names->n || strcmp(names->bare[at + 1].name, name) != 0) return MOIRE_OK;
  return moire_fail(error, MOIRE_ERROR_FORMAT, "%s: both '%s' and '%s' would be %s",
                    moire__safetensors_path(names->file), moire__safetensors_at(names->file, *index)->name,
                    moire__safetensors_at(names->file, names->bare[at + 1].index)->name, name);
}

static bool ends(const char *name, size_t n, const char *suffix) {
  size_t length = strlen(suffix);
  return n > length && !strcmp(name + n - length, suffix);
}

/* The state as a plane of a complex tensor. */
static moire_status find_plane(const moire__checkpoint_names *names, const char *state, moire__weight *out,
                               moire_error *error) {
  static const char *const pairs[][2] = {
      {".real", ".imag"}, {".re", ".im"}, {"_real", "_imag"}, {"_re", "_im"}, {"_r", "_i"}};
  size_t n = strlen(state);
  for (size_t i = 0; i < 2 * sizeof pairs / sizeof *pairs; i++) {
    const char *suffix = pairs[i / 2][i % 2];
    if (!ends(state, n, suffix)) continue;
    int index = -1;
    moire__arena arena = {0};
    const char *whole = moire__arena_printf(&arena, "%.*s", (int)(n - strlen(suffix)), state);
    moire_status status = find_tensor(names, whole, &index, error);
    moire__arena_free(&arena);
    if (status) return status;
    if (index < 0 || moire__safetensors_at(names->file, index)->dtype != MOIRE__ST_C64) continue;
    *out = (moire__weight){index, i % 2 ? MOIRE__PLANE_IMAGINARY : MOIRE__PLANE_REAL};
    return MOIRE_OK;
  }
  return MOIRE_OK;
}

moire_status moire__checkpoint_names_find(const moire__checkpoint_names *names, const char *state,
                                          moire__weight *out, moire_error *error) {
  *out = (moire__weight){-1, MOIRE__PLANE_WHOLE};
  moire_status status = find_tensor(names, state, &out->index, error);
  return status || out->index >= 0 ? status : find_plane(names, state, out, error);
}
