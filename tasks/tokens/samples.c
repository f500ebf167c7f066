/* Rows of tokens as samples. See tokens.h. */
#include "tasks/tokens/tokens.h"

#include "runtime/base/memory.h"
#include "tasks/tokens/teacher.h"

typedef struct token_samples {
  const moire__token_file *file;
  moire__teacher *teacher;
  int32_t *ids, *targets; /* [batch, L], aligned */
  int32_t *lengths;       /* [batch] */
} token_samples;

enum { IGNORED = -100 };

/* Target t is the token behind it, where there is one in the row. */
static void find_targets(const token_samples *s, int64_t n) {
  int64_t length = s->file->length;
  for (int64_t i = 0; i < n; i++) {
    for (int64_t t = 0; t < length; t++) {
      int64_t at = i * length + t;
      s->targets[at] = t + 1 < s->lengths[i] ? s->ids[at + 1] : IGNORED;
    }
  }
}

static moire_status set_if_there(moire_runner *runner, const char *name, const void *data, int64_t n,
                                 moire_error *error) {
  return moire_runner_has_input(runner, name) ? moire_runner_set_input(runner, name, data, n, error) : MOIRE_OK;
}

static moire_status give(void *context, moire_runner *runner, const int64_t *samples, int64_t n,
                         moire_error *error) {
  token_samples *s = context;
  int64_t elements = n * s->file->length;
  moire_status status = moire__array_read_rows(s->file->ids, MOIRE_I32, samples, n, s->ids, NULL, error);
  for (int64_t i = 0; i < n; i++) s->lengths[i] = s->file->lengths[samples[i]];
  find_targets(s, n);
  if (!status) status = set_if_there(runner, "input_ids", s->ids, elements, error);
  if (!status) status = set_if_there(runner, "lengths", s->lengths, n, error);
  if (!status) status = set_if_there(runner, "targets", s->targets, elements, error);
  if (status || !s->teacher) return status;
  return moire__teacher_give(s->teacher, s->file, runner, samples, n, s->ids, s->lengths, error);
}

/* The loss is a mean over targets. */
static double weigh(void *context, const int64_t *samples, int64_t n) {
  token_samples *s = context;
  int64_t targets = 0;
  for (int64_t i = 0; i < n; i++) targets += moire__token_file_targets(s->file, samples[i]);
  return (double)targets;
}

static void release(void *context) {
  token_samples *s = context;
  moire__release_aligned(s->ids);
  moire__release_aligned(s->targets);
  moire__release_aligned(s->lengths);
  moire__release(s);
}

moire__samples moire__tokens_samples(const moire__token_file *file, moire__teacher *teacher, int64_t batch) {
  token_samples *s = moire__allocate(sizeof *s);
  size_t rows = (size_t)(batch < file->n ? batch : file->n) + 1, elements = rows * (size_t)file->length;
  *s = (token_samples){.file = file, .teacher = teacher};
  s->ids = moire__allocate_aligned(elements * sizeof *s->ids, 64);
  s->targets = moire__allocate_aligned(elements * sizeof *s->targets, 64);
  s->lengths = moire__allocate_aligned(rows * sizeof *s->lengths, 64);
  return (moire__samples){.context = s, .n = file->n, .give = give, .weigh = weigh, .release = release};
}
