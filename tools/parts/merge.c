/* moire merge: what one run would have written, of its parts. */
#include "runtime/base/memory.h"
#include "runtime/files/tensor_writer.h"
#include "tools/parts/call.h"
#include "tools/parts/manifest.h"
#include "tools/parts/output.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

typedef struct input {
  const char *path;
  tool_manifest m;
} input;

typedef struct merging {
  moire__arena arena;
  input *inputs; /* [n], after check by the numbers of parts */
  int n, capacity;
  const char *output, *samples; /* -o; --samples */
  bool mixed;
} merging;

/* ---- Arguments --------------------------------------------------------------------------------------------
 */

enum { SAMPLES = 0x100, MIXED };

static const struct argp_option options[] = {
    {"output", 'o', "FILE", 0, "Where the result goes (stdout, where it is text)", 0},
    {"samples", SAMPLES, "FILE", 0, "Of eval: what --ranks or --values would have written", 0},
    {"mixed", MIXED, NULL, 0, "Take parts of other versions and processors, whose last digits may differ", 0},
    {0}};

/* A manifest stands for its part, so that PART* may be given. */
static void add_input(merging *m, const char *text) {
  size_t n = strlen(text), suffix = sizeof TOOL_MANIFEST_SUFFIX - 1;
  bool is_manifest = n > suffix && !strcmp(text + n - suffix, TOOL_MANIFEST_SUFFIX);
  input in = {.path = moire__arena_printf(&m->arena, "%.*s", (int)(is_manifest ? n - suffix : n), text)};
  for (int i = 0; i < m->n; i++) {
    if (!strcmp(m->inputs[i].path, in.path)) return;
  }
  MOIRE__PUSH(&m->arena, m->inputs, m->n, m->capacity, in);
}

static error_t parse(int key, char *text, struct argp_state *state) {
  merging *m = state->input;
  switch (key) {
    case 'o': m->output = tool_path_argument(state, "--output", "a file", text); return 0;
    case SAMPLES: m->samples = tool_path_argument(state, "--samples", "a file", text); return 0;
    case MIXED: m->mixed = true; return 0;
    case ARGP_KEY_ARG: add_input(m, tool_path_argument(state, "PART", "a file", text)); return 0;
    case ARGP_KEY_END:
      if (!m->n) argp_error(state, "wanted the files of all parts, OUT.1-of-N to OUT.N-of-N");
      return 0;
    default: return ARGP_ERR_UNKNOWN;
  }
}

/* ---- Are they the parts of one call? -----------------------------------------------------------------------
 */

static moire_status check_same(const merging *m, const input *a, const input *b, moire_error *error) {
  const struct {
    const char *what, *a, *b;
  } same[] = {{"verb", a->m.verb, b->m.verb},
              {"model", a->m.model, b->m.model},
              {"data", a->m.data, b->m.data},
              {"task", a->m.task, b->m.task},
              {"call", a->m.call, b->m.call},
              {"unit", a->m.part.unit, b->m.part.unit},
              {"column", a->m.column, b->m.column},
              {"version or processor", m->mixed ? "" : a->m.program, m->mixed ? "" : b->m.program}};
  if (a->m.part.count != b->m.part.count)
    return moire_fail(error, MOIRE_ERROR_ARGUMENT, "%s: is one of %" PRId64 " parts, but %s is one of %" PRId64,
                      b->path, b->m.part.count, a->path, a->m.part.count);
  for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
    if (strcmp(same[i].a, same[i].b) != 0)
      return moire_fail(error, MOIRE_ERROR_ARGUMENT, "%s: is of another %s than %s (%.100s, not %.100s)%s",
                        b->path, same[i].what, a->path, same[i].b, same[i].a,
                        *same[i].what == 'v' && strlen(same[i].what) > 4 ? "; --mixed takes both" : "");
  }
  return a->m.part.form == b->m.part.form && a->m.part.total == b->m.part.total
             ? MOIRE_OK
             : moire_fail(error, MOIRE_ERROR_ARGUMENT, "%s: is part of another result than %s", b->path,
                          a->path);
}

static int by_number(const void *a, const void *b) {
  const input *x = a, *y = b;
  return (x->m.part.index > y->m.part.index) - (x->m.part.index < y->m.part.index);
}

static moire_status check_missing(const merging *m, moire_error *error) {
  int64_t count = m->inputs[0].m.part.count, next = 1, missing = 0;
  moire__text names = {0};
  for (int i = 0; next <= count; next++) {
    if (i < m->n && m->inputs[i].m.part.index == next) {
      i++;
      continue;
    }
    if (missing++ < 8) moire__text_add(&names, "%s%" PRId64, names.length ? ", " : "", next);
  }
  moire_status status = MOIRE_OK;
  if (missing)
    status =
        moire_fail(error, MOIRE_ERROR_ARGUMENT, "part%s %s%s of %" PRId64 " %s missing", missing > 1 ? "s" : "",
                   names.data, missing > 8 ? ", ..." : "", count, missing > 1 ? "are" : "is");
  moire__text_free(&names);
  return status;
}

static moire_status check(merging *m, moire_error *error) {
  moire_status status = MOIRE_OK;
  for (int i = 0; i < m->n && !status; i++) {
    status = tool_manifest_read(m->inputs[i].path, &m->arena, &m->inputs[i].m, error);
    if (!status && i) status = check_same(m, &m->inputs[0], &m->inputs[i], error);
  }
  if (status) return status;
  qsort(m->inputs, (size_t)m->n, sizeof *m->inputs, by_number);
  for (int i = 1; i < m->n; i++) {
    const input *a = &m->inputs[i - 1], *b = &m->inputs[i];
    if (a->m.part.index == b->m.part.index)
      return moire_fail(error, MOIRE_ERROR_ARGUMENT, "part %" PRId64 " of %" PRId64 " comes twice: %s and %s",
                        a->m.part.index, a->m.part.count, a->path, b->path);
  }
  status = check_missing(m, error);
  int64_t next = 0;
  for (int i = 0; i < m->n && !status; i++) {
    const moire__part *part = &m->inputs[i].m.part;
    if (part->first != next)
      status = moire_fail(error, MOIRE_ERROR_ARGUMENT, "%s: begins at %s %" PRId64 ", wanted %" PRId64,
                          m->inputs[i].path, part->unit, part->first, next);
    next += part->rows;
  }
  if (!status && next != m->inputs[0].m.part.total)
    status = moire_fail(error, MOIRE_ERROR_ARGUMENT, "the parts hold %" PRId64 " of %" PRId64 " rows", next,
                        m->inputs[0].m.part.total);
  return status;
}

/* ---- Joining ----------------------------------------------------------------------------------------------
 */

static const moire__task *task_of(const merging *m, moire_error *error) {
  const moire__task *task = moire__task_find(m->inputs[0].m.task);
  if (!task)
    moire_fail(error, MOIRE_ERROR_ARGUMENT, "%s: is of the task %s, which is not known", m->inputs[0].path,
               m->inputs[0].m.task);
  return task;
}

static moire_status join_lines(const merging *m, FILE *out, moire_error *error) {
  enum { PIECE = 1 << 16 };
  char *bytes = moire__allocate(PIECE);
  moire_status status = MOIRE_OK;
  for (int i = 0; i < m->n && !status; i++) {
    FILE *file = fopen(m->inputs[i].path, "re");
    for (size_t n = 1; file && n;) {
      n = fread(bytes, 1, PIECE, file);
      fwrite(bytes, 1, n, out);
    }
    if (!file || ferror(file))
      status = moire_fail(error, MOIRE_ERROR_IO, "%s: cannot be read", m->inputs[i].path);
    if (file) fclose(file);
  }
  moire__release(bytes);
  return status;
}

static moire_status join_codes(merging *m, FILE *out, moire_error *error) {
  const moire__task *task = task_of(m, error);
  if (!task || !task->join)
    return moire_fail(error, MOIRE_ERROR_ARGUMENT, "%s: has no codes to join", m->inputs[0].path);
  const char **paths = moire__arena_array(&m->arena, (size_t)m->n, sizeof *paths);
  for (int i = 0; i < m->n; i++) paths[i] = m->inputs[i].path;
  return task->join(paths, m->n, out, error);
}

/* All files as tensors, mapped where they are only copied; *n_open of them, on failure too. */
static moire_status open_all(const merging *m, bool map, moire__safetensors **files, int *n_open,
                             moire_error *error) {
  moire_status status = MOIRE_OK;
  for (*n_open = 0; *n_open < m->n && !status;) {
    const char *path = m->inputs[*n_open].path;
    status = map ? moire__safetensors_map(path, &files[*n_open], error)
                 : moire__safetensors_open(path, &files[*n_open], error);
    if (!status) ++*n_open;
  }
  return status;
}

static moire_status append_all(const merging *m, moire__safetensors *const *files,
                               const moire__st_tensor *tensors, int n, moire__tensor_writer *writer,
                               moire_error *error) {
  moire_status status = MOIRE_OK;
  for (int i = 0; i < m->n; i++)
    for (int t = 0; t < n && !status; t++) {
      const moire__st_tensor *part = moire__safetensors_find(files[i], tensors[t].name);
      status = moire__tensor_writer_append(writer, t, part->data, NULL, part->shape[0], error);
    }
  return status;
}

static moire_status join_tensors(merging *m, moire_error *error) {
  if (!m->output) return moire_fail(error, MOIRE_ERROR_ARGUMENT, "the parts hold tensors: wanted -o FILE");
  moire__safetensors **files = moire__arena_array(&m->arena, (size_t)m->n, sizeof(moire__safetensors *));
  int n_open = 0;
  moire_status status = open_all(m, true, files, &n_open, error);
  int n = status ? 0 : moire__safetensors_count(files[0]);
  moire__st_tensor *tensors = moire__arena_array(&m->arena, (size_t)n + 1, sizeof *tensors);
  for (int t = 0; t < n && !status; t++) {
    tensors[t] = *moire__safetensors_at(files[0], t);
    tensors[t].shape[0] = 0;
    for (int i = 0; i < m->n && !status; i++) {
      const moire__st_tensor *part = moire__safetensors_find(files[i], tensors[t].name);
      bool alike = part && part->dtype == tensors[t].dtype && part->rank == tensors[t].rank && part->rank > 0;
      for (int a = 1; alike && a < part->rank; a++) alike = part->shape[a] == tensors[t].shape[a];
      if (!alike)
        status = moire_fail(error, MOIRE_ERROR_FORMAT, "%s: has no tensor %s as %s has it", m->inputs[i].path,
                            tensors[t].name, m->inputs[0].path);
      else
        tensors[t].shape[0] += part->shape[0];
    }
  }
  moire__tensor_writer *writer = NULL;
  if (!status) status = moire__tensor_writer_open(m->output, tensors, n, NULL, 0, &writer, error);
  if (!status) status = append_all(m, files, tensors, n, writer, error);
  status = moire__tensor_writer_close(writer, status, error);
  for (int i = 0; i < n_open; i++) moire__safetensors_close(files[i]);
  return status;
}

static moire_status join_terms(merging *m, FILE *out, moire_error *error) {
  const moire__task *task = task_of(m, error);
  if (!task || !task->measure)
    return moire_fail(error, MOIRE_ERROR_ARGUMENT, "%s: has no measures", m->inputs[0].path);
  moire__safetensors **files = moire__arena_array(&m->arena, (size_t)m->n, sizeof(moire__safetensors *));
  int n_open = 0;
  moire__terms terms = {0};
  moire__measures measures = {0};
  moire_status status = open_all(m, false, files, &n_open, error);
  if (!status) status = moire__terms_join(&terms, files, m->n, error);
  if (!status) status = task->measure(&terms, &measures, error);
  if (!status && m->samples) status = task->leave(&terms, m->samples, error);
  if (!status) tool_write_measures(out, m->inputs[0].m.column, &measures, &(moire__baselines){0});
  moire__terms_free(&terms);
  for (int i = 0; i < n_open; i++) moire__safetensors_close(files[i]);
  return status;
}

static moire_status join_text(merging *m, moire_error *error) {
  moire__part_form form = m->inputs[0].m.part.form;
  tool_output *output = tool_output_open(m->output, error);
  if (!output) return MOIRE_ERROR_IO;
  FILE *out = tool_output_file(output);
  moire_status status = form == MOIRE__PART_TERMS   ? join_terms(m, out, error)
                        : form == MOIRE__PART_CODES ? join_codes(m, out, error)
                                                    : join_lines(m, out, error);
  return tool_output_close(output, status, error);
}

int tool_merge(int argc, char **argv) {
  static const struct argp parser = {options,
                                     parse,
                                     "PART...",
                                     "Joins the parts that --part I/N of recommend, eval, encode, predict and "
                                     "generate has written to what one "
                                     "call would have written, byte for byte. They must be all of them, each "
                                     "once and complete, of one model, one "
                                     "call and the same data.",
                                     NULL,
                                     NULL,
                                     NULL};
  merging m = {0};
  moire_error error = {0};
  argp_parse(&parser, argc, argv, 0, NULL, &m);
  moire_status status = check(&m, &error);
  if (!status && m.samples && m.inputs[0].m.part.form != MOIRE__PART_TERMS)
    status = moire_fail(&error, MOIRE_ERROR_ARGUMENT, "--samples: these are parts of %s, not of eval",
                        m.inputs[0].m.verb);
  if (!status)
    status = m.inputs[0].m.part.form == MOIRE__PART_TENSORS ? join_tensors(&m, &error) : join_text(&m, &error);
  moire__arena_free(&m.arena);
  return status ? tool_fail("merge", &error) : 0;
}
