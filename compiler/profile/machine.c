/* What profiles ask of the machine. */
#include "compiler/profile/document.h"

bool moire__profile_peaks(const char *tool, int threads, moire__peaks *peaks) {
  moire_error error = {0};
  *peaks = (moire__peaks){0};
  moire_status status = moire__peaks_get(threads, false, peaks, NULL, &error);
  if (status) fprintf(stderr, "moire %s: %s\n", tool, error.message);
  return peaks->n_levels > 1;
}

json_t *moire__peaks_json(const moire__peaks *p) {
  json_t *levels = json_array();
  for (int i = 0; i < p->n_levels; i++) {
    const moire__peak_level *l = &p->levels[i];
    json_array_append_new(levels,
                          json_pack("{s:s, s:I, s:i, s:[f, f]}", "name", l->name, "bytes", (json_int_t)l->bytes,
                                    "sharers", l->sharers, "read", l->read.one, l->read.all));
  }
  return json_pack("{s:s, s:i, s:s, s:[f, f], s:s, s:[f, f], s:o}", "cpu", p->cpu, "threads", p->threads,
                   "fma_unit", p->fma_unit, "fma", p->fma.one, p->fma.all, "matrix_unit", p->matrix_unit,
                   "matrix", p->matrix.one, p->matrix.all, "levels", levels);
}
