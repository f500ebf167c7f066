/* AMX by SIGILL: see amx_emulator.h.
 *
 * Source of encodings and operations: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2
 * (LDTILECFG, STTILECFG, TDPBF16PS, TILELOADD, TILERELEASE, TILESTORED, TILEZERO), and volume 1, chapter 18.
 * What the processor would refuse (a tile that is not configured, shapes that do not fit) is not executed, and
 * ends the program.
 */
#include "tests/support/amx/amx_emulator.h"

#if defined(__x86_64__)

#include <immintrin.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <ucontext.h>

enum { TILES = 8, ROWS = 16, ROW_BYTES = 64, WORDS = ROW_BYTES / 4 };

typedef struct tile_state {
  uint8_t palette, start_row;
  uint16_t column_bytes[TILES];
  uint8_t rows[TILES];
  _Alignas(64) uint8_t data[TILES][ROWS][ROW_BYTES];
} tile_state;

static _Thread_local tile_state tiles;
static atomic_bool emulated;
static atomic_llong products;

/* ---- decoding ----------------------------------------------------------------------------------------------
 */

enum { NO_PREFIX, PREFIX_66, PREFIX_F3, PREFIX_F2 };

typedef struct instruction {
  int opcode, prefix; /* of VEX.128.0F38.W0 */
  int mod, reg, rm;   /* of ModRM; reg without VEX.R, which no tile needs */
  int third;          /* VEX.vvvv */
  bool has_sib;
  uint8_t *base; /* of a memory operand, displacement included, and the index times its scale apart */
  int64_t stride;
  int length;
} instruction;

static int64_t register_of(const ucontext_t *context, int number) {
  static const int places[] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                               REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
  return context->uc_mcontext.gregs[places[number]];
}

/* The memory operand; `at` points behind ModRM. */
static void decode_memory(instruction *i, const uint8_t *start, const uint8_t *at, const ucontext_t *context) {
  int high_x = start[1] & 0x40 ? 0 : 8, high_b = start[1] & 0x20 ? 0 : 8, base = i->rm;
  int64_t address = 0;
  int32_t displacement = 0;
  i->has_sib = i->rm == 4;
  if (i->has_sib) {
    int index = (*at >> 3 & 7) | high_x;
    if (index != 4) i->stride = register_of(context, index) << (*at >> 6);
    base = *at++ & 7;
  }
  bool absolute = base == 5 && i->mod == 0; /* or relative to the next instruction */
  if (!absolute) address = register_of(context, base | high_b);
  if (i->mod == 1) displacement = (int8_t)*at++;
  if (i->mod == 2 || absolute) {
    memcpy(&displacement, at, sizeof displacement);
    at += sizeof displacement;
  }
  i->length = (int)(at - start);
  if (absolute && !i->has_sib) address = context->uc_mcontext.gregs[REG_RIP] + i->length;
  i->base = (uint8_t *)(intptr_t)(address + displacement); /* NOLINT: the code that is emulated has made it */
}

static bool decode(instruction *i, const ucontext_t *context) {
  const uint8_t *start = (const uint8_t *)(intptr_t)context->uc_mcontext.gregs[REG_RIP];
  *i = (instruction){0};
  bool is_vex = start[0] == 0xC4 && (start[1] & 0x1F) == 2 && !(start[2] & 0x84); /* 0F38, W0, 128 */
  if (!is_vex) return false;
  i->prefix = start[2] & 3;
  i->third = ~start[2] >> 3 & 15;
  i->opcode = start[3];
  i->mod = start[4] >> 6;
  i->reg = start[4] >> 3 & 7;
  i->rm = start[4] & 7;
  i->length = 5;
  if (i->mod != 3) decode_memory(i, start, start + 5, context);
  return true;
}

/* ---- executing ---------------------------------------------------------------------------------------------
 */

static bool is_configured(int tile) { return tiles.palette == 1 && tile < TILES && tiles.rows[tile] != 0; }

static bool load_configuration(const uint8_t *from) {
  enum { COLUMN_BYTES = 16, ROW_COUNTS = 48 };
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

static bool store_configuration(uint8_t *to) {
  memset(to, 0, 64);
  to[0] = tiles.palette;
  to[1] = tiles.start_row;
  memcpy(to + 16, tiles.column_bytes, sizeof tiles.column_bytes);
  memcpy(to + 48, tiles.rows, sizeof tiles.rows);
  return true;
}

static bool move_rows(const instruction *i, bool loads) {
  int t = i->reg;
  if (!is_configured(t) || !i->has_sib) return false;
  if (loads && !tiles.start_row) memset(tiles.data[t], 0, sizeof tiles.data[t]);
  for (int r = tiles.start_row; r < tiles.rows[t]; r++) {
    uint8_t *row = i->base + r * i->stride;
    if (loads)
      memcpy(tiles.data[t][r], row, tiles.column_bytes[t]);
    else
      memcpy(row, tiles.data[t][r], tiles.column_bytes[t]);
  }
  tiles.start_row = 0;
  return true;
}

/* The even and the odd numbers of pairs are summed up apart by fused multiply-adds, then both together, then
 * what the tile held; to nearest, ties to even, numbers below the normal range taken and given as zero. */
__attribute__((noinline, target("avx512f"))) static void multiply(float *sums, const uint32_t *a,
                                                                  const uint8_t (*b)[ROW_BYTES], int depth) {
  __m512 part[2] = {_mm512_setzero_ps(), _mm512_setzero_ps()};
  const __m512i upper = _mm512_set1_epi32((int)0xffff0000u);
  for (int k = 0; k < depth; k++) {
    __m512i x = _mm512_set1_epi32((int)a[k]), y = _mm512_load_si512(b[k]);
    part[0] = _mm512_fmadd_ps(_mm512_castsi512_ps(_mm512_slli_epi32(x, 16)),
                              _mm512_castsi512_ps(_mm512_slli_epi32(y, 16)), part[0]);
    part[1] = _mm512_fmadd_ps(_mm512_castsi512_ps(_mm512_and_si512(x, upper)),
                              _mm512_castsi512_ps(_mm512_and_si512(y, upper)), part[1]);
  }
  _mm512_store_ps(sums, _mm512_add_ps(_mm512_load_ps(sums), _mm512_add_ps(part[0], part[1])));
}

static bool multiply_tiles(const instruction *i) {
  enum { NEAREST_MASKED_FLUSHING = 0x9FC0 }; /* MXCSR; returning from the handler puts back the program's */
  int c = i->reg, a = i->rm, b = i->third;
  bool good =
      i->mod == 3 && is_configured(c) && is_configured(a) && is_configured(b) && a != b && a != c && b != c;
  good = good && tiles.rows[c] == tiles.rows[a] && tiles.column_bytes[c] == tiles.column_bytes[b];
  good = good && tiles.column_bytes[a] == 4 * tiles.rows[b];
  if (!good) return false;
  _mm_setcsr(NEAREST_MASKED_FLUSHING);
  for (int r = 0; r < tiles.rows[c]; r++) {
    _Alignas(64) float sums[WORDS];
    uint32_t row[WORDS];
    memcpy(sums, tiles.data[c][r], sizeof sums);
    memcpy(row, tiles.data[a][r], sizeof row);
    multiply(sums, row, (const uint8_t(*)[ROW_BYTES])tiles.data[b], tiles.rows[b]);
    memcpy(tiles.data[c][r], sums, tiles.column_bytes[c]);
  }
  tiles.start_row = 0;
  atomic_fetch_add(&products, 1);
  return true;
}

static bool zero_tile(int t) {
  if (!is_configured(t)) return false;
  memset(tiles.data[t], 0, sizeof tiles.data[t]);
  tiles.start_row = 0;
  return true;
}

static bool execute(const instruction *i) {
  bool memory = i->mod != 3, no_third = i->third == 0;
  if (i->opcode == 0x5C && i->prefix == PREFIX_F3) return multiply_tiles(i);
  if (!no_third) return false;
  if (i->opcode == 0x4B && memory) {
    if (i->prefix == PREFIX_F2 || i->prefix == PREFIX_66) return move_rows(i, true);
    return i->prefix == PREFIX_F3 && move_rows(i, false);
  }
  if (i->opcode != 0x49) return false;
  if (memory && i->reg == 0 && i->prefix == NO_PREFIX) return load_configuration(i->base);
  if (memory && i->reg == 0 && i->prefix == PREFIX_66) return store_configuration(i->base);
  if (!memory && i->rm == 0 && i->prefix == PREFIX_F2) return zero_tile(i->reg);
  if (memory || i->reg || i->rm || i->prefix != NO_PREFIX) return false;
  tiles = (tile_state){0};
  return true;
}

static void on_illegal(int number, siginfo_t *info, void *raw) {
  (void)info;
  ucontext_t *context = raw;
  instruction i;
  if (decode(&i, context) && execute(&i))
    context->uc_mcontext.gregs[REG_RIP] += i.length;
  else
    signal(number, SIG_DFL); /* it is executed again, and ends the program */
}

/* ---- starting ----------------------------------------------------------------------------------------------
 */

static bool runs(const char *name) {
  moire__target target;
  return moire__target_named(name, &target, NULL) == MOIRE_OK &&
         __real_moire__target_runs_here(&target, NULL) == MOIRE_OK;
}

bool test_tiles_start(void) {
  if (runs(TEST_TILES_TARGET)) return true;
  if (!runs("x86-64-v4-bf16")) return false;
  struct sigaction action = {.sa_sigaction = on_illegal, .sa_flags = SA_SIGINFO | SA_NODEFER};
  if (sigaction(SIGILL, &action, NULL)) return false;
  atomic_store(&emulated, true);
  return true;
}

bool test_tiles_emulated(void) { return atomic_load(&emulated); }

int64_t test_tiles_products(void) { return atomic_load(&products); }

#else

bool test_tiles_start(void) { return false; }
bool test_tiles_emulated(void) { return false; }
int64_t test_tiles_products(void) { return 0; }

#endif

moire_status __wrap_moire__target_runs_here(const moire__target *target, moire_error *error) {
  moire__target below = *target;
  if (target->has_tiles && test_tiles_emulated()) moire__target_named("x86-64-v4-bf16", &below, error);
  return __real_moire__target_runs_here(&below, error);
}
