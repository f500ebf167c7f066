/* Statements and loops.
 *
 * A serial loop is guarded once and tests at its end, so that what does not change can be moved before it. A
 * vector loop of W lanes becomes a loop over full vectors and one masked pass for the rest; either is left out
 * where the trip count says so.
 */
#include "compiler/codegen/emit.h"

enum { MAX_LANES = 256 };

/* ---- variables ---------------------------------------------------------------------------------------------
 */

static void declare(moire__emitter *e, moire__loop_var v) {
  moire__emit_variable *var = &e->vars[v];
  bool wide = e->lanes && e->varies.var[v];
  if (!var->slot) {
    var->type = moire__ir_widen(moire__emit_type(e, e->kernel->vars[v].type), wide ? e->lanes : 0);
    var->slot = moire__ir_alloca(&e->ir, var->type, "var");
  }
  moire__loop_value init = e->kernel->vars[v].init;
  LLVMBuildStore(e->ir.at, wide ? moire__emit_lanes(e, init) : moire__emit_uniform(e, init), var->slot);
}

static void set(moire__emitter *e, const moire__loop_statement *s) {
  moire__emit_variable *var = &e->vars[s->var];
  if (!var->slot || (e->lanes && !e->varies.inner[s->var])) {
    moire__emit_fail(e, MOIRE_ERROR_INTERNAL, "a vector loop sets a variable from outside it");
    return;
  }
  bool wide = moire__ir_lanes(var->type) > 0;
  LLVMBuildStore(e->ir.at, wide ? moire__emit_lanes(e, s->value) : moire__emit_uniform(e, s->value), var->slot);
}

/* ---- loops -------------------------------------------------------------------------------------------------
 */

/* Opens `for (i = low; i < high; i += step)` at a place where low < high is known. */
typedef struct open_loop {
  LLVMBasicBlockRef head;
  LLVMValueRef index, high;
  int64_t step;
} open_loop;

static open_loop begin_loop(moire__emitter *e, LLVMValueRef low, LLVMValueRef high, int64_t step) {
  const moire__ir *ir = &e->ir;
  LLVMBasicBlockRef before = LLVMGetInsertBlock(ir->at);
  open_loop loop = {.head = moire__ir_block(ir, "loop"), .high = high, .step = step};
  LLVMBuildBr(ir->at, loop.head);
  LLVMPositionBuilderAtEnd(ir->at, loop.head);
  loop.index = LLVMBuildPhi(ir->at, LLVMTypeOf(low), "i");
  LLVMAddIncoming(loop.index, &low, &before, 1);
  return loop;
}

static void end_loop(moire__emitter *e, const open_loop *loop) {
  const moire__ir *ir = &e->ir;
  LLVMValueRef next = LLVMBuildNSWAdd(ir->at, loop->index, moire__ir_index(ir, loop->step), "");
  LLVMBasicBlockRef last = LLVMGetInsertBlock(ir->at), after = moire__ir_block(ir, "after");
  LLVMAddIncoming(loop->index, &next, &last, 1);
  LLVMValueRef again = LLVMBuildICmp(ir->at, LLVMIntSLT, next, loop->high, "");
  LLVMBuildCondBr(ir->at, again, loop->head, after);
  LLVMPositionBuilderAtEnd(ir->at, after);
}

/* Code up to the matching end_if runs only if `condition`; NULL: always. */
static LLVMBasicBlockRef begin_if(moire__emitter *e, LLVMValueRef condition) {
  if (!condition) return NULL;
  LLVMBasicBlockRef inside = moire__ir_block(&e->ir, "then"), after = moire__ir_block(&e->ir, "end");
  LLVMBuildCondBr(e->ir.at, condition, inside, after);
  LLVMPositionBuilderAtEnd(e->ir.at, inside);
  return after;
}

static void end_if(moire__emitter *e, LLVMBasicBlockRef after) {
  if (!after) return;
  LLVMBuildBr(e->ir.at, after);
  LLVMPositionBuilderAtEnd(e->ir.at, after);
}

static void serial_loop(moire__emitter *e, const moire__loop_statement *s) {
  moire__emit_trip trip = moire__emit_trip_of(e->kernel, s->low, s->high);
  if (trip.is_constant && trip.constant <= 0) return;
  LLVMValueRef low = moire__emit_uniform(e, s->low), high = moire__emit_uniform(e, s->high);
  LLVMValueRef enters = trip.is_constant ? NULL : LLVMBuildICmp(e->ir.at, LLVMIntSLT, low, high, "");
  LLVMBasicBlockRef after = begin_if(e, enters);
  open_loop loop = begin_loop(e, low, high, s->step);
  e->values[s->value] = (moire__emit_value){.scalar = loop.index};
  moire__emit_statements(e, s->body);
  moire__emit_debug_at(e, s->at);
  end_loop(e, &loop);
  end_if(e, after);
}

/* The body for the lanes base, base + 1, ...; `rest` (an i64 below lanes, NULL: all) of them exist. */
static void vector_body(moire__emitter *e, const moire__loop_statement *s, LLVMValueRef base,
                        LLVMValueRef rest) {
  const moire__ir *ir = &e->ir;
  if (rest) {
    LLVMTypeRef i32 = LLVMInt32TypeInContext(ir->context);
    LLVMValueRef count = moire__ir_splat(ir, LLVMBuildTrunc(ir->at, rest, i32, ""), e->lanes);
    e->mask = LLVMBuildICmp(ir->at, LLVMIntULT, moire__ir_lane_numbers(i32, e->lanes), count, "");
  }
  e->values[s->value] = (moire__emit_value){.scalar = base, .stride = moire__ir_index(ir, 1)};
  moire__emit_statements(e, s->body);
  moire__emit_debug_at(e, s->at);
  e->mask = NULL;
}

static void vector_loop_of_known_trip(moire__emitter *e, const moire__loop_statement *s, LLVMValueRef low,
                                      int64_t trip) {
  const moire__ir *ir = &e->ir;
  int64_t full = trip - trip % s->lanes;
  LLVMValueRef limit = LLVMBuildNSWAdd(ir->at, low, moire__ir_index(ir, full), "");
  if (full == s->lanes) {
    vector_body(e, s, low, NULL);
  } else if (full > 0) {
    open_loop loop = begin_loop(e, low, limit, s->lanes);
    vector_body(e, s, loop.index, NULL);
    end_loop(e, &loop);
  }
  if (trip > full) vector_body(e, s, limit, moire__ir_index(ir, trip - full));
}

static LLVMValueRef positive_part(const moire__ir *ir, LLVMValueRef x) {
  LLVMTypeRef type = LLVMTypeOf(x);
  LLVMValueRef arguments[] = {x, LLVMConstNull(type)};
  return moire__ir_intrinsic(ir, "llvm.smax", &type, 1, arguments, 2);
}

/* Emits a loop whose trip count is only known to be a multiple of `multiple`; returns whether it ran (i1). */
static LLVMValueRef vector_loop_of_any_trip(moire__emitter *e, const moire__loop_statement *s, LLVMValueRef low,
                                            LLVMValueRef high, int64_t multiple) {
  const moire__ir *ir = &e->ir;
  LLVMValueRef trip = positive_part(ir, LLVMBuildNSWSub(ir->at, high, low, ""));
  LLVMValueRef full = LLVMBuildAnd(ir->at, trip, moire__ir_index(ir, -(int64_t)s->lanes), "");
  LLVMValueRef limit = LLVMBuildNSWAdd(ir->at, low, full, "");
  LLVMBasicBlockRef after = begin_if(e, LLVMBuildICmp(ir->at, LLVMIntSLT, low, limit, ""));
  open_loop loop = begin_loop(e, low, limit, s->lanes);
  vector_body(e, s, loop.index, NULL);
  end_loop(e, &loop);
  end_if(e, after);
  LLVMValueRef zero = moire__ir_index(ir, 0);
  if (multiple % s->lanes != 0) {
    LLVMValueRef rest = LLVMBuildAnd(ir->at, trip, moire__ir_index(ir, s->lanes - 1), "");
    after = begin_if(e, LLVMBuildICmp(ir->at, LLVMIntNE, rest, zero, ""));
    vector_body(e, s, limit, rest);
    end_if(e, after);
  }
  return LLVMBuildICmp(ir->at, LLVMIntNE, trip, zero, "");
}

static void vector_loop(moire__emitter *e, const moire__loop_statement *s) {
  moire__emit_trip trip = moire__emit_trip_of(e->kernel, s->low, s->high);
  if (trip.is_constant && trip.constant <= 0) return;
  if (e->lanes || s->lanes > MAX_LANES || (s->lanes & (s->lanes - 1)) != 0) {
    moire__emit_fail(
        e, MOIRE_ERROR_UNSUPPORTED,
        "a vector loop must have a power of two of lanes, at most 256, and no vector loop around it");
    return;
  }
  LLVMValueRef low = moire__emit_uniform(e, s->low), high = moire__emit_uniform(e, s->high), ran = NULL;
  moire__emit_analyse(e->kernel, s, &e->varies);
  e->lanes = s->lanes;
  e->loop = s;
  moire__emit_open_accumulators(e, s->body);
  if (trip.is_constant)
    vector_loop_of_known_trip(e, s, low, trip.constant);
  else
    ran = vector_loop_of_any_trip(e, s, low, high, trip.multiple);
  moire__emit_close_accumulators(e, s->body, ran);
  e->lanes = 0;
  e->loop = NULL;
}

/* ---- statements --------------------------------------------------------------------------------------------
 */

void moire__emit_statements(moire__emitter *e, const moire__loop_statement *first) {
  for (const moire__loop_statement *s = first; s; s = s->next) {
    moire__emit_debug_at(e, s->at);
    switch (s->kind) {
      case MOIRE__LOOP_LET: moire__emit_let(e, s->value); break;
      case MOIRE__LOOP_DECLARE: declare(e, s->var); break;
      case MOIRE__LOOP_SET: set(e, s); break;
      case MOIRE__LOOP_REDUCE: moire__emit_reduce(e, s); break;
      case MOIRE__LOOP_STORE: moire__emit_store(e, s); break;
      case MOIRE__LOOP_FETCH: moire__emit_fetch(e, s); break;
      case MOIRE__LOOP_TURN: moire__emit_turn(e, s); break;
      case MOIRE__LOOP_TILE: moire__emit_tile(e, s); break;
      case MOIRE__LOOP_FOR:
        if (s->lanes > 1)
          vector_loop(e, s);
        else
          serial_loop(e, s);
        break;
      case MOIRE__LOOP_IF: {
        LLVMBasicBlockRef after = begin_if(e, moire__emit_uniform(e, s->value));
        moire__emit_statements(e, s->body);
        end_if(e, after);
        break;
      }
    }
  }
}
