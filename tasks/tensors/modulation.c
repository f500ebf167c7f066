/* The eight modulations. See signals.h. */
#include "tasks/tensors/signals.h"

#include "runtime/base/memory.h"

#include <math.h>
#include <stdbool.h>

static const double pi = 3.14159265358979323846, roll_off = 0.35;
enum { REACH = 8 }; /* symbols that a pulse reaches to either side */

const char *const moire__modulation_names[MOIRE__MODULATIONS] = {"BPSK",  "QPSK", "8PSK", "16QAM",
                                                                 "64QAM", "4PAM", "GFSK", "OFDM"};

/* One of -(n - 1), ..., -1, 1, ..., n - 1. */
static double level(moire__random *random, int n) {
  return 2 * (double)moire__random_below(random, (uint64_t)n) - (n - 1);
}

/* A point of the constellation, whose mean power is 1. */
static double complex draw_symbol(moire__modulation modulation, moire__random *random) {
  double re = 0, im = 0;
  switch (modulation) {
    case MOIRE__BPSK: return level(random, 2);
    case MOIRE__4PAM: return level(random, 4) / sqrt(5);
    case MOIRE__8PSK: return cexp(I * pi / 4 * (double)moire__random_below(random, 8));
    case MOIRE__16QAM: re = level(random, 4), im = level(random, 4); return (re + I * im) / sqrt(10);
    case MOIRE__64QAM: re = level(random, 8), im = level(random, 8); return (re + I * im) / sqrt(42);
    case MOIRE__QPSK:
    case MOIRE__OFDM:
    case MOIRE__GFSK: break;
  }
  re = level(random, 2), im = level(random, 2);
  return (re + I * im) / sqrt(2);
}

/* sinc(t) cos(pi a t) / (1 - (2 a t)^2), t in symbols; 1 at 0, 0 at all other whole t. */
static double raised_cosine(double t) {
  double sinc = fabs(t) < 1e-9 ? 1 : sin(pi * t) / (pi * t), below = 1 - 4 * roll_off * roll_off * t * t;
  if (fabs(below) < 1e-6) return pi / 4 * sinc;
  return sinc * cos(pi * roll_off * t) / below;
}

/* A symbol's share of the frequency: a rectangle of one symbol through a Gaussian filter with BT 0.5. */
static double gaussian_pulse(double t) {
  const double steep = pi * 0.5 * sqrt(2 / log(2));
  return (erf(steep * (t + 0.5)) - erf(steep * (t - 0.5))) / 2;
}

/* out[n] = sum over k of symbols[k] pulse(at(n) - k), where symbol 0 stands at t = -REACH. */
static void shape(const double complex *symbols, double (*pulse)(double), double timing, int64_t length,
                  double complex *out) {
  double taps[MOIRE__SYMBOL_SAMPLES][2 * REACH + 1];
  for (int i = 0; i < MOIRE__SYMBOL_SAMPLES; i++) {
    for (int j = 0; j <= 2 * REACH; j++)
      taps[i][j] = pulse((double)i / MOIRE__SYMBOL_SAMPLES - timing + REACH - j);
  }
  for (int64_t n = 0; n < length; n++) {
    const double complex *from = symbols + n / MOIRE__SYMBOL_SAMPLES;
    out[n] = 0;
    for (int j = 0; j <= 2 * REACH; j++) out[n] += from[j] * taps[n % MOIRE__SYMBOL_SAMPLES][j];
  }
}

/* The phase is the sum of the frequency, which the pulses of +1 and -1 are, times pi / 2 a symbol. */
static void turn(int64_t length, double complex *frequency) {
  double phase = 0;
  for (int64_t n = 0; n < length; n++) {
    phase += pi / 2 / MOIRE__SYMBOL_SAMPLES * creal(frequency[n]);
    frequency[n] = cexp(I * phase);
  }
}

static void multiplex(double timing, moire__random *random, int64_t length, double complex *out) {
  enum { BODY = 64, PREFIX = 16, SIDE = 10 };
  double complex carriers[2 * SIDE] = {0};
  /* The first block began up to a block before the record. */
  int64_t begun = (int64_t)moire__random_below(random, BODY + PREFIX);
  for (int64_t n = 0; n < length; n++) {
    int64_t at = (begun + n) % (BODY + PREFIX);
    for (int k = 0; k < 2 * SIDE && (n == 0 || at == 0); k++) carriers[k] = draw_symbol(MOIRE__QPSK, random);
    double turns = ((double)(at - PREFIX) - timing * MOIRE__SYMBOL_SAMPLES) / BODY;
    out[n] = 0;
    for (int k = 0; k < 2 * SIDE; k++) {
      int frequency = k < SIDE ? k - SIDE : k - SIDE + 1; /* -10 to -1, 1 to 10 */
      out[n] += carriers[k] * cexp(I * 2 * pi * frequency * turns) / sqrt(2 * SIDE);
    }
  }
}

void moire__modulate(moire__modulation modulation, double timing, moire__random *random, int64_t length,
                     double complex *out) {
  if (modulation == MOIRE__OFDM) {
    multiplex(timing, random, length, out);
    return;
  }
  int64_t n = length / MOIRE__SYMBOL_SAMPLES + 2 * REACH + 2;
  double complex *symbols = moire__allocate_array((size_t)n, sizeof *symbols);
  bool turned = modulation == MOIRE__GFSK;
  for (int64_t i = 0; i < n; i++) symbols[i] = draw_symbol(turned ? MOIRE__BPSK : modulation, random);
  shape(symbols, turned ? gaussian_pulse : raised_cosine, timing, length, out);
  if (turned) turn(length, out);
  moire__release(symbols);
}
