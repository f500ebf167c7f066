/* Transforms of a few points, written out: straight code without loops.
 *
 *   2, 4    sums and differences; a product with -i exchanges planes
 *   odd p   with s_j = x_j + x_{p-j} and d_j = x_j - x_{p-j}, j = 1 .. (p - 1) / 2:
 *             y_k, y_{p-k} = (x_0 + sum_j cos(2 pi j k / p) s_j) -+ i sum_j sin(2 pi j k / p) d_j
 *   a b     x as [a, b]: a points along columns, roots of unity, b points along rows, transposed
 */
#include "ops/sequence/fft.h"

#include <math.h>

typedef moire__loop_value value;
typedef moire__complex_value number;

static const double pi = 3.14159265358979323846;

static value two(moire__loop_builder *b, moire__loop_op op, value x, value y) {
  return moire__loop_binary(b, op, x, y);
}
static value constant(moire__loop_builder *b, double x) { return moire__loop_const(b, MOIRE__LOOP_F32, x); }
static value fma3(moire__loop_builder *b, value x, value y, value z) {
  return moire__loop_ternary(b, MOIRE__LOOP_fma, x, y, z);
}

static number add(moire__loop_builder *b, number x, number y) {
  return (number){two(b, MOIRE__LOOP_add, x.re, y.re), two(b, MOIRE__LOOP_add, x.im, y.im)};
}

static number sub(moire__loop_builder *b, number x, number y) {
  return (number){two(b, MOIRE__LOOP_sub, x.re, y.re), two(b, MOIRE__LOOP_sub, x.im, y.im)};
}

/* x - i y and x + i y */
static number sub_i(moire__loop_builder *b, number x, number y) {
  return (number){two(b, MOIRE__LOOP_add, x.re, y.im), two(b, MOIRE__LOOP_sub, x.im, y.re)};
}

static number add_i(moire__loop_builder *b, number x, number y) {
  return (number){two(b, MOIRE__LOOP_sub, x.re, y.im), two(b, MOIRE__LOOP_add, x.im, y.re)};
}

static number scaled(moire__loop_builder *b, number x, double c) {
  value factor = constant(b, c);
  return (number){two(b, MOIRE__LOOP_mul, x.re, factor), two(b, MOIRE__LOOP_mul, x.im, factor)};
}

/* x exp(-2 pi i k / n), 0 <= k < n. */
static number rotated(moire__loop_builder *b, number x, int k, int n) {
  if (k == 0) return x;
  if (n % 2 == 0 && 2 * k >= n) {
    number half = rotated(b, x, k - n / 2, n);
    return (number){moire__loop_unary(b, MOIRE__LOOP_neg, half.re),
                    moire__loop_unary(b, MOIRE__LOOP_neg, half.im)};
  }
  if (4 * k == n) return (number){x.im, moire__loop_unary(b, MOIRE__LOOP_neg, x.re)};
  double c = cos(2 * pi * k / n), s = sin(2 * pi * k / n);
  if (8 * k == n || 8 * k == 3 * n) { /* (1 - i) / sqrt 2, -(1 + i) / sqrt 2 */
    number turned = 8 * k == n
                        ? sub_i(b, x, x)
                        : (number){two(b, MOIRE__LOOP_sub, x.im, x.re),
                                   moire__loop_unary(b, MOIRE__LOOP_neg, two(b, MOIRE__LOOP_add, x.re, x.im))};
    return scaled(b, turned, sqrt(0.5));
  }
  value cosine = constant(b, c);
  return (number){fma3(b, x.im, constant(b, s), two(b, MOIRE__LOOP_mul, x.re, cosine)),
                  fma3(b, x.re, constant(b, -s), two(b, MOIRE__LOOP_mul, x.im, cosine))};
}

static void of_two(moire__loop_builder *b, number *x) {
  number sum = add(b, x[0], x[1]), difference = sub(b, x[0], x[1]);
  x[0] = sum;
  x[1] = difference;
}

static void of_four(moire__loop_builder *b, number *x) {
  number even[2] = {x[0], x[2]}, odd[2] = {x[1], x[3]};
  of_two(b, even);
  of_two(b, odd);
  x[0] = add(b, even[0], odd[0]);
  x[2] = sub(b, even[0], odd[0]);
  x[1] = sub_i(b, even[1], odd[1]);
  x[3] = add_i(b, even[1], odd[1]);
}

static void of_odd(moire__loop_builder *b, number *x, int p) {
  enum { MOST_PAIRS = MOIRE__FFT_MOST_RADIX / 2 };
  number sums[MOST_PAIRS], differences[MOST_PAIRS], first = x[0];
  int pairs = (p - 1) / 2;
  for (int j = 1; j <= pairs; j++) {
    sums[j - 1] = add(b, x[j], x[p - j]);
    differences[j - 1] = sub(b, x[j], x[p - j]);
    x[0] = add(b, x[0], sums[j - 1]);
  }
  for (int k = 1; k <= pairs; k++) {
    number even = first, odd = {0};
    for (int j = 1; j <= pairs; j++) {
      double angle = 2 * pi * (j * k % p) / p;
      value c = constant(b, cos(angle)), s = constant(b, sin(angle));
      number d = differences[j - 1];
      even = (number){fma3(b, sums[j - 1].re, c, even.re), fma3(b, sums[j - 1].im, c, even.im)};
      odd = j == 1 ? scaled(b, d, sin(angle)) : (number){fma3(b, d.re, s, odd.re), fma3(b, d.im, s, odd.im)};
    }
    x[k] = sub_i(b, even, odd);
    x[p - k] = add_i(b, even, odd);
  }
}

/* A factor of n that is not n: 4 where it can be, else the least; 0 if n is prime. */
static int factor_of(int n) {
  if (n % 4 == 0) return 4;
  for (int f = 2; f < n; f++)
    if (n % f == 0) return f;
  return 0;
}

void moire__fft_short(moire__loop_builder *b, number *x, int n) {
  if (n == 1) return;
  if (n == 2) {
    of_two(b, x);
    return;
  }
  if (n == 4) {
    of_four(b, x);
    return;
  }
  int columns = factor_of(n), rows = columns ? n / columns : 0;
  if (!columns) {
    of_odd(b, x, n);
    return;
  }
  number y[MOIRE__FFT_MOST_RADIX];
  for (int c = 0; c < columns; c++) { /* rows points of each column */
    number column[MOIRE__FFT_MOST_RADIX];
    for (int r = 0; r < rows; r++) column[r] = x[r * columns + c];
    moire__fft_short(b, column, rows);
    for (int r = 0; r < rows; r++) {
      y[r * columns + c] = rotated(b, column[r], r * c % n, n);
    }
  }
  for (int r = 0; r < rows; r++) {
    moire__fft_short(b, &y[r * columns], columns);
    for (int c = 0; c < columns; c++) x[r + rows * c] = y[r * columns + c];
  }
}
