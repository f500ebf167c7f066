/* Records of synthetic signals, and their file. See signals.h. */
#include "tasks/tensors/signals.h"

#include "runtime/base/memory.h"
#include "runtime/base/text.h"
#include "runtime/files/tensor_writer.h"

#include <inttypes.h>
#include <math.h>

static const double pi = 3.14159265358979323846;

moire__signals_options moire__signals_defaults(void) {
  return (moire__signals_options){
      .records = 40000, .length = 128, .least_snr = -10, .most_snr = 20, .frequency = 0.01, .seed = 1};
}

/* ---- one record -------------------------------------------------------------------------------------------
 */

static double mean_power(const double complex *x, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; i++) sum += creal(x[i]) * creal(x[i]) + cimag(x[i]) * cimag(x[i]);
  return sum / (double)n;
}

/* Complex, of mean power 1 (Box-Muller). */
static double complex draw_noise(moire__random *random) {
  double radius = sqrt(-log(1 - moire__random_real(random)));
  return radius * cexp(I * 2 * pi * moire__random_real(random));
}

static moire__modulation label_of(uint64_t seed, int64_t record) {
  int64_t order[MOIRE__MODULATIONS];
  moire__permutation(seed, (uint64_t)(record / MOIRE__MODULATIONS), MOIRE__MODULATIONS, order);
  return (moire__modulation)order[record % MOIRE__MODULATIONS];
}

moire__signal moire__signals_record(const moire__signals_options *o, int64_t record, float complex *iq) {
  moire__random random = moire__random_start(o->seed, (uint64_t)record);
  uint64_t levels = (uint64_t)((o->most_snr - o->least_snr) / 2) + 1;
  moire__signal s = {.label = label_of(o->seed, record)};
  s.snr = o->least_snr + 2 * (double)moire__random_below(&random, levels);
  s.phase = 2 * pi * moire__random_real(&random);
  s.frequency = o->frequency * (2 * moire__random_real(&random) - 1);
  s.timing = moire__random_real(&random);
  double complex *x = moire__allocate_array((size_t)o->length, sizeof *x);
  moire__modulate(s.label, s.timing, &random, o->length, x);
  double scale = 1 / sqrt(mean_power(x, o->length)), loudness = pow(10, -s.snr / 20);
  for (int64_t n = 0; n < o->length; n++) {
    x[n] *= scale * cexp(I * (s.phase + 2 * pi * s.frequency * (double)n));
    x[n] += loudness * draw_noise(&random);
  }
  scale = 1 / sqrt(mean_power(x, o->length));
  for (int64_t n = 0; n < o->length; n++) iq[n] = (float complex)(scale * x[n]);
  moire__release(x);
  return s;
}

/* ---- the file ---------------------------------------------------------------------------------------------
 */

static moire_status check(const char *name, double value, double least, double most, moire_error *error) {
  if (value >= least && value <= most) return MOIRE_OK;
  return moire_fail(error, MOIRE_ERROR_ARGUMENT,
                    "synthetic signals: %s: wanted a number from %.15g to %.15g, but %.15g came", name, least,
                    most, value);
}

static moire_status check_options(const moire__signals_options *o, moire_error *error) {
  moire_status status = check("records", (double)o->records, 1, 1e8, error);
  if (!status) status = check("length", (double)o->length, 16, 65536, error);
  if (!status) status = check("least snr", o->least_snr, -100, 100, error);
  if (!status) status = check("most snr", o->most_snr, o->least_snr, 100, error);
  if (!status) status = check("frequency", o->frequency, 0, 0.5, error);
  return status;
}

static moire_status write_records(const moire__signals_options *o, moire__tensor_writer *out,
                                  moire_error *error) {
  float complex *iq = moire__allocate_array((size_t)o->length, sizeof *iq);
  moire_status status = MOIRE_OK;
  for (int64_t record = 0; record < o->records && !status; record++) {
    moire__signal s = moire__signals_record(o, record, iq);
    int32_t label = (int32_t)s.label;
    float snr = (float)s.snr;
    status = moire__tensor_writer_append(out, 0, iq, NULL, 1, error);
    if (!status) status = moire__tensor_writer_append(out, 1, &label, NULL, 1, error);
    if (!status) status = moire__tensor_writer_append(out, 2, &snr, NULL, 1, error);
  }
  moire__release(iq);
  return status;
}

moire_status moire__signals_write(const moire__signals_options *o, const char *path, moire_error *error) {
  moire_status status = check_options(o, error);
  if (status) return status;
  const moire__st_tensor tensors[] = {
      {.name = "iq", .dtype = MOIRE__ST_C64, .rank = 2, .shape = {o->records, o->length}},
      {.name = "label", .dtype = MOIRE__ST_I32, .rank = 1, .shape = {o->records}},
      {.name = "snr", .dtype = MOIRE__ST_F32, .rank = 1, .shape = {o->records}}};
  moire__text labels = {0};
  for (int i = 0; i < MOIRE__MODULATIONS; i++)
    moire__text_add(&labels, "%s%s", i ? "," : "", moire__modulation_names[i]);
  const moire__st_metadata metadata[] = {{"labels", moire__text_string(&labels)}};
  moire__tensor_writer *out = NULL;
  status = moire__tensor_writer_open(path, tensors, 3, metadata, 1, &out, error);
  if (!status) status = write_records(o, out, error);
  status = moire__tensor_writer_close(out, status, error);
  moire__text_free(&labels);
  return status;
}
