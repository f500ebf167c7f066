/* Measuring language models. See measure.h. */
#include "tasks/tokens/measure.h"

#include "runtime/base/memory.h"
#include "runtime/train/progress.h"

#include <math.h>

const char *const moire__tokens_measured[5] = {"target_nll", "target_rank", "best_word", "teacher_kl",
                                               "teacher_best"};

int moire__tokens_measured_count(bool with_teacher) { return with_teacher ? 5 : 2; }

typedef struct sums {
  int64_t targets, top1, top5, agreed;
  double bytes, nll, kl;
} sums;

enum { SOURCES = 256 };

/* What the runner has found for its last n rows, from row `first` of the file on. */
static moire_status add_rows(const moire__token_file *file, const moire_runner *runner, bool taught,
                             int64_t first, int64_t n, sums *by_source, double *rows, moire_error *error) {
  const void *found[5] = {0};
  for (int i = 0; i < moire__tokens_measured_count(taught); i++) {
    int64_t elements = 0;
    found[i] = moire_runner_output(runner, moire__tokens_measured[i], &elements);
    if (!found[i] || elements != n * file->length)
      return moire_fail(error, MOIRE_ERROR_SHAPE, "the model has no output %s [B, T]",
                        moire__tokens_measured[i]);
  }
  const float *nll = found[0], *rank = found[1], *kl = found[3];
  const int32_t *best = found[2], *teacher_best = found[4];
  for (int64_t i = 0; i < n; i++) {
    sums *s = &by_source[file->sources[first + i]];
    double row = 0;
    for (int64_t t = 0; t < moire__token_file_targets(file, first + i); t++) {
      int64_t at = i * file->length + t;
      s->targets++;
      row += (double)nll[at];
      s->top1 += rank[at] < 1;
      s->top5 += rank[at] < 5;
      if (!taught) continue;
      s->kl += (double)kl[at];
      s->agreed += best[at] == teacher_best[at];
    }
    s->nll += row;
    s->bytes += (double)file->bytes[first + i];
    if (rows) rows[first + i] = row;
  }
  return MOIRE_OK;
}

static void report(const sums *s, bool taught, const char *suffix, moire__measures *out) {
  double n = s->targets ? (double)s->targets : 1, ce = s->nll / n;
  moire__measures_add(out, ce, "ce%s", suffix);
  moire__measures_add(out, exp(ce), "perplexity%s", suffix);
  if (s->bytes > 0) moire__measures_add(out, s->nll / (M_LN2 * s->bytes), "bits_per_byte%s", suffix);
  moire__measures_add(out, (double)s->top1 / n, "top1%s", suffix);
  moire__measures_add(out, (double)s->top5 / n, "top5%s", suffix);
  if (taught) {
    moire__measures_add(out, (double)s->agreed / n, "teacher_agreement%s", suffix);
    moire__measures_add(out, s->kl / n, "teacher_kl%s", suffix);
  }
  moire__measures_add(out, (double)s->targets, "targets%s", suffix);
}

static void report_all(const sums *by_source, bool taught, moire__measures *out) {
  sums all = {0};
  int n = 0;
  for (int i = 0; i < SOURCES; i++) {
    const sums *s = &by_source[i];
    n += s->targets > 0;
    all.targets += s->targets;
    all.top1 += s->top1;
    all.top5 += s->top5;
    all.agreed += s->agreed;
    all.bytes += s->bytes;
    all.nll += s->nll;
    all.kl += s->kl;
  }
  report(&all, taught, "", out);
  for (int i = 0; i < SOURCES && n > 1; i++) {
    char suffix[16];
    snprintf(suffix, sizeof suffix, "@%d", i);
    if (by_source[i].targets) report(&by_source[i], taught, suffix, out);
  }
}

moire_status moire__tokens_measure(const moire__token_file *file, moire__teacher *teacher, moire_runner *runner,
                                   int64_t batch, const char *label, moire__measures *measures, double *rows,
                                   moire_error *error) {
  moire__samples samples = moire__tokens_samples(file, teacher, batch);
  int64_t *order = moire__allocate_array((size_t)batch, sizeof *order);
  sums *by_source = moire__allocate_array(SOURCES, sizeof *by_source);
  moire_status status = MOIRE_OK;
  moire__progress bar = moire__progress_start(label, "row", file->n);
  for (int64_t first = 0; first < file->n && !status; first += batch) {
    int64_t n = file->n - first < batch ? file->n - first : batch;
    for (int64_t i = 0; i < n; i++) order[i] = first + i;
    status = moire_runner_set_extent(runner, "B", n, error);
    if (!status) status = samples.give(samples.context, runner, order, n, error);
    if (!status) status = moire_runner_run(runner, error);
    if (!status) status = add_rows(file, runner, teacher != NULL, first, n, by_source, rows, error);
    moire__progress_update(&bar, first + n, "rows");
  }
  moire__progress_finish(&bar);
  *measures = (moire__measures){0};
  if (!status) report_all(by_source, teacher != NULL, measures);
  moire__release(by_source);
  moire__release(order);
  moire__samples_free(&samples);
  return status;
}
