/* AMX by SIGILL: see amx_emulator.h.
 *
 * Source of encodings: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2. What the
 * processor would refuse is not executed, and ends the program.
 */
#include "tests/support/amx/amx_emulator.h"
#include "tests/support/amx/amx_soft.h"
#include "tests/support/amx/amx_unit.h"

#if defined(__x86_64__)

#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <ucontext.h>

static atomic_bool emulated;

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

static bool move_rows(const instruction *i, bool loads) {
  if (!i->has_sib) return false;
  return loads ? test_amx_load(i->reg, i->base, i->stride) : test_amx_store(i->reg, i->base, i->stride);
}

static bool execute(const instruction *i) {
  bool memory = i->mod != 3, no_third = i->third == 0;
  if (i->opcode == 0x5C && i->prefix == PREFIX_F3) return !memory && test_amx_dot(i->reg, i->rm, i->third);
  if (!no_third) return false;
  if (i->opcode == 0x4B && memory) {
    if (i->prefix == PREFIX_F2 || i->prefix == PREFIX_66) return move_rows(i, true);
    return i->prefix == PREFIX_F3 && move_rows(i, false);
  }
  if (i->opcode != 0x49) return false;
  if (memory && i->reg == 0 && i->prefix == NO_PREFIX) return test_amx_configure(i->base);
  if (memory && i->reg == 0 && i->prefix == PREFIX_66) return test_amx_store_configuration(i->base);
  if (!memory && i->rm == 0 && i->prefix == PREFIX_F2) return test_amx_zero(i->reg);
  if (memory || i->reg || i->rm || i->prefix != NO_PREFIX) return false;
  return test_amx_release();
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
  if (!runs("x86-64-v4-bf16")) return runs("x86-64-v3") && test_soft_start();
  struct sigaction action = {.sa_sigaction = on_illegal, .sa_flags = SA_SIGINFO | SA_NODEFER};
  if (sigaction(SIGILL, &action, NULL)) return false;
  atomic_store(&emulated, true);
  return true;
}

bool test_tiles_emulated(void) { return atomic_load(&emulated) || test_soft_started(); }

#else

bool test_tiles_start(void) { return false; }
bool test_tiles_emulated(void) { return false; }

#endif

int64_t test_tiles_products(void) { return test_amx_products(); }

moire_status __wrap_moire__target_runs_here(const moire__target *target, moire_error *error) {
  moire__target below = *target;
  const char *instead = test_soft_started() ? "x86-64-v3" : "x86-64-v4-bf16";
  bool stands_in = test_soft_started() ? target->has_bf16 : target->has_tiles && test_tiles_emulated();
  if (stands_in) moire__target_named(instead, &below, error);
  return __real_moire__target_runs_here(&below, error);
}
