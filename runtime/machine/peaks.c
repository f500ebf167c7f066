/* The file of peaks: {"version": 1, "machines": {"CPU; 2 threads": {...}}}. An entry that is not whole counts
 * as none, and what was measured goes beside the other entries. */
#include "runtime/machine/peaks.h"
#include "runtime/machine/peaks_loops.h"

#include "runtime/base/memory.h"
#include "runtime/base/text.h"
#include "runtime/files/file.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VERSION = 1, MOST_BYTES = 1 << 20 };

char *moire__peaks_path(moire_error *error) {
  const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
  bool has_cache = cache && cache[0] == '/'; /* a relative one is to be ignored, says the XDG specification */
  if (!has_cache && (!home || !home[0])) {
    moire_fail(error, MOIRE_ERROR_IO, "peaks: neither XDG_CACHE_HOME nor HOME says where the cache folder is");
    return NULL;
  }
  moire__text path = {0};
  moire__text_add(&path, "%s%s/moire/peaks.json", has_cache ? cache : home, has_cache ? "" : "/.cache");
  return path.data;
}

static void make_key(const char *cpu, int threads, char *key, size_t size) {
  snprintf(key, size, "%s; %d thread%s", cpu, threads, threads == 1 ? "" : "s");
}

/* ---- reading -----------------------------------------------------------------------------------------------
 */

/* The file's contents; an object without machines if there is no such file, or another kind of one. */
static json_t *load_file(const char *path) {
  char *text = NULL;
  size_t n = 0;
  json_t *root = NULL;
  if (moire__file_read(path, MOST_BYTES, &text, &n, NULL) == MOIRE_OK) {
    root = json_loadb(text, n, JSON_REJECT_DUPLICATES, NULL);
    moire__release(text);
  }
  bool ours = json_integer_value(json_object_get(root, "version")) == VERSION &&
              json_is_object(json_object_get(root, "machines"));
  if (ours) return root;
  json_decref(root);
  return json_pack("{s:i, s:{}}", "version", (int)VERSION, "machines");
}

static bool read_peak(const json_t *from, const char *name, moire__peak *peak) {
  const json_t *pair = json_object_get(from, name);
  peak->one = json_number_value(json_array_get(pair, 0));
  peak->all = json_number_value(json_array_get(pair, 1));
  return peak->one > 0 && peak->all > 0;
}

static bool copy_name(const json_t *from, const char *name, char *out, size_t size) {
  const char *text = json_string_value(json_object_get(from, name));
  return text && (size_t)snprintf(out, size, "%s", text) < size;
}

static bool read_entry(const json_t *entry, moire__peaks *p) {
  const json_t *levels = json_object_get(entry, "levels");
  size_t n = json_array_size(levels);
  p->busy = json_is_true(json_object_get(entry, "busy"));
  if (n < 1 || n > MOIRE__MOST_LEVELS) return false;
  if (!copy_name(entry, "fma_unit", p->fma_unit, sizeof p->fma_unit) || !read_peak(entry, "fma", &p->fma))
    return false;
  if (!copy_name(entry, "matrix_unit", p->matrix_unit, sizeof p->matrix_unit)) return false;
  if (p->matrix_unit[0] && !read_peak(entry, "matrix", &p->matrix)) return false;
  for (size_t i = 0; i < n; i++) {
    moire__peak_level *l = &p->levels[p->n_levels++];
    const json_t *from = json_array_get(levels, i);
    if (!copy_name(from, "name", l->name, sizeof l->name) || !read_peak(from, "read", &l->read)) return false;
    l->bytes = json_integer_value(json_object_get(from, "bytes"));
    l->sharers = (int)json_integer_value(json_object_get(from, "sharers"));
  }
  /* Another processor under the same name, as in a virtual machine that has moved. */
  const moire__peak_unit *fma = moire__peak_fma_unit(), *matrix = moire__peak_matrix_unit();
  return fma && !strcmp(fma->name, p->fma_unit) && !strcmp(matrix ? matrix->name : "", p->matrix_unit);
}

/* ---- writing -----------------------------------------------------------------------------------------------
 */

static json_t *pair_of(moire__peak peak) { return json_pack("[f, f]", peak.one, peak.all); }

static json_t *make_entry(const moire__peaks *p) {
  json_t *levels = json_array();
  for (int i = 0; i < p->n_levels; i++) {
    const moire__peak_level *l = &p->levels[i];
    json_array_append_new(levels,
                          json_pack("{s:s, s:I, s:i, s:o}", "name", l->name, "bytes", (json_int_t)l->bytes,
                                    "sharers", l->sharers, "read", pair_of(l->read)));
  }
  return json_pack("{s:b, s:s, s:o, s:s, s:o, s:o}", "busy", p->busy, "fma_unit", p->fma_unit, "fma",
                   pair_of(p->fma), "matrix_unit", p->matrix_unit, "matrix", pair_of(p->matrix), "levels",
                   levels);
}

static moire_status keep(const char *path, json_t *root, const char *key, const moire__peaks *peaks,
                         moire_error *error) {
  json_object_set_new(json_object_get(root, "machines"), key, make_entry(peaks));
  char *folder = moire__allocate(strlen(path) + 1);
  memcpy(folder, path, strlen(path));
  *strrchr(folder, '/') = 0;
  moire_status status = moire__file_make_directories(folder, error);
  moire__release(folder);
  if (status) return status;
  char *text = json_dumps(root, JSON_INDENT(2) | JSON_SORT_KEYS);
  if (!text) return moire_fail(error, MOIRE_ERROR_INTERNAL, "peaks: could not be written as JSON");
  status = moire__file_write_atomic(path, text, strlen(text), error);
  free(text);
  return status;
}

moire_status moire__peaks_get(int threads, bool again, moire__peaks *peaks, bool *measured,
                              moire_error *error) {
  *peaks = (moire__peaks){.threads = threads};
  moire__peaks_cpu(peaks->cpu, sizeof peaks->cpu);
  char key[200];
  make_key(peaks->cpu, threads, key, sizeof key);
  moire_error no_path = {0};
  char *path = moire__peaks_path(&no_path);
  json_t *root = path ? load_file(path) : NULL;
  moire__peaks kept = *peaks;
  bool known = !again && read_entry(json_object_get(json_object_get(root, "machines"), key), &kept);
  if (known) *peaks = kept;
  if (measured) *measured = !known;
  moire_status status = known ? MOIRE_OK : moire__peaks_measure(threads, peaks, error);
  if (!known && !status)
    status =
        path ? keep(path, root, key, peaks, error) : moire_fail(error, no_path.status, "%s", no_path.message);
  json_decref(root);
  moire__release(path);
  return status;
}
