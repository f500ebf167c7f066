/* See amx_unit.h. */
#include "tests/support/amx/amx_unit.h"

#if defined(__x86_64__)

#include <immintrin.h>
#include <stdatomic.h>
#include <string.h>

enum { TILES = 8, ROWS = 16, ROW_BYTES = 64, WORDS = ROW_BYTES / 4, COLUMN_BYTES = 16, ROW_COUNTS = 48 };

typedef struct tile_state {
  uint8_t palette, start_row;
  uint16_t column_bytes[TILES];
  uint8_t rows[TILES];
  _Alignas(64) uint8_t data[TILES][ROWS][ROW_BYTES];
} tile_state;

static _Thread_local tile_state tiles;
static atomic_llong products;

static bool is_configured(int tile) { return tiles.palette == 1 && tile < TILES && tiles.rows[tile] != 0; }

bool test_amx_configure(const uint8_t *from) {
  tile_state read = {.palette = from[0], .start_row = from[1]};
  memcpy(read.column_bytes, from + COLUMN_BYTES, sizeof read.column_bytes);
  memcpy(read.rows, from + ROW_COUNTS, sizeof read.rows);
  bool good = read.palette <= 1;
  for (int t = 0; t < TILES; t++) {
    good = good && read.column_bytes[t] <= ROW_BYTES && read.rows[t] <= ROWS;
    good = good && (read.column_bytes[t] == 0) == (read.rows[t] == 0);
  }
  for (int b = 2; b < 64; b++) {
    bool reserved =
        b < COLUMN_BYTES || (b >= COLUMN_BYTES + 2 * TILES && b < ROW_COUNTS) || b >= ROW_COUNTS + TILES;
    good = good && !(reserved && from[b]);
  }
  if (good) tiles = read.palette ? read : (tile_state){0};
  return good;
}

bool test_amx_store_configuration(uint8_t *to) {
  memset(to, 0, 64);
  to[0] = tiles.palette;
  to[1] = tiles.start_row;
  memcpy(to + COLUMN_BYTES, tiles.column_bytes, sizeof tiles.column_bytes);
  memcpy(to + ROW_COUNTS, tiles.rows, sizeof tiles.rows);
  return true;
}

bool test_amx_release(void) {
  tiles = (tile_state){0};
  return true;
}

bool test_amx_zero(int tile) {
  if (!is_configured(tile)) return false;
  memset(tiles.data[tile], 0, sizeof tiles.data[tile]);
  tiles.start_row = 0;
  return true;
}

bool test_amx_load(int tile, const uint8_t *base, int64_t stride) {
  if (!is_configured(tile)) return false;
  if (!tiles.start_row) memset(tiles.data[tile], 0, sizeof tiles.data[tile]);
  for (int r = tiles.start_row; r < tiles.rows[tile]; r++)
    memcpy(tiles.data[tile][r], base + r * stride, tiles.column_bytes[tile]);
  tiles.start_row = 0;
  return true;
}

bool test_amx_store(int tile, uint8_t *base, int64_t stride) {
  if (!is_configured(tile)) return false;
  for (int r = tiles.start_row; r < tiles.rows[tile]; r++)
    memcpy(base + r * stride, tiles.data[tile][r], tiles.column_bytes[tile]);
  tiles.start_row = 0;
  return true;
}

/* The even and the odd numbers of pairs are summed up apart by fused multiply-adds, then both together, then
 * what the tile held; to nearest, ties to even, numbers below the normal range taken and given as zero. Eight
 * columns. */
__attribute__((noinline, target("avx2,fma"))) static void multiply(float *sums, const uint32_t *a,
                                                                   const uint8_t *b, int depth) {
  __m256 part[2] = {_mm256_setzero_ps(), _mm256_setzero_ps()};
  const __m256i upper = _mm256_set1_epi32((int)0xffff0000u);
  for (int k = 0; k < depth; k++) {
    __m256i x = _mm256_set1_epi32((int)a[k]), y = _mm256_load_si256((const __m256i *)(b + k * ROW_BYTES));
    part[0] = _mm256_fmadd_ps(_mm256_castsi256_ps(_mm256_slli_epi32(x, 16)),
                              _mm256_castsi256_ps(_mm256_slli_epi32(y, 16)), part[0]);
    part[1] = _mm256_fmadd_ps(_mm256_castsi256_ps(_mm256_and_si256(x, upper)),
                              _mm256_castsi256_ps(_mm256_and_si256(y, upper)), part[1]);
  }
  _mm256_store_ps(sums, _mm256_add_ps(_mm256_load_ps(sums), _mm256_add_ps(part[0], part[1])));
}

bool test_amx_dot(int c, int a, int b) {
  enum { NEAREST_MASKED_FLUSHING = 0x9FC0 }; /* MXCSR */
  bool good = is_configured(c) && is_configured(a) && is_configured(b) && a != b && a != c && b != c;
  good = good && tiles.rows[c] == tiles.rows[a] && tiles.column_bytes[c] == tiles.column_bytes[b];
  good = good && tiles.column_bytes[a] == 4 * tiles.rows[b];
  if (!good) return false;
  unsigned before = _mm_getcsr();
  _mm_setcsr(NEAREST_MASKED_FLUSHING);
  for (int r = 0; r < tiles.rows[c]; r++) {
    _Alignas(64) float sums[WORDS];
    uint32_t row[WORDS];
    memcpy(sums, tiles.data[c][r], sizeof sums);
    memcpy(row, tiles.data[a][r], sizeof row);
    for (int half = 0; half < 2; half++)
      multiply(sums + half * WORDS / 2, row, tiles.data[b][0] + half * ROW_BYTES / 2, tiles.rows[b]);
    memcpy(tiles.data[c][r], sums, tiles.column_bytes[c]);
  }
  _mm_setcsr(before);
  tiles.start_row = 0;
  atomic_fetch_add(&products, 1);
  return true;
}

int64_t test_amx_products(void) { return atomic_load(&products); }

#else

int64_t test_amx_products(void) { return 0; }

#endif
