/* What the fast Fourier transforms share: how a length is taken apart, and the short transforms that the parts
 * are. All are forward, exp(-2 pi i ..); the inverse is the forward one of planes that are exchanged, before
 * and after. */
#ifndef MOIRE_OPS_SEQUENCE_FFT_H
#define MOIRE_OPS_SEQUENCE_FFT_H

#include "compiler/ir/op.h"

enum {
  MOIRE__FFT_MOST_RADIX = 16,   /* points of a short transform: what registers hold, or nearly */
  MOIRE__FFT_MOST_RADICES = 12, /* of a length up to ... */
  MOIRE__FFT_MOST_POINTS = 2048 /* ... this, whose vectors of 16 a thread keeps in its cache */
};

/* The lengths of the short transforms whose product n is, the fastest way; 0 of them for 1. -1: n has a prime
 * factor that none of them has, or is more than MOIRE__FFT_MOST_POINTS. */
int moire__fft_radices(int64_t n, int radices[MOIRE__FFT_MOST_RADICES]);
/* About how many instructions each point costs; 0 where moire__fft_radices is -1, or n is 1. */
double moire__fft_cost(int64_t n);

typedef struct moire__complex_value {
  moire__loop_value re, im;
} moire__complex_value;

/* cos_turn or sin_turn of whole numbers k of n parts of a turn. */
moire_value moire__fft_turn(moire__op op, moire_value k, int64_t n);

/* x = its transform, of 1 to MOIRE__FFT_MOST_RADIX points without prime factors above 13. */
void moire__fft_short(moire__loop_builder *b, moire__complex_value *x, int n);

#endif
