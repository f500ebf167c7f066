/* Panels of eight bits: products of bytes where the processor has them, and plain C. See panels.h; and the
 * score of a row in float32. */
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
static float add_lanes(float *lanes) {
  for (int half = LANES / 2; half; half /= 2)
    for (int l = 0; l < half; l++) lanes[l] += lanes[l + half];
  return lanes[0];
}

static float dot_generic(const float *x, const float *w, int64_t stride) {
  float lanes[LANES] = {0};
  for (int64_t k = 0; k < stride; k += LANES)
    for (int l = 0; l < LANES; l++) {
      float product = x[k + l] * w[k + l];
      lanes[l] += product;
    }
  return add_lanes(lanes);
}

#if defined(__x86_64__)

__attribute__((target("avx2"))) static void walk_avx2(moire__items_group *g) { walk_plainly(g); }

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

__attribute__((target("avx512f"))) static float dot_avx512(const float *x, const float *w, int64_t stride) {
  float lanes[LANES];
  __m512 sum = _mm512_setzero_ps();
  for (int64_t k = 0; k < stride; k += LANES)
    sum = _mm512_add_ps(sum, _mm512_mul_ps(_mm512_loadu_ps(x + k), _mm512_loadu_ps(w + k)));
  __m256 low = _mm512_castps512_ps256(sum);
  __m256 high = _mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(sum), 1));
  _mm256_storeu_ps(lanes, _mm256_add_ps(low, high));
  for (int half = LANES / 4; half; half /= 2)
    for (int l = 0; l < half; l++) lanes[l] += lanes[l + half];
  return lanes[0];
}
#endif

moire__items_walk *moire__items_find_walk(void) {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512vl"))
    return walk_vnni;
  if (__builtin_cpu_supports("avx2")) return walk_avx2;
#endif
  return walk_generic;
}

moire__items_dot *moire__items_find_dot(void) {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f")) return dot_avx512;
#endif
  return dot_generic;
}
