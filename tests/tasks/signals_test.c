/* Synthetic signals: numbered, balanced, of mean power 1, and what the name of each modulation says. */
#include <criterion/criterion.h>

#include "tasks/tensors/signals.h"
#include "tests/support/files.h"

#include "moire/files.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

enum { LENGTH = 128 };
static const double pi = 3.14159265358979323846;

static test_path directory;

static void set_up(void) {
  test_make_directory(directory);
  cr_assert_eq(chdir(directory), 0);
}
static void tear_down(void) { test_remove_directory(directory); }
TestSuite(signals, .init = set_up, .fini = tear_down);

/* Signals almost without noise. */
static moire__signals_options clean(void) {
  moire__signals_options o = moire__signals_defaults();
  o.least_snr = o.most_snr = 80;
  return o;
}

/* The symbols of record `record` as they were sent, but for the scale, and rounded by noise: phase and
 * frequency are taken back, and the samples interpolated at the instants of symbols. Returns how many. */
static int receive(const moire__signals_options *o, int64_t record, moire__signal *made,
                   double complex *symbols) {
  float complex iq[LENGTH];
  *made = moire__signals_record(o, record, iq);
  int n = 0;
  for (int k = 8; k < LENGTH / MOIRE__SYMBOL_SAMPLES - 8; k++) {
    double at = (k + made->timing) * MOIRE__SYMBOL_SAMPLES;
    symbols[n] = 0;
    for (int i = 0; i < LENGTH; i++) {
      double t = at - i, sinc = fabs(t) < 1e-9 ? 1 : sin(pi * t) / (pi * t);
      double window = fabs(t) < 32 ? (1 + cos(pi * t / 32)) / 2 : 0;
      symbols[n] +=
          sinc * window * (double complex)iq[i] * cexp(-I * (made->phase + 2 * pi * made->frequency * i));
    }
    n++;
  }
  return n;
}

/* The distance of x to the nearest of scale times -(n - 1), ..., -1, 1, ..., n - 1. */
static double miss(double x, double scale, int n) {
  double least = INFINITY;
  for (int i = 1 - n; i < n; i += 2) least = fmin(least, fabs(x - scale * i));
  return least;
}

/* How far symbols stand from a constellation of levels `re` by `im` (0: none) at the best scale. */
static double grid_miss(const double complex *symbols, int n, int re, int im) {
  double best = INFINITY;
  for (double scale = 0.05; scale < 1.2; scale += 0.001) {
    double worst = 0;
    for (int i = 0; i < n; i++) {
      worst = fmax(worst, miss(creal(symbols[i]), scale, re));
      worst = fmax(worst, im ? miss(cimag(symbols[i]), scale, im) : fabs(cimag(symbols[i])));
    }
    best = fmin(best, worst / scale);
  }
  return best;
}

static double deviation_of_moduli(const double complex *x, int n) {
  double sum = 0, squares = 0;
  for (int i = 0; i < n; i++) {
    sum += cabs(x[i]);
    squares += cabs(x[i]) * cabs(x[i]);
  }
  return sqrt(fmax(0, squares / n - sum * sum / n / n));
}

Test(signals, symbols_stand_in_the_constellation_of_their_label) {
  moire__signals_options o = clean();
  int seen[MOIRE__MODULATIONS] = {0};
  for (int64_t record = 0; record < 64; record++) {
    double complex s[LENGTH];
    moire__signal made;
    int n = receive(&o, record, &made, s);
    seen[made.label]++;
    double turned = 0;
    switch (made.label) {
      case MOIRE__BPSK: cr_assert_lt(grid_miss(s, n, 2, 0), 0.1); break;
      case MOIRE__4PAM: cr_assert_lt(grid_miss(s, n, 4, 0), 0.1); break;
      case MOIRE__QPSK: cr_assert_lt(grid_miss(s, n, 2, 2), 0.1); break;
      case MOIRE__16QAM: cr_assert_lt(grid_miss(s, n, 4, 4), 0.1); break;
      case MOIRE__64QAM: cr_assert_lt(grid_miss(s, n, 8, 8), 0.2); break;
      case MOIRE__8PSK:
        cr_assert_lt(deviation_of_moduli(s, n), 0.02);
        for (int i = 0; i < n; i++) turned = fmax(turned, fabs(remainder(carg(s[i]), pi / 4)));
        cr_assert_lt(turned, 0.05);
        break;
      case MOIRE__GFSK:
      case MOIRE__OFDM: break;
    }
  }
  for (int i = 0; i < MOIRE__MODULATIONS; i++) cr_assert_eq(seen[i], 8);
}

/* No constellation passes for a smaller one. */
Test(signals, the_constellations_differ) {
  moire__signals_options o = clean();
  for (int64_t record = 0; record < 64; record++) {
    double complex s[LENGTH];
    moire__signal made;
    int n = receive(&o, record, &made, s);
    if (made.label == MOIRE__16QAM || made.label == MOIRE__8PSK) cr_assert_gt(grid_miss(s, n, 2, 2), 0.2);
    if (made.label == MOIRE__QPSK) cr_assert_gt(grid_miss(s, n, 2, 0), 0.2);
    if (made.label == MOIRE__4PAM) cr_assert_gt(grid_miss(s, n, 2, 0), 0.2);
  }
}

Test(signals, frequency_keying_has_one_modulus_and_many_carriers_have_not) {
  moire__signals_options o = clean();
  for (int64_t record = 0; record < 64; record++) {
    float complex iq[LENGTH];
    double complex x[LENGTH];
    moire__signal made = moire__signals_record(&o, record, iq);
    for (int i = 0; i < LENGTH; i++) x[i] = (double complex)iq[i];
    if (made.label == MOIRE__GFSK) cr_assert_lt(deviation_of_moduli(x, LENGTH), 0.001);
    if (made.label == MOIRE__OFDM) cr_assert_gt(deviation_of_moduli(x, LENGTH), 0.3);
  }
}

/* The carriers of a block lie on multiples of 1/64 of a cycle a sample, and the one in the middle is empty. */
Test(signals, many_carriers_are_orthogonal) {
  moire__signals_options o = clean();
  o.frequency = 0;
  int blocks = 0;
  for (int64_t record = 0; record < 64; record++) {
    float complex iq[LENGTH];
    if (moire__signals_record(&o, record, iq).label != MOIRE__OFDM) continue;
    double least = INFINITY;
    for (int first = 0; first <= LENGTH - 64; first++) {
      double outside = 0;
      for (int k = 11; k < 54; k++) { /* all but -10 to 10 */
        double complex sum = 0;
        for (int i = 0; i < 64; i++) sum += (double complex)iq[first + i] * cexp(-2 * I * pi * k * i / 64);
        outside += cabs(sum) * cabs(sum) / 64 / 64;
      }
      least = fmin(least, outside);
    }
    cr_assert_lt(least, 1e-6);
    blocks++;
  }
  cr_assert_eq(blocks, 8);
}

Test(signals, mean_power_is_one_and_noise_is_as_loud_as_it_says) {
  moire__signals_options o = moire__signals_defaults();
  double heard = 0, meant = 0;
  int noisy = 0;
  for (int64_t record = 0; record < 2000; record++) {
    float complex iq[LENGTH];
    moire__signal made = moire__signals_record(&o, record, iq);
    double power = 0, jumps = 0;
    for (int i = 0; i < LENGTH; i++) power += creal(iq[i]) * creal(iq[i]) + cimag(iq[i]) * cimag(iq[i]);
    cr_assert_float_eq(power / LENGTH, 1, 1e-5);
    cr_assert(made.snr >= -10 && made.snr <= 20 && fmod(made.snr, 2) == 0);
    cr_assert(fabs(made.frequency) <= 0.01 && made.timing >= 0 && made.timing < 1);
    /* High frequencies hold noise alone: the mean power of x[i - 1] - 2 x[i] + x[i + 1] is 6 times its. */
    for (int i = 1; i + 1 < LENGTH; i++) {
      double complex d = (double complex)iq[i - 1] - 2 * (double complex)iq[i] + (double complex)iq[i + 1];
      jumps += cabs(d) * cabs(d) / (LENGTH - 2) / 6;
    }
    double share = pow(10, -made.snr / 10);
    if (made.snr > -4) continue;
    heard += jumps;
    meant += share / (1 + share);
    noisy++;
  }
  cr_assert_gt(noisy, 100);
  cr_assert_float_eq(heard / noisy, meant / noisy, 0.02);
}

static moire_tensors *write_file(const moire__signals_options *o, const char *path) {
  moire_error error = {0};
  cr_assert_eq(moire__signals_write(o, path, &error), MOIRE_OK, "%s", error.message);
  moire_tensors *file = moire_tensors_open(path, &error);
  cr_assert_not_null(file, "%s", error.message);
  return file;
}

Test(signals, a_record_does_not_depend_on_how_many_there_are) {
  moire__signals_options o = moire__signals_defaults();
  o.records = 100;
  moire_tensors *few = write_file(&o, "few");
  o.records = 164;
  moire_tensors *many = write_file(&o, "many");
  static const char *const names[] = {"iq", "label", "snr"};
  for (int i = 0; i < 3; i++) {
    moire_tensor a = moire_tensors_at(few, moire_tensors_find(few, names[i]));
    moire_tensor b = moire_tensors_at(many, moire_tensors_find(many, names[i]));
    cr_assert_eq(a.shape[0], 100);
    cr_assert_eq(b.shape[0], 164);
    cr_assert_eq(a.type, i == 0 ? MOIRE_ELEMENT_C64 : i == 1 ? MOIRE_ELEMENT_I32 : MOIRE_ELEMENT_F32);
    size_t bytes = (size_t)moire_tensor_elements(&a) * moire_element_bytes(a.type);
    cr_assert_eq(memcmp(a.data, b.data, bytes), 0, "%s", names[i]);
  }
  cr_assert_str_eq(moire_tensors_metadata(few, "labels"), "BPSK,QPSK,8PSK,16QAM,64QAM,4PAM,GFSK,OFDM");
  float complex iq[LENGTH];
  moire_tensor all = moire_tensors_at(many, moire_tensors_find(many, "iq"));
  moire__signals_record(&o, 163, iq);
  cr_assert_eq(memcmp((const float complex *)all.data + (size_t)163 * LENGTH, iq, sizeof iq), 0);
  o.seed++;
  moire__signals_record(&o, 163, iq);
  cr_assert_neq(memcmp((const float complex *)all.data + (size_t)163 * LENGTH, iq, sizeof iq), 0);
  moire_tensors_close(few);
  moire_tensors_close(many);
}

Test(signals, options_out_of_range_are_named) {
  const moire__signals_options good = moire__signals_defaults();
  struct {
    moire__signals_options options;
    const char *word;
  } cases[] = {
      {good, "records"}, {good, "length"}, {good, "least snr"}, {good, "most snr"}, {good, "frequency"}};
  cases[0].options.records = 0;
  cases[1].options.length = 15;
  cases[2].options.least_snr = NAN;
  cases[3].options.most_snr = -11;
  cases[4].options.frequency = 0.6;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    moire_error error = {0};
    cr_assert_eq(moire__signals_write(&cases[i].options, "none", &error), MOIRE_ERROR_ARGUMENT);
    cr_assert_neq(access("none", F_OK), 0);
    cr_assert_not_null(strstr(error.message, cases[i].word), "%s", error.message);
  }
}
