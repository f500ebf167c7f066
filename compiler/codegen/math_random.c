/* Philox4x32 in vector registers.
 *
 * A word lies in the lower half of a 64-bit lane: vector units multiply exactly these halves to whole 64-bit
 * products, and what is left in the upper halves is never looked at. Rounds are written out, so that keys are
 * constants of the loops around, and what is the same in all lanes (stream, step, the upper half of a block's
 * number) stays a scalar until it meets something that is not: most of the first two rounds.
 *
 * One block is computed for each lane, and the lane's own word or half of a word selected; where the lanes are
 * consecutive elements that begin where a block does, each block is computed once for all of its elements, as
 * many at once as leave the state in registers.
 *
 * Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011. The use of key
 * and counter is that of runtime/base/philox.h.
 */
#include "compiler/codegen/math.h"
#include "compiler/codegen/math_words.h"
#include "runtime/base/philox.h"

enum { N_STATE = 6, BLOCKS = 8 }; /* four words of the counter, two of the key; of 64 elements of 16 bits */

/* ---- words ---- */

/* A scalar among vectors becomes a vector. */
static void align(const moire__math *m, word *a, word *b) {
  int of_a = moire__ir_lanes(LLVMTypeOf(*a)), of_b = moire__ir_lanes(LLVMTypeOf(*b));
  if (of_a > of_b) *b = moire__ir_splat(&m->ir, *b, of_a);
  if (of_b > of_a) *a = moire__ir_splat(&m->ir, *a, of_b);
}

static word i_xor(const moire__math *m, word a, word b) {
  align(m, &a, &b);
  return LLVMBuildXor(m->ir.at, a, b, "");
}
static word i_or(const moire__math *m, word a, word b) { return LLVMBuildOr(m->ir.at, a, b, ""); }
static word shift_right(const moire__math *m, word a, int n) {
  return LLVMBuildLShr(m->ir.at, a, whole(a, n), "");
}

/* The product of the lower halves. */
static word multiply(const moire__math *m, word a, int64_t factor) {
  word low = i_and_c(m, a, 0xffffffff);
  return LLVMBuildMul(m->ir.at, low, whole(low, factor), "");
}

static word narrow(const moire__math *m, word x) { return LLVMBuildTrunc(m->ir.at, x, i32_like(m, x), ""); }

/* Does `element` have the bit? */
static word has(const moire__math *m, word element, int bit) {
  return LLVMBuildICmp(m->ir.at, LLVMIntNE, i_and_c(m, element, bit), whole(element, 0), "");
}

/* ---- rounds ---- */

/* One round: the counter is mixed under the key, and the key moves on. */
static void mix(const moire__math *m, word s[N_STATE]) {
  word a = multiply(m, s[0], 0xD2511F53), b = multiply(m, s[2], 0xCD9E8D57);
  s[0] = i_xor(m, shift_right(m, b, 32), i_xor(m, s[1], s[4]));
  s[1] = b;
  s[2] = i_xor(m, shift_right(m, a, 32), i_xor(m, s[3], s[5]));
  s[3] = a;
  s[4] = i_add_c(m, s[4], 0x9E3779B9);
  s[5] = i_add_c(m, s[5], 0xBB67AE85);
}

/* The four words of each block, as i64. Operands are i64: the key's two, step, stream, and the block's number,
 * whose upper half is given apart. */
static void mix_block(const moire__math *m, int rounds, const word operands[5], word upper, word words[4]) {
  word state[N_STATE] = {operands[4], upper, operands[3], operands[2], operands[0], operands[1]};
  for (int r = 0; r < rounds; r++) mix(m, state);
  for (int i = 0; i < 4; i++) words[i] = state[i];
}

/* The same for numbers that differ in the upper half, as many lanes at a time as leave the state in registers.
 */
static void mix_blocks(const moire__math *m, int rounds, const word operands[5], word words[4]) {
  int lanes = moire__ir_lanes(LLVMTypeOf(operands[4]));
  int at_once = m->vector_bits == 512 ? 4 : 2; /* registers of each word of the state */
  if (lanes * 64 <= at_once * m->vector_bits) {
    mix_block(m, rounds, operands, shift_right(m, operands[4], 32), words);
    return;
  }
  word low[5], high[5], more[4];
  for (int i = 0; i < 5; i++) {
    low[i] = high[i] = operands[i];
    if (!moire__ir_lanes(LLVMTypeOf(operands[i]))) continue;
    low[i] = moire__ir_shuffle(&m->ir, operands[i], NULL, 0, 1, lanes / 2);
    high[i] = moire__ir_shuffle(&m->ir, operands[i], NULL, lanes / 2, 1, lanes / 2);
  }
  mix_blocks(m, rounds, low, words);
  mix_blocks(m, rounds, high, more);
  for (int i = 0; i < 4; i++) words[i] = moire__ir_concat(&m->ir, words[i], more[i]);
}

/* ---- which block, and what of it ---- */

static word block_of(const moire__math *m, bool bits, word element) {
  if (!bits) return i_or(m, shift_left(m, shift_right(m, element, 6), 4), i_and_c(m, element, 15));
  return i_or(m, shift_left(m, shift_right(m, element, 6), 3), shift_right(m, i_and_c(m, element, 31), 2));
}

/* The words, or 16 bits of them, that belong to the elements, one block a lane. */
static word select_words(const moire__math *m, bool bits, word element, const word words[4]) {
  word odd = has(m, element, bits ? 2 : 16), upper = has(m, element, 32);
  word first = pick(m, odd, words[1], words[0]), second = pick(m, odd, words[3], words[2]);
  word x = pick(m, upper, second, first);
  if (!bits) return narrow(m, x);
  return narrow(m, i_and_c(m, pick(m, has(m, element, 1), shift_right(m, x, 16), x), 0xffff));
}

LLVMValueRef moire__math_random(const moire__ir *ir, int vector_bits, moire__loop_op op,
                                const LLVMValueRef operands[5]) {
  moire__math m = {.ir = *ir, .vector_bits = vector_bits};
  bool bits = op == MOIRE__LOOP_random16;
  LLVMTypeRef wide = LLVMTypeOf(operands[4]);
  word all[5], words[4], element = operands[4];
  for (int i = 0; i < 4; i++) {
    bool is_scalar = moire__ir_lanes(LLVMTypeOf(operands[i])) == 0;
    LLVMTypeRef type = is_scalar ? moire__ir_element(wide) : wide;
    all[i] = LLVMBuildZExt(ir->at, operands[i], type, "");
  }
  all[4] = block_of(&m, bits, element);
  mix_blocks(&m, bits ? MOIRE__PHILOX_MASK_ROUNDS : MOIRE__PHILOX_ROUNDS, all, words);
  for (int i = 0; i < 4; i++) align(&m, &words[i], &element);
  return select_words(&m, bits, element, words);
}

/* ---- consecutive elements ---- */

/* Numbers first, first + 1 .. of blocks. */
static word numbers(const moire__math *m, word first, int n) {
  return i_add(m, moire__ir_splat(&m->ir, first, n), moire__ir_lane_numbers(LLVMTypeOf(first), n));
}

/* The words of the 64 elements from `first` on, or of 32 of them. */
static word run_of_words(const moire__math *m, word all[5], word first, int lanes) {
  word words[4], block = block_of(m, false, first);
  all[4] = numbers(m, block, 16);
  mix_block(m, MOIRE__PHILOX_ROUNDS, all, shift_right(m, block, 32), words);
  for (int i = 0; i < 4; i++) words[i] = narrow(m, words[i]);
  word low = moire__ir_concat(&m->ir, words[0], words[1]), high = moire__ir_concat(&m->ir, words[2], words[3]);
  return lanes < 64 ? pick(m, has(m, first, 32), high, low) : moire__ir_concat(&m->ir, low, high);
}

/* The halves of a's word and of b's: four a lane. */
static word halves(const moire__math *m, word a, word b, int blocks) {
  word pair = i_or(m, i_and_c(m, a, 0xffffffff), shift_left(m, b, 32));
  LLVMTypeRef i16 = LLVMInt16TypeInContext(m->ir.context);
  return LLVMBuildBitCast(m->ir.at, pair, moire__ir_widen(i16, 4 * blocks), "");
}

/* 16 bits for each of the 64 elements from `first` on, or of fewer. */
static word run_of_bits(const moire__math *m, word all[5], word first, int lanes) {
  int blocks = lanes < 64 ? lanes / 4 : BLOCKS;
  word words[4], block = block_of(m, true, first);
  all[4] = numbers(m, block, blocks);
  mix_block(m, MOIRE__PHILOX_MASK_ROUNDS, all, shift_right(m, block, 32), words);
  word low = halves(m, words[0], words[1], blocks), high = halves(m, words[2], words[3], blocks);
  word run = lanes < 64 ? pick(m, has(m, first, 32), high, low) : moire__ir_concat(&m->ir, low, high);
  return LLVMBuildZExt(m->ir.at, run, i32_like(m, run), "");
}

bool moire__math_random_has_run(moire__loop_op op, int lanes, int64_t multiple) {
  if (lanes < (op == MOIRE__LOOP_random16 ? 8 : 32)) return false;
  return multiple % (lanes < 64 ? lanes : 64) == 0;
}

LLVMValueRef moire__math_random_run(const moire__ir *ir, int vector_bits, moire__loop_op op,
                                    const LLVMValueRef operands[5], int lanes) {
  moire__math m = {.ir = *ir, .vector_bits = vector_bits};
  word all[5], run = NULL;
  for (int i = 0; i < 4; i++) all[i] = LLVMBuildZExt(ir->at, operands[i], LLVMTypeOf(operands[4]), "");
  for (int at = 0; at < lanes; at += 64) {
    word first = LLVMBuildAdd(ir->at, operands[4], moire__ir_index(ir, at), "");
    word part =
        op == MOIRE__LOOP_random16 ? run_of_bits(&m, all, first, lanes) : run_of_words(&m, all, first, lanes);
    run = run ? moire__ir_concat(ir, run, part) : part;
  }
  return run;
}
