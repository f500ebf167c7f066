/* Squares of words of 32 bits transposed in registers.
 *
 * Three steps, each of shuffles of two vectors that are one instruction of x86: neighbouring rows are
 * interleaved by elements and then by pairs, so that quarter L (128 bits) of vector c of four rows has their
 * column 4 L + c; then quarters are gathered. On other machines LLVM finds its own way.
 */
#include "compiler/codegen/emit.h"

enum { QUARTER = 4, MOST = 16 };

static LLVMValueRef shuffle(const moire__ir *ir, LLVMValueRef a, LLVMValueRef b, const int *lanes, int n) {
  LLVMTypeRef i32 = LLVMInt32TypeInContext(ir->context);
  LLVMValueRef mask[MOST];
  for (int i = 0; i < n; i++) mask[i] = LLVMConstInt(i32, (unsigned long long)lanes[i], 0);
  return LLVMBuildShuffleVector(ir->at, a, b, LLVMConstVector(mask, (unsigned)n), "");
}

/* In each quarter: elements of a and b in turns, `run` at a time, from the lower or the upper half. */
static LLVMValueRef interleave(const moire__ir *ir, LLVMValueRef a, LLVMValueRef b, int side, int run,
                               int upper) {
  int lanes[MOST];
  for (int i = 0; i < side; i++) {
    int in = i % QUARTER, of_b = in / run % 2, element = upper * 2 + in % run + in / (2 * run) * run;
    lanes[i] = of_b * side + i - in + element;
  }
  return shuffle(ir, a, b, lanes, side);
}

/* The quarters of a and then of b that have an even or an odd number. */
static LLVMValueRef every_other(const moire__ir *ir, LLVMValueRef a, LLVMValueRef b, int side, int odd) {
  int lanes[MOST];
  for (int i = 0; i < side; i++) lanes[i] = (2 * (i / QUARTER) + odd) * QUARTER + i % QUARTER;
  return shuffle(ir, a, b, lanes, side);
}

/* Column c of each quarter of the rows, four rows to a vector, becomes the rows 4 L + c of the transpose. */
static void gather_quarters(const moire__ir *ir, LLVMValueRef *const x[QUARTER], int c, int side,
                            LLVMValueRef *out) {
  if (side == QUARTER) {
    out[c] = x[0][c];
    return;
  }
  for (int odd = 0; odd < 2; odd++) {
    LLVMValueRef v = every_other(ir, x[0][c], x[1][c], side, odd);
    if (side == 2 * QUARTER) {
      out[QUARTER * odd + c] = v;
      continue;
    }
    LLVMValueRef w = every_other(ir, x[2][c], x[3][c], side, odd);
    for (int next = 0; next < 2; next++)
      out[QUARTER * (2 * next + odd) + c] = every_other(ir, v, w, side, next);
  }
}

static void transpose(const moire__ir *ir, const LLVMValueRef *rows, int side, LLVMValueRef *out) {
  LLVMValueRef columns[QUARTER][QUARTER], *of[QUARTER];
  for (int g = 0; g < side / QUARTER; g++) {
    const LLVMValueRef *r = rows + QUARTER * g;
    of[g] = columns[g];
    for (int upper = 0; upper < 2; upper++) {
      LLVMValueRef first = interleave(ir, r[0], r[1], side, 1, upper);
      LLVMValueRef second = interleave(ir, r[2], r[3], side, 1, upper);
      for (int half = 0; half < 2; half++)
        columns[g][2 * upper + half] = interleave(ir, first, second, side, 2, half);
    }
  }
  for (int c = 0; c < QUARTER; c++) gather_quarters(ir, of, c, side, out);
}

void moire__emit_turn(moire__emitter *e, const moire__loop_statement *s) {
  const moire__ir *ir = &e->ir;
  int side = s->lanes;
  if (side != 4 && side != 8 && side != MOST) {
    moire__emit_fail(e, MOIRE_ERROR_UNSUPPORTED, "a square that is turned has a side of 4, 8 or 16");
    return;
  }
  moire__loop_type type = e->kernel->buffers[s->from].type; /* bf16: its pairs are words */
  LLVMTypeRef element = moire__emit_memory_type(e, type),
              to = moire__emit_memory_type(e, e->kernel->buffers[s->buffer].type);
  LLVMTypeRef vector = LLVMVectorType(to, (unsigned)side);
  LLVMValueRef rows[MOST], columns[MOST];
  LLVMValueRef at = moire__emit_uniform(e, s->value), pitch = moire__emit_uniform(e, s->low);
  for (int i = 0; i < side; i++) {
    LLVMValueRef row = LLVMBuildNSWMul(ir->at, pitch, moire__ir_index(ir, i), "");
    LLVMValueRef offset = LLVMBuildNSWAdd(ir->at, at, row, "");
    rows[i] = LLVMBuildLoad2(ir->at, vector,
                             LLVMBuildInBoundsGEP2(ir->at, element, e->buffers[s->from], &offset, 1, ""), "");
    LLVMSetAlignment(rows[i], (unsigned)moire__loop_type_bytes(type));
  }
  transpose(ir, rows, side, columns);
  at = moire__emit_uniform(e, s->address);
  for (int j = 0; j < side; j++) {
    LLVMValueRef offset = LLVMBuildNSWAdd(ir->at, at, moire__ir_index(ir, j * s->step), "");
    LLVMValueRef store = LLVMBuildStore(
        ir->at, columns[j], LLVMBuildInBoundsGEP2(ir->at, to, e->buffers[s->buffer], &offset, 1, ""));
    LLVMSetAlignment(store, sizeof(float));
  }
}
