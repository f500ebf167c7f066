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

/* Columns of terms, a row each of the file's: counts are its source, targets, top1, top5, agreed; reals are
 * bytes, the sum of -log p and, with a teacher, of the divergence. */
static const char counts_column[] = "counts", reals_column[] = "reals";
enum { SOURCE, TARGETS, TOP1, TOP5, AGREED, COUNTS };
enum { BYTES, NLL, KL };

/* What the runner has found for its last n rows, from row `first` of the file on, into as many rows of both. */
static moire_status add_rows(const moire__token_file *file, const moire_runner *runner, bool taught,
                             int64_t first, int64_t n, int64_t *counts, double *reals, moire_error *error) {
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
  for (int64_t i = 0; i < n; i++, counts += COUNTS, reals += taught ? KL + 1 : KL) {
    counts[SOURCE] = file->sources[first + i];
    counts[TARGETS] = moire__token_file_targets(file, first + i);
    reals[BYTES] = (double)file->bytes[first + i];
    for (int64_t t = 0; t < counts[TARGETS]; t++) {
      int64_t at = i * file->length + t;
      reals[NLL] += (double)nll[at];
      counts[TOP1] += rank[at] < 1;
      counts[TOP5] += rank[at] < 5;
      if (!taught) continue;
      reals[KL] += (double)kl[at];
      counts[AGREED] += best[at] == teacher_best[at];
    }
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

moire_status moire__tokens_collect(const moire__token_file *file, moire__teacher *teacher, moire_runner *runner,
                                   int64_t begin, int64_t count, int64_t batch, const char *label,
                                   moire__terms *terms, moire_error *error) {
  moire__samples samples = moire__tokens_samples(file, teacher, batch);
  int64_t *order = moire__allocate_array((size_t)batch, sizeof *order);
  int width = teacher ? KL + 1 : KL;
  int64_t *counts = moire__terms_add(terms, counts_column, MOIRE__ST_I64, count, COUNTS);
  double *reals = moire__terms_add(terms, reals_column, MOIRE__ST_F64, count, width);
  moire_status status = MOIRE_OK;
  moire__progress bar = moire__progress_start(label, "row", count);
  for (int64_t done = 0; done < count && !status; done += batch) {
    int64_t n = count - done < batch ? count - done : batch, first = begin + done;
    for (int64_t i = 0; i < n; i++) order[i] = first + i;
    status = moire_runner_set_extent(runner, "B", n, error);
    if (!status) status = samples.give(samples.context, runner, order, n, error);
    if (!status) status = moire_runner_run(runner, error);
    if (!status)
      status = add_rows(file, runner, teacher != NULL, first, n, counts + done * COUNTS, reals + done * width,
                        error);
    moire__progress_update(&bar, done + n, "rows");
  }
  moire__progress_finish(&bar);
  moire__release(order);
  moire__samples_free(&samples);
  return status;
}

static const moire__st_tensor *need(const moire__terms *terms, const moire__st_tensor **counts,
                                    moire_error *error) {
  *counts = moire__terms_need(terms, counts_column, MOIRE__ST_I64, COUNTS, error);
  return *counts ? moire__terms_need(terms, reals_column, MOIRE__ST_F64, 0, error) : NULL;
}

moire_status moire__tokens_measured_of(const moire__terms *terms, moire__measures *measures,
                                       moire_error *error) {
  const moire__st_tensor *counts = NULL, *reals = need(terms, &counts, error);
  if (!reals) return MOIRE_ERROR_FORMAT;
  sums *by_source = moire__allocate_array(SOURCES, sizeof *by_source);
  bool taught = reals->shape[1] > KL;
  const int64_t *c = counts->data;
  const double *r = reals->data;
  for (int64_t i = 0; i < counts->shape[0]; i++, c += COUNTS, r += reals->shape[1]) {
    sums *s = &by_source[c[SOURCE] & (SOURCES - 1)];
    s->targets += c[TARGETS];
    s->top1 += c[TOP1];
    s->top5 += c[TOP5];
    s->agreed += c[AGREED];
    s->bytes += r[BYTES];
    s->nll += r[NLL];
    s->kl += taught ? r[KL] : 0;
  }
  *measures = (moire__measures){0};
  report_all(by_source, taught, measures);
  moire__release(by_source);
  return MOIRE_OK;
}

/* The rows' mean -log p, for the paired bootstrap. */
moire_status moire__tokens_leave(const moire__terms *terms, const char *path, moire_error *error) {
  const moire__st_tensor *counts = NULL, *reals = need(terms, &counts, error);
  if (!reals) return MOIRE_ERROR_FORMAT;
  int64_t n = counts->shape[0];
  float *means = moire__allocate_array((size_t)n + 1, sizeof *means);
  for (int64_t i = 0; i < n; i++) {
    int64_t targets = ((const int64_t *)counts->data)[i * COUNTS + TARGETS];
    means[i] =
        (float)(((const double *)reals->data)[i * reals->shape[1] + NLL] / (double)(targets ? targets : 1));
  }
  const moire__st_tensor tensor = {
      .name = "ce", .dtype = MOIRE__ST_F32, .rank = 1, .shape = {n}, .data = means};
  moire_status status = moire__safetensors_write(path, &tensor, 1, NULL, 0, error);
  moire__release(means);
  return status;
}
