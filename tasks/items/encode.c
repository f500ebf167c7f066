/* moire encode: features of items to their codes. */
#include "tasks/items/items.h"

#include "runtime/base/memory.h"
#include "runtime/files/file.h"
#include "tasks/items/codes.h"

#include <string.h>

moire_status moire__items_codes(moire_runner *runner, const moire__features *f, int levels, int64_t begin,
                                int64_t count, int64_t batch, int32_t *codes, moire_error *error) {
  moire_status status = MOIRE_OK;
  for (int64_t done = 0; done < count && !status; done += batch) {
    int64_t first = begin + done, n = count - done < batch ? count - done : batch;
    status = moire_runner_set_extent(runner, "B", n, error);
    if (!status)
      status = moire_runner_set_input(runner, "features", f->values + first * f->width, n * f->width, error);
    if (!status) status = moire_runner_run(runner, error);
    if (status) return status;
    memcpy(codes + done * levels, moire_runner_output(runner, "codes", NULL),
           (size_t)(n * levels) * sizeof *codes);
  }
  return status;
}

/* A line of an item; its digit only if there is one. */
static void add_line(moire__text *out, const char *name, const int32_t *codes, int levels,
                     const int32_t *digit) {
  moire__text_add(out, "%s", name);
  for (int l = 0; l < levels; l++) moire__text_add(out, "\t%d", (int)codes[l]);
  if (digit) moire__text_add(out, "\t%d", (int)*digit);
  moire__text_add_char(out, '\n');
}

moire_status moire__items_encode(moire__predictor *p, const moire__encode_job *job, moire_error *error) {
  static const char *const outputs[] = {"codes"};
  moire_status status = p->setup.task->read(&p->setup, &job->files, moire__predictor_where(p), error);
  if (!status) status = moire__predictor_compile(p, outputs, 1, error);
  if (status) return status;
  const moire__features *f = p->setup.data;
  const int64_t *sizes = NULL;
  int levels = moire_config_ints(p->setup.config, "codebook_sizes", &sizes);
  bool unique = moire_config_bool(p->setup.config, "unique_digit");
  int64_t first = 0, n = 0, batch = job->batch < f->n ? job->batch : f->n;
  moire__part_take(job->part, unique ? MOIRE__PART_CODES : MOIRE__PART_LINES, "item", f->n, 1, &first, &n);
  int32_t *codes = moire__allocate_array((size_t)(n * levels) + 1, sizeof *codes);
  int32_t *digits = moire__allocate_array((size_t)n + 1, sizeof *digits);
  moire__text text = {0};
  status = moire__items_codes(p->runner, f, levels, first, n, batch, codes, error);
  unique = unique && !job->part; /* what a digit is depends on all items before */
  if (!status && unique) moire__codes_digits(codes, n, levels, digits);
  for (int64_t i = 0; i < n && !status; i++) {
    moire__row_buffer row;
    add_line(&text, moire__features_row(f, first + i, row), codes + i * levels, levels,
             unique ? &digits[i] : NULL);
  }
  if (!status) fputs(moire__text_string(&text), job->out);
  moire__release(codes);
  moire__release(digits);
  moire__text_free(&text);
  return status;
}

/* Levels of the first line: tabs. */
static int count_levels(const char *bytes) {
  int tabs = 0;
  for (; *bytes && *bytes != '\n'; bytes++) tabs += *bytes == '\t';
  return tabs;
}

/* Adds the codes of one file; *levels is 0 before the first that has any. */
static moire_status add_codes(const char *path, moire__text *names, moire__text *codes, int *levels,
                              moire_error *error) {
  char *bytes = NULL;
  size_t n = 0;
  moire_status status = moire__file_read(path, 0, &bytes, &n, error);
  if (status) return status;
  int found = count_levels(bytes);
  if (n && *levels && found != *levels)
    status = moire_fail(error, MOIRE_ERROR_FORMAT, "%s: has %d codes an item, but a part before has %d", path,
                        found, *levels);
  moire__codes read = {0};
  int64_t limits[64] = {0};
  if (n && !status && (found < 1 || found > 64))
    status =
        moire_fail(error, MOIRE_ERROR_FORMAT, "%s: wanted lines of a name and codes, with tabs between", path);
  if (n && !status) status = moire__codes_read(path, found, limits, &read, error);
  if (n && !status) {
    *levels = found;
    moire__text_add_bytes(codes, (const char *)read.values, (size_t)(read.n * found) * sizeof *read.values);
    for (const char *line = bytes; line < bytes + n; line = strchr(line, '\n') + 1)
      moire__text_add_bytes(names, line, (size_t)(strchr(line, '\t') + 1 - line));
    moire__codes_free(&read);
  }
  moire__release(bytes);
  return status;
}

moire_status moire__items_join(const char *const *paths, int n_paths, FILE *out, moire_error *error) {
  moire__text names = {0}, bytes = {0}, text = {0};
  int levels = 0;
  moire_status status = MOIRE_OK;
  for (int i = 0; i < n_paths && !status; i++) status = add_codes(paths[i], &names, &bytes, &levels, error);
  int64_t n = status || !levels ? 0 : (int64_t)(bytes.length / sizeof(int32_t)) / levels;
  int32_t *codes = moire__allocate_array((size_t)(n * levels) + 1, sizeof *codes);
  int32_t *digits = moire__allocate_array((size_t)n + 1, sizeof *digits);
  if (n) memcpy(codes, bytes.data, bytes.length);
  if (n) moire__codes_digits(codes, n, levels, digits);
  char *name = names.data;
  for (int64_t i = 0; i < n; i++) {
    char *tab = strchr(name, '\t');
    *tab = 0;
    add_line(&text, name, codes + i * levels, levels, &digits[i]);
    name = tab + 1;
  }
  if (!status) fputs(moire__text_string(&text), out);
  moire__text_free(&names);
  moire__text_free(&bytes);
  moire__text_free(&text);
  moire__release(codes);
  moire__release(digits);
  return status;
}
