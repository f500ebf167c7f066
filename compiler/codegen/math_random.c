/* Philox4x32-10 in vector registers.
 *
 * One block of four words is computed for each lane, and the lane's own word selected; where the lanes are
 * consecutive elements that begin where a block does, each block is computed once for all four. A word lies in
 * the lower half of a 64-bit lane: vector units multiply exactly these halves to whole 64-bit products, and
 * what is left in the upper halves is never looked at. The ten rounds are a loop of two at a time, after which
 * each word is in its place again, over as many lanes at once as leave its state in registers: their chains of
 * dependent products overlap.
 *
 * Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011. The use of key
 * and counter is that of runtime/base/philox.h.
 */
#include "compiler/codegen/math.h"
#include "compiler/codegen/math_words.h"

enum { ROUNDS = 10, N_STATE = 6 }; /* four words of the counter, two of the key */

static word i_xor(const moire__math *m, word a, word b) { return LLVMBuildXor(m->ir.at, a, b, ""); }
static word shift_right(const moire__math *m, word a, int n) {
  return LLVMBuildLShr(m->ir.at, a, whole(a, n), "");
}

/* The product of the lower halves. */
static word multiply(const moire__math *m, word a, int64_t factor) {
  word low = i_and_c(m, a, 0xffffffff);
  return LLVMBuildMul(m->ir.at, low, whole(low, factor), "");
}

/* x in the shape of `like`: as it is, or a scalar in all lanes. */
static word spread(const moire__math *m, word x, word like) {
  int lanes = moire__ir_lanes(LLVMTypeOf(like));
  return lanes == moire__ir_lanes(LLVMTypeOf(x)) ? x : moire__ir_splat(&m->ir, x, lanes);
}

/* One round: the counter is mixed under the key, and the key moves on. */
static void mix(const moire__math *m, const word now[N_STATE], word next[N_STATE]) {
  word a = multiply(m, now[0], 0xD2511F53), b = multiply(m, now[2], 0xCD9E8D57);
  next[0] = i_xor(m, i_xor(m, shift_right(m, b, 32), now[1]), spread(m, now[4], b));
  next[1] = b;
  next[2] = i_xor(m, i_xor(m, shift_right(m, a, 32), now[3]), spread(m, now[5], a));
  next[3] = a;
  next[4] = i_add_c(m, now[4], 0x9E3779B9);
  next[5] = i_add_c(m, now[5], 0xBB67AE85);
}

static void mix_all_rounds(const moire__math *m, word state[N_STATE]) {
  const moire__ir *ir = &m->ir;
  LLVMBasicBlockRef before = LLVMGetInsertBlock(ir->at), loop = moire__ir_block(ir, "rounds");
  LLVMBuildBr(ir->at, loop);
  LLVMPositionBuilderAtEnd(ir->at, loop);
  word first = moire__ir_index(ir, 0), count = LLVMBuildPhi(ir->at, LLVMTypeOf(first), "");
  word now[N_STATE], middle[N_STATE], next[N_STATE];
  for (int i = 0; i < N_STATE; i++) now[i] = LLVMBuildPhi(ir->at, LLVMTypeOf(state[i]), "");
  mix(m, now, middle);
  mix(m, middle, next);
  word counted = i_add_c(m, count, 2);
  LLVMAddIncoming(count, (word[]){first, counted}, (LLVMBasicBlockRef[]){before, loop}, 2);
  for (int i = 0; i < N_STATE; i++)
    LLVMAddIncoming(now[i], (word[]){state[i], next[i]}, (LLVMBasicBlockRef[]){before, loop}, 2);
  LLVMBasicBlockRef after = moire__ir_block(ir, "mixed");
  word again = LLVMBuildICmp(ir->at, LLVMIntULT, counted, whole(counted, ROUNDS), "");
  LLVMBuildCondBr(ir->at, again, loop, after);
  LLVMPositionBuilderAtEnd(ir->at, after);
  for (int i = 0; i < N_STATE; i++) state[i] = next[i];
}

/* The four words of each block, as i64. Operands are i64; those before the block may be scalars. */
static void mix_block(const moire__math *m, const word operands[5], word words[4]) {
  word block = operands[4];
  word state[N_STATE] = {block,
                         shift_right(m, block, 32),
                         spread(m, operands[3], block),
                         spread(m, operands[2], block),
                         operands[0],
                         operands[1]};
  mix_all_rounds(m, state);
  for (int i = 0; i < 4; i++) words[i] = state[i];
}

/* The same, as many lanes at a time as leave the state in registers. */
static void mix_blocks(const moire__math *m, const word operands[5], word words[4]) {
  int lanes = moire__ir_lanes(LLVMTypeOf(operands[4]));
  int at_once = m->vector_bits == 512 ? 4 : 2; /* registers of each word of the state */
  if (lanes * 64 <= at_once * m->vector_bits) {
    mix_block(m, operands, words);
    return;
  }
  word low[5], high[5], more[4];
  for (int i = 0; i < 5; i++) {
    low[i] = high[i] = operands[i];
    if (!moire__ir_lanes(LLVMTypeOf(operands[i]))) continue;
    low[i] = moire__ir_shuffle(&m->ir, operands[i], NULL, 0, 1, lanes / 2);
    high[i] = moire__ir_shuffle(&m->ir, operands[i], NULL, lanes / 2, 1, lanes / 2);
  }
  mix_blocks(m, low, words);
  mix_blocks(m, high, more);
  for (int i = 0; i < 4; i++) words[i] = moire__ir_concat(&m->ir, words[i], more[i]);
}

static word narrow(const moire__math *m, word x) { return LLVMBuildTrunc(m->ir.at, x, i32_like(m, x), ""); }

static word block_of(const moire__math *m, word element) {
  word group = shift_left(m, shift_right(m, element, 6), 4);
  return LLVMBuildOr(m->ir.at, group, i_and_c(m, element, 15), "");
}

LLVMValueRef moire__math_random(const moire__ir *ir, int vector_bits, const LLVMValueRef operands[5]) {
  moire__math m = {*ir, vector_bits};
  LLVMTypeRef wide = LLVMTypeOf(operands[4]);
  word all[5], words[4], element = operands[4];
  for (int i = 0; i < 4; i++) {
    bool is_scalar = moire__ir_lanes(LLVMTypeOf(operands[i])) == 0;
    LLVMTypeRef type = is_scalar ? moire__ir_element(wide) : wide;
    all[i] = LLVMBuildZExt(ir->at, operands[i], type, "");
  }
  all[4] = block_of(&m, element);
  mix_blocks(&m, all, words);
  word zero = whole(element, 0);
  word odd = LLVMBuildICmp(ir->at, LLVMIntNE, i_and_c(&m, element, 16), zero, "");
  word upper = LLVMBuildICmp(ir->at, LLVMIntNE, i_and_c(&m, element, 32), zero, "");
  word first = pick(&m, odd, words[1], words[0]), second = pick(&m, odd, words[3], words[2]);
  return narrow(&m, pick(&m, upper, second, first));
}

LLVMValueRef moire__math_random_run(const moire__ir *ir, int vector_bits, const LLVMValueRef operands[5],
                                    int lanes) {
  moire__math m = {*ir, vector_bits};
  word all[5], words[4], run = NULL;
  LLVMTypeRef i64 = LLVMTypeOf(operands[4]);
  for (int i = 0; i < 4; i++) all[i] = LLVMBuildZExt(ir->at, operands[i], i64, "");
  for (int at = 0; at < lanes; at += 64) {
    word first = LLVMBuildAdd(ir->at, operands[4], moire__ir_index(ir, at), "");
    all[4] =
        LLVMBuildAdd(ir->at, moire__ir_splat(ir, block_of(&m, first), 16), moire__ir_lane_numbers(i64, 16), "");
    mix_blocks(&m, all, words);
    for (int i = 0; i < 4; i++) words[i] = narrow(&m, words[i]);
    word low = moire__ir_concat(ir, words[0], words[1]), high = moire__ir_concat(ir, words[2], words[3]);
    word part = moire__ir_concat(ir, low, high);
    if (lanes < 64) {
      word bit = LLVMBuildAnd(ir->at, first, moire__ir_index(ir, 32), "");
      part = pick(&m, LLVMBuildICmp(ir->at, LLVMIntNE, bit, moire__ir_index(ir, 0), ""), high, low);
    }
    run = run ? moire__ir_concat(ir, run, part) : part;
  }
  return run;
}
