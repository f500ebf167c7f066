/* One kernel as two functions.
 *
 *   void symbol(void *const *buffers, const i64 *extents, i64 begin, i64 end)    external: fetches the
 * parameters void name(T *noalias a, T *noalias b, ..., extents, begin, end)              internal: the kernel
 *
 * The inner one exists because only arguments can be declared not to alias, and it has the kernel's own name,
 * which profilers show. It runs the parallel iterations begin .. end - 1 one after the other.
 */
#include "compiler/codegen/emit.h"

#include <string.h>

/* The stack of a worker thread bears this much of local buffers. */
enum { MAX_LOCAL_BYTES = 1 << 20 };

/* ---- functions ---------------------------------------------------------------------------------------------
 */

static void add_string_attribute(const moire__ir *ir, LLVMValueRef function, const char *name,
                                 const char *value) {
  LLVMAttributeRef attribute =
      LLVMCreateStringAttribute(ir->context, name, (unsigned)strlen(name), value, (unsigned)strlen(value));
  LLVMAddAttributeAtIndex(function, (LLVMAttributeIndex)LLVMAttributeFunctionIndex, attribute);
}

static void add_attribute(const moire__ir *ir, LLVMValueRef function, unsigned index, const char *name,
                          uint64_t value) {
  unsigned kind = LLVMGetEnumAttributeKindForName(name, strlen(name));
  LLVMAddAttributeAtIndex(function, index, LLVMCreateEnumAttribute(ir->context, kind, value));
}

static void describe_function(moire__emitter *e, LLVMValueRef function) {
  const unsigned whole = (unsigned)LLVMAttributeFunctionIndex;
  add_attribute(&e->ir, function, whole, "nounwind", 0);
  add_string_attribute(&e->ir, function, "target-cpu", e->target->cpu);
  add_string_attribute(&e->ir, function, "target-features", e->target->features);
  add_string_attribute(&e->ir, function, "frame-pointer", "none");
  if (e->target->vector_bits == 512) add_string_attribute(&e->ir, function, "prefer-vector-width", "512");
}

/* What codegen.h lets compiled code assume of parameter i (from 1), which is argument i - 1. */
static void describe_parameter(moire__emitter *e, LLVMValueRef function, int i) {
  const moire__loop_buffer_info *buffer = &e->kernel->buffers[i];
  unsigned index = (unsigned)i;
  add_attribute(&e->ir, function, index, "noalias", 0);
  add_attribute(&e->ir, function, index, "nocapture", 0);
  add_attribute(&e->ir, function, index, "noundef", 0);
  add_attribute(&e->ir, function, index, "align", 64);
  if (buffer->role == MOIRE__BUFFER_IN) add_attribute(&e->ir, function, index, "readonly", 0);
  int64_t bytes = moire__dim_factor(buffer->elements) * (int64_t)moire__loop_type_bytes(buffer->type);
  if (moire__dim_is_static(buffer->elements) && bytes > 0)
    add_attribute(&e->ir, function, index, "dereferenceable", (uint64_t)bytes);
}

/* ---- the inner function ------------------------------------------------------------------------------------
 */

static void make_tables(moire__emitter *e) {
  const moire__loop_kernel *k = e->kernel;
  size_t values = (size_t)k->n_values, vars = (size_t)k->n_vars;
  e->extents = moire__arena_array(&e->arena, (size_t)k->n_extents + 1, sizeof *e->extents);
  e->buffers = moire__arena_array(&e->arena, (size_t)k->n_buffers, sizeof *e->buffers);
  e->values = moire__arena_array(&e->arena, values, sizeof *e->values);
  e->vars = moire__arena_array(&e->arena, vars, sizeof *e->vars);
  e->index_like = moire__arena_array(&e->arena, values, sizeof *e->index_like);
  e->varies.value = moire__arena_array(&e->arena, values, sizeof *e->varies.value);
  e->varies.var = moire__arena_array(&e->arena, vars, sizeof *e->varies.var);
  e->varies.inner = moire__arena_array(&e->arena, vars, sizeof *e->varies.inner);
}

static void make_locals(moire__emitter *e) {
  const moire__loop_kernel *k = e->kernel;
  int64_t total = 0;
  for (int i = k->n_parameters + 1; i < k->n_buffers; i++) {
    const moire__loop_buffer_info *buffer = &k->buffers[i];
    int64_t n = moire__dim_factor(buffer->elements);
    total += n * (int64_t)moire__loop_type_bytes(buffer->type);
    if (!moire__dim_is_static(buffer->elements) || total > MAX_LOCAL_BYTES) {
      moire__emit_fail(e, MOIRE_ERROR_UNSUPPORTED,
                       "its local buffers are not of a fixed size of at most 1 MiB");
      return;
    }
    LLVMTypeRef element = moire__emit_memory_type(e, buffer->type);
    e->buffers[i] = moire__ir_alloca(&e->ir, LLVMArrayType2(element, (uint64_t)n), buffer->name);
  }
}

static void emit_iterations(moire__emitter *e, LLVMValueRef begin, LLVMValueRef end) {
  const moire__ir *ir = &e->ir;
  LLVMBasicBlockRef entry = LLVMGetInsertBlock(ir->at), done = moire__ir_block(ir, "done");
  LLVMBasicBlockRef iteration = moire__ir_block(ir, "iteration");
  LLVMBuildCondBr(ir->at, LLVMBuildICmp(ir->at, LLVMIntSLT, begin, end, ""), iteration, done);
  LLVMPositionBuilderAtEnd(ir->at, iteration);
  LLVMValueRef p = LLVMBuildPhi(ir->at, LLVMTypeOf(begin), "p");
  LLVMAddIncoming(p, &begin, &entry, 1);
  e->values[e->kernel->parallel] = (moire__emit_value){.scalar = p};
  moire__emit_statements(e, e->kernel->body);
  LLVMValueRef next = LLVMBuildNSWAdd(ir->at, p, moire__ir_index(ir, 1), "");
  LLVMBasicBlockRef last = LLVMGetInsertBlock(ir->at);
  LLVMAddIncoming(p, &next, &last, 1);
  LLVMBuildCondBr(ir->at, LLVMBuildICmp(ir->at, LLVMIntSLT, next, end, ""), iteration, done);
  LLVMPositionBuilderAtEnd(ir->at, done);
  moire__emit_close_tiles(e);
  LLVMBuildRetVoid(ir->at);
}

static void emit_inner(moire__emitter *e, LLVMTypeRef type) {
  moire__ir *ir = &e->ir;
  const moire__loop_kernel *k = e->kernel;
  unsigned n = (unsigned)k->n_parameters;
  ir->function = LLVMAddFunction(ir->module, k->name, type);
  LLVMSetLinkage(ir->function, LLVMInternalLinkage);
  describe_function(e, ir->function);
  for (int i = 1; i <= k->n_parameters; i++) describe_parameter(e, ir->function, i);
  add_attribute(ir, ir->function, n + 1, "noalias", 0);
  add_attribute(ir, ir->function, n + 1, "readonly", 0);
  add_attribute(ir, ir->function, n + 1, "nocapture", 0);
  moire__emit_debug_begin(e);
  LLVMPositionBuilderAtEnd(ir->at, moire__ir_block(ir, "entry"));
  make_tables(e);
  for (int i = 1; i <= k->n_parameters; i++) {
    e->buffers[i] = LLVMGetParam(ir->function, (unsigned)i - 1);
    LLVMSetValueName2(e->buffers[i], k->buffers[i].name, strlen(k->buffers[i].name));
  }
  LLVMValueRef extents = LLVMGetParam(ir->function, n);
  LLVMTypeRef i64 = LLVMInt64TypeInContext(ir->context);
  for (int i = 1; i <= k->n_extents; i++) {
    LLVMValueRef at = moire__ir_index(ir, i);
    e->extents[i] = LLVMBuildLoad2(ir->at, i64, LLVMBuildInBoundsGEP2(ir->at, i64, extents, &at, 1, ""), "");
  }
  make_locals(e);
  moire__emit_open_tiles(e);
  if (!e->status) emit_iterations(e, LLVMGetParam(ir->function, n + 1), LLVMGetParam(ir->function, n + 2));
  moire__emit_debug_end(e);
}

/* ---- the outer function ------------------------------------------------------------------------------------
 */

static void emit_outer(moire__emitter *e, const char *symbol, LLVMTypeRef inner_type) {
  moire__ir *ir = &e->ir;
  LLVMValueRef inner = ir->function;
  LLVMTypeRef pointer = LLVMPointerTypeInContext(ir->context, 0), i64 = LLVMInt64TypeInContext(ir->context);
  LLVMTypeRef parameters[] = {pointer, pointer, i64, i64};
  LLVMTypeRef type = LLVMFunctionType(LLVMVoidTypeInContext(ir->context), parameters, 4, 0);
  ir->function = LLVMAddFunction(ir->module, symbol, type);
  describe_function(e, ir->function);
  LLVMPositionBuilderAtEnd(ir->at, moire__ir_block(ir, "entry"));
  unsigned n = (unsigned)e->kernel->n_parameters;
  LLVMValueRef *arguments = moire__arena_array(&e->arena, n + 3, sizeof *arguments);
  LLVMValueRef buffers = LLVMGetParam(ir->function, 0);
  for (unsigned i = 0; i < n; i++) {
    LLVMValueRef at = moire__ir_index(ir, i);
    arguments[i] =
        LLVMBuildLoad2(ir->at, pointer, LLVMBuildInBoundsGEP2(ir->at, pointer, buffers, &at, 1, ""), "");
  }
  for (unsigned i = 0; i < 3; i++) arguments[n + i] = LLVMGetParam(ir->function, 1 + i);
  LLVMBuildCall2(ir->at, inner_type, inner, arguments, n + 3, "");
  LLVMBuildRetVoid(ir->at);
}

moire_status moire__emit_kernel(const moire__ir *ir, const moire__loop_kernel *k, const char *symbol,
                                const moire__target *target, const moire__codegen_options *options,
                                moire_error *error) {
  moire__emitter e = {.ir = *ir, .kernel = k, .target = target, .options = options, .error = error};
  unsigned n = (unsigned)k->n_parameters;
  LLVMTypeRef *parameters = moire__arena_array(&e.arena, n + 3, sizeof *parameters);
  LLVMTypeRef pointer = LLVMPointerTypeInContext(ir->context, 0), i64 = LLVMInt64TypeInContext(ir->context);
  for (unsigned i = 0; i <= n; i++) parameters[i] = pointer;
  parameters[n + 1] = parameters[n + 2] = i64;
  LLVMTypeRef type = LLVMFunctionType(LLVMVoidTypeInContext(ir->context), parameters, n + 3, 0);
  emit_inner(&e, type);
  emit_outer(&e, symbol, type);
  moire__arena_free(&e.arena);
  return e.status;
}
