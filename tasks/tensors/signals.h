/* Synthetic radio signals: what a receiver has before it knows how they are modulated.
 *
 * A record is `length` complex samples, four a symbol, of one of eight modulations:
 *
 *   x = g (s(t) e^(i (phase + 2 pi frequency n)) + noise),   t = n / 4 - timing symbols
 *
 * s has mean power 1 over the record, noise is white and complex with power 10^(-snr / 10), and g makes the
 * mean power of x 1. The phase is uniform, timing is uniform in [0, 1), frequency in [-frequency, frequency].
 *   BPSK, QPSK, 8PSK, 16QAM, 64QAM, 4PAM: symbols by a raised cosine of roll-off 0.35, the pulse of a pair of
 *     root-raised-cosine filters, so that the constellation stands at the instants of symbols
 *   GFSK: index 0.5, a Gaussian filter with BT 0.5
 *   OFDM: 20 carriers of QPSK about an empty one in the middle, as wide as the others; 64 samples and a prefix
 *     of 16
 * A record depends on the seed, its number and the options but for `records`, so that a larger file begins with
 * the records of a smaller one. Each eight records from the first on have the eight labels, in random order.
 */
#ifndef MOIRE_TASKS_TENSORS_SIGNALS_H
#define MOIRE_TASKS_TENSORS_SIGNALS_H

#include "moire/status.h"
#include "runtime/base/philox.h"

#include <complex.h>
#include <stdint.h>

typedef enum moire__modulation {
  MOIRE__BPSK,
  MOIRE__QPSK,
  MOIRE__8PSK,
  MOIRE__16QAM,
  MOIRE__64QAM,
  MOIRE__4PAM,
  MOIRE__GFSK,
  MOIRE__OFDM,
} moire__modulation;
enum { MOIRE__MODULATIONS = 8, MOIRE__SYMBOL_SAMPLES = 4 };

typedef struct moire__signals_options {
  int64_t records;            /* 1 to 100 million */
  int64_t length;             /* samples of a record, 16 to 65536 */
  double least_snr, most_snr; /* dB, -100 to 100; records have least_snr, or 2, 4, ... more, up to most_snr */
  double frequency;           /* the largest offset, cycles a sample, 0 to 0.5 */
  uint64_t seed;
} moire__signals_options;

/* 40000 records of 128 samples, -10 to 20 dB, 0.01 cycles a sample, seed 1. */
moire__signals_options moire__signals_defaults(void);

/* What a record was made with. */
typedef struct moire__signal {
  moire__modulation label;
  double snr, phase, frequency, timing;
} moire__signal;

/* Record `record`, from 0: iq[length]. The options must be in range. */
moire__signal moire__signals_record(const moire__signals_options *options, int64_t record, float complex *iq);

/* Writes a safetensors file: iq C64[records, length], label I32[records], snr F32[records], with the names of
 * the labels, by commas, as its metadata "labels". An option out of range is an error that names it. */
moire_status moire__signals_write(const moire__signals_options *options, const char *path, moire_error *error);

/* ---- modulation.c ----------------------------------------------------------------------------------------
 */

extern const char *const moire__modulation_names[MOIRE__MODULATIONS];

/* The signal at t = n / 4 - timing for n from 0 to length, of symbols that `random` draws: out[length]. Its
 * mean power is 1 but for chance. */
void moire__modulate(moire__modulation modulation, double timing, moire__random *random, int64_t length,
                     double complex *out);

#endif
