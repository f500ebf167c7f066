/* Panels of eight bits: products of bytes where the processor has them, and plain C; and scores in float32. See
 * panels.h. */
#include "runtime/items/panels.h"

#include "runtime/items/table.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum { PANEL = MOIRE__ITEMS_PANEL, LANES = MOIRE__ITEMS_LANES };

/* ---- Plain C ------------------------------------------------------------------------------------------------
 */

static inline __attribute__((always_inline)) void walk_plainly(moire__items_group *g) {
  for (int64_t p = 0; p < g->panels; p++) {
    const uint8_t *codes = g->codes + p * g->words * 4 * PANEL;
    const float *scales = g->scales + p * PANEL, *bounds = g->bounds + 2 * p;
    for (int q = 0; q < g->n; q++) {
      int32_t sums[PANEL];
      unsigned rows = 0;
      for (int r = 0; r < PANEL; r++) sums[r] = g->start[q];
      for (int64_t j = 0; j < g->words; j++) {
        const int8_t *y = (const int8_t *)(g->query + j * g->n + q);
        const uint8_t *c = codes + j * 4 * PANEL;
        for (int r = 0; r < PANEL; r++)
          sums[r] += c[4 * r] * y[0] + c[4 * r + 1] * y[1] + c[4 * r + 2] * y[2] + c[4 * r + 3] * y[3];
      }
      float extra = g->a[q] * bounds[0] + g->b[q] * bounds[1];
      for (int r = 0; r < PANEL; r++)
        rows |= (unsigned)!(scales[r] * (g->t[q] * (float)sums[r] + extra) < g->floor[q]) << r;
      if (rows) g->visit(g, q, p, rows);
    }
  }
}

static void walk_generic(moire__items_group *g) { walk_plainly(g); }

/* The sum of lanes, in halves. */
static inline __attribute__((always_inline)) float add_lanes(float *lanes) {
  for (int l = 0; l < 8; l++) lanes[l] += lanes[l + 8];
  for (int l = 0; l < 4; l++) lanes[l] += lanes[l + 4];
  return (lanes[0] + lanes[2]) + (lanes[1] + lanes[3]);
}

/* Also of what is no number. */
static unsigned not_below(const float *scores, int n, float floor) {
  unsigned rows = 0;
  for (int i = 0; i < n; i++) rows |= (unsigned)!(scores[i] < floor) << i;
  return rows;
}

static inline __attribute__((always_inline)) unsigned
score_plainly(const float *x, const float *w, int64_t stride, int n, float floor, float *scores) {
  for (int i = 0; i < n; i++, w += stride) {
    float lanes[LANES] = {0};
    for (int64_t k = 0; k < stride; k += LANES)
      for (int l = 0; l < LANES; l++) {
        float product = x[k + l] * w[k + l];
        lanes[l] += product;
      }
    scores[i] = add_lanes(lanes);
  }
  return not_below(scores, n, floor);
}

static unsigned score_generic(const float *x, const float *w, int64_t stride, int n, float floor,
                              float *scores) {
  return score_plainly(x, w, stride, n, floor, scores);
}

#if defined(__x86_64__)

#define AVX2 __attribute__((target("avx2")))

AVX2 static void walk_avx2(moire__items_group *g) { walk_plainly(g); }

AVX2 static unsigned score_avx2(const float *x, const float *w, int64_t stride, int n, float floor,
                                float *scores) {
  return score_plainly(x, w, stride, n, floor, scores);
}

/* ---- AVX-512 ------------------------------------------------------------------------------------------------
 */

#define AVX512 __attribute__((target("avx512f,avx512bw,avx512vl,avx512vnni")))

/* sum + products of unsigned c and the four signed bytes at y, by lanes. Said in the processor's words, since
 * GCC 12 moves the sum from one register to another around its intrinsic. */
static inline __attribute__((always_inline)) AVX512 __m512i add_products(__m512i sum, __m512i c,
                                                                         const int32_t *y) {
  __asm__("vpdpbusd %1%{1to16%}, %2, %0" : "+v"(sum) : "m"(*y), "v"(c));
  return sum;
}

/* `n` is a constant where this is inlined: the sums stay in registers, a load of codes serves all queries. */
static inline __attribute__((always_inline)) AVX512 void walk_bytes(moire__items_group *g, const int n) {
  for (int64_t p = 0; p < g->panels; p++) {
    const uint8_t *codes = g->codes + p * g->words * 4 * PANEL;
    __m512i sums[MOIRE__ITEMS_GROUP];
#pragma GCC unroll 16
    for (int q = 0; q < n; q++) sums[q] = _mm512_set1_epi32(g->start[q]);
    const int32_t *query = g->query;
    for (int64_t j = 0; j < g->words; j++, query += n) {
      __m512i c = _mm512_loadu_si512(codes + j * 4 * PANEL);
#pragma GCC unroll 16
      for (int q = 0; q < n; q++) sums[q] = add_products(sums[q], c, query + q);
    }
    __m512 scales = _mm512_loadu_ps(g->scales + p * PANEL);
    __m512 norm = _mm512_set1_ps(g->bounds[2 * p]), off = _mm512_set1_ps(g->bounds[2 * p + 1]);
    unsigned rows[MOIRE__ITEMS_GROUP], any = 0;
#pragma GCC unroll 16
    for (int q = 0; q < n; q++) {
      __m512 extra =
          _mm512_fmadd_ps(_mm512_set1_ps(g->b[q]), off, _mm512_mul_ps(_mm512_set1_ps(g->a[q]), norm));
      __m512 bound = _mm512_fmadd_ps(_mm512_set1_ps(g->t[q]), _mm512_cvtepi32_ps(sums[q]), extra);
      rows[q] = _mm512_cmp_ps_mask(_mm512_mul_ps(bound, scales), _mm512_set1_ps(g->floor[q]), _CMP_NLT_UQ);
      any |= rows[q];
    }
    for (int q = 0; any && q < n; q++) /* behind the sums, which no call may drive out of their registers */
      if (rows[q]) g->visit(g, q, p, rows[q]);
  }
}

AVX512 static void walk_vnni(moire__items_group *g) {
  if (g->n == 1)
    walk_bytes(g, 1);
  else
    walk_bytes(g, MOIRE__ITEMS_GROUP);
}

/* The lanes of a row: x[k] w[k] in order. */
static inline __attribute__((always_inline)) AVX512 __m512 sum_lanes(const float *x, const float *w,
                                                                     int64_t stride) {
  __m512 sum = _mm512_setzero_ps();
  for (int64_t k = 0; k < stride; k += LANES)
    sum = _mm512_add_ps(sum, _mm512_mul_ps(_mm512_loadu_ps(x + k), _mm512_loadu_ps(w + k)));
  return sum;
}

/* Four rows: their lanes l and l + 8, then l + 4 added, which leaves 4 a row. */
static inline __attribute__((always_inline)) AVX512 __m512 add_eighths(__m512 a, __m512 b, __m512 c, __m512 d) {
  enum { LOW = 0x44, HIGH = 0xEE, EVEN = 0x88, ODD = 0xDD };
  __m512 ab = _mm512_add_ps(_mm512_shuffle_f32x4(a, b, LOW), _mm512_shuffle_f32x4(a, b, HIGH));
  __m512 cd = _mm512_add_ps(_mm512_shuffle_f32x4(c, d, LOW), _mm512_shuffle_f32x4(c, d, HIGH));
  return _mm512_add_ps(_mm512_shuffle_f32x4(ab, cd, EVEN), _mm512_shuffle_f32x4(ab, cd, ODD));
}

/* Their four fours: lanes l and l + 2, then l + 1. Number 4 i + m is of row i of four m. */
static inline __attribute__((always_inline)) AVX512 __m512 add_pairs(const __m512 *p) {
  enum { LOW = 0x44, HIGH = 0xEE, EVEN = 0x88, ODD = 0xDD };
  __m512 r = _mm512_add_ps(_mm512_shuffle_ps(p[0], p[1], LOW), _mm512_shuffle_ps(p[0], p[1], HIGH));
  __m512 s = _mm512_add_ps(_mm512_shuffle_ps(p[2], p[3], LOW), _mm512_shuffle_ps(p[2], p[3], HIGH));
  return _mm512_add_ps(_mm512_shuffle_ps(r, s, EVEN), _mm512_shuffle_ps(r, s, ODD));
}

/* 16 rows, which are read one after the other: in another order they would not be fetched ahead. */
static inline __attribute__((always_inline)) AVX512 __m512 score_panel(const float *x, const float *w,
                                                                       int64_t stride) {
  __m512 rows[PANEL], fours[4];
#pragma GCC unroll 16
  for (int i = 0; i < PANEL; i++) rows[i] = sum_lanes(x, w + i * stride, stride);
#pragma GCC unroll 4
  for (int m = 0; m < 4; m++) fours[m] = add_eighths(rows[m], rows[m + 4], rows[m + 8], rows[m + 12]);
  return add_pairs(fours);
}

AVX512 static unsigned score_avx512(const float *x, const float *w, int64_t stride, int n, float floor,
                                    float *scores) {
  if (n == PANEL) {
    __m512 all = score_panel(x, w, stride);
    _mm512_storeu_ps(scores, all);
    return _mm512_cmp_ps_mask(all, _mm512_set1_ps(floor), _CMP_NLT_UQ);
  }
  for (int i = 0; i < n; i++) {
    __m512 sum = sum_lanes(x, w + i * stride, stride);
    __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(sum),
                                 _mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(sum), 1)));
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    scores[i] = _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
  }
  return not_below(scores, n, floor);
}

static int has_avx512(void) {
  return __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl");
}
#endif

moire__items_walk *moire__items_find_walk(void) {
#if defined(__x86_64__)
  if (has_avx512()) return walk_vnni;
  if (__builtin_cpu_supports("avx2")) return walk_avx2;
#endif
  return walk_generic;
}

moire__items_score *moire__items_find_score(void) {
#if defined(__x86_64__)
  if (has_avx512()) return score_avx512;
  if (__builtin_cpu_supports("avx2")) return score_avx2;
#endif
  return score_generic;
}
