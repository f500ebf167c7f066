/* Modules: kernels to LLVM IR, through a short pipeline of passes, to an object or text.
 *
 * The pipeline does what the emitter leaves to it and no more: variables become registers (sroa), equal
 * addresses one (early-cse, gvn), what a loop does not change moves out of it (licm). Nothing is vectorised or
 * unrolled: the schedule has said how.
 */
#include "compiler/codegen/llvm_module.h"
#include "compiler/codegen/emit.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <llvm-c/Analysis.h>
#include <llvm-c/ErrorHandling.h>
#include <llvm-c/Target.h>
#include <llvm-c/Transforms/PassBuilder.h>

#define PASSES                                                                                                 \
  "function(sroa,early-cse<memssa>,instcombine<no-verify-fixpoint>,simplifycfg,loop-mssa(licm),gvn,"           \
  "instcombine<no-verify-fixpoint>,loop-mssa(licm),simplifycfg,adce)"

/* ---- LLVM's own state --------------------------------------------------------------------------------------
 */

/* LLVM cannot go on after this, and neither can we: it is a defect of one of the two. */
static void stop_program(const char *reason) {
  fprintf(stderr, "moire: LLVM stopped: %s\n", reason);
  abort();
}

static void initialize(void) {
  LLVMInitializeNativeTarget();
  LLVMInitializeNativeAsmPrinter();
  LLVMInitializeX86TargetInfo(); /* the named targets can be compiled for anywhere */
  LLVMInitializeX86Target();
  LLVMInitializeX86TargetMC();
  LLVMInitializeX86AsmPrinter();
  LLVMInitializeAArch64TargetInfo();
  LLVMInitializeAArch64Target();
  LLVMInitializeAArch64TargetMC();
  LLVMInitializeAArch64AsmPrinter();
  LLVMInstallFatalErrorHandler(stop_program);
}

void moire__llvm_start(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, initialize);
}

static void note_diagnostic(LLVMDiagnosticInfoRef info, void *context) {
  moire__llvm_module *m = context;
  if (LLVMGetDiagInfoSeverity(info) != LLVMDSError) return;
  char *text = LLVMGetDiagInfoDescription(info);
  moire_fail(&m->diagnostic, MOIRE_ERROR_INTERNAL, "LLVM: %s", text);
  LLVMDisposeMessage(text);
}

static moire_status pass_on(moire__llvm_module *m, moire_error *error) {
  if (!m->diagnostic.status) return MOIRE_OK;
  return moire_fail(error, m->diagnostic.status, "%s", m->diagnostic.message);
}

/* ---- making ------------------------------------------------------------------------------------------------
 */

static moire_status make_machine(moire__llvm_module *m, const moire__target *target, moire_error *error) {
  LLVMTargetRef found = NULL;
  char *message = NULL;
  if (LLVMGetTargetFromTriple(target->triple, &found, &message)) {
    moire_fail(error, MOIRE_ERROR_UNSUPPORTED, "target %s: LLVM does not know the triple %s: %s", target->name,
               target->triple, message);
    LLVMDisposeMessage(message);
    return MOIRE_ERROR_UNSUPPORTED;
  }
  m->machine = LLVMCreateTargetMachine(found, target->triple, target->cpu, target->features,
                                       LLVMCodeGenLevelDefault, LLVMRelocPIC, LLVMCodeModelDefault);
  if (!m->machine)
    return moire_fail(error, MOIRE_ERROR_UNSUPPORTED, "target %s: LLVM has no code generator for %s",
                      target->name, target->triple);
  return MOIRE_OK;
}

static moire_status verify(moire__llvm_module *m, moire_error *error) {
  char *message = NULL;
  moire_status status = MOIRE_OK;
  if (LLVMVerifyModule(m->module, LLVMReturnStatusAction, &message))
    status = moire_fail(error, MOIRE_ERROR_INTERNAL, "the emitted LLVM IR is malformed: %.600s", message);
  LLVMDisposeMessage(message);
  return status;
}

const char *moire__llvm_symbol(const moire__codegen_options *options, int i, char name[40]) {
  if (options->symbols) return options->symbols[i];
  snprintf(name, 40, "moire_kernel_%d", options->first_index + i);
  return name;
}

moire_status moire__llvm_make(moire__llvm_module *m, const moire__loop_kernel *const *kernels,
                              const int *chosen, int n, const moire__target *target,
                              const moire__codegen_options *options, moire_error *error) {
  *m = (moire__llvm_module){0};
  moire__llvm_start();
  m->context = LLVMContextCreate();
  LLVMContextSetDiagnosticHandler(m->context, note_diagnostic, m);
  m->module = LLVMModuleCreateWithNameInContext("moire", m->context);
  moire_status status = make_machine(m, target, error);
  if (status) return status;
  LLVMTargetDataRef layout = LLVMCreateTargetDataLayout(m->machine);
  LLVMSetModuleDataLayout(m->module, layout);
  LLVMDisposeTargetData(layout);
  LLVMSetTarget(m->module, target->triple);
  if (options->debug_info) {
    LLVMValueRef version = LLVMConstInt(LLVMInt32TypeInContext(m->context), 3, 0);
    LLVMAddModuleFlag(m->module, LLVMModuleFlagBehaviorWarning, "Debug Info Version", 18,
                      LLVMValueAsMetadata(version));
    LLVMValueRef dwarf =
        LLVMConstInt(LLVMInt32TypeInContext(m->context), 4, 0); /* the readers in use know it */
    LLVMAddModuleFlag(m->module, LLVMModuleFlagBehaviorWarning, "Dwarf Version", 13,
                      LLVMValueAsMetadata(dwarf));
  }
  moire__ir ir = {.context = m->context, .module = m->module, .at = LLVMCreateBuilderInContext(m->context)};
  for (int i = 0; i < n && !status; i++) {
    int k = chosen ? chosen[i] : i;
    char name[40];
    status = moire__emit_kernel(&ir, kernels[k], moire__llvm_symbol(options, k, name), target, options, error);
  }
  LLVMDisposeBuilder(ir.at);
  return status ? status : verify(m, error);
}

void moire__llvm_free(moire__llvm_module *m) {
  if (m->module) LLVMDisposeModule(m->module);
  if (m->machine) LLVMDisposeTargetMachine(m->machine);
  if (m->context) LLVMContextDispose(m->context);
  *m = (moire__llvm_module){0};
}

/* ---- onward ------------------------------------------------------------------------------------------------
 */

moire_status moire__llvm_optimize(moire__llvm_module *m, const moire__codegen_options *options,
                                  moire_error *error) {
  if (options->no_optimize) return MOIRE_OK;
  LLVMPassBuilderOptionsRef how = LLVMCreatePassBuilderOptions();
  LLVMErrorRef failure = LLVMRunPasses(m->module, PASSES, m->machine, how);
  LLVMDisposePassBuilderOptions(how);
  if (!failure) return pass_on(m, error);
  char *message = LLVMGetErrorMessage(failure);
  moire_status status = moire_fail(error, MOIRE_ERROR_INTERNAL, "LLVM's passes failed: %s", message);
  LLVMDisposeErrorMessage(message);
  return status;
}

moire_status moire__llvm_emit(moire__llvm_module *m, bool assembly, LLVMMemoryBufferRef *out,
                              moire_error *error) {
  char *message = NULL;
  LLVMCodeGenFileType kind = assembly ? LLVMAssemblyFile : LLVMObjectFile;
  if (LLVMTargetMachineEmitToMemoryBuffer(m->machine, m->module, kind, &message, out)) {
    moire_status status = moire_fail(error, MOIRE_ERROR_INTERNAL, "LLVM could not emit code: %s", message);
    LLVMDisposeMessage(message);
    return status;
  }
  moire_status status = pass_on(m, error);
  if (status) LLVMDisposeMemoryBuffer(*out);
  return status;
}

moire_status moire__llvm_to_object(const moire__loop_kernel *const *kernels, const int *chosen, int n,
                                   const moire__target *target, const moire__codegen_options *options,
                                   moire__object *object, moire_error *error) {
  *object = (moire__object){0};
  moire__llvm_module m;
  LLVMMemoryBufferRef buffer = NULL;
  moire_status status = moire__llvm_make(&m, kernels, chosen, n, target, options, error);
  if (!status) status = moire__llvm_optimize(&m, options, error);
  if (!status) status = moire__llvm_emit(&m, false, &buffer, error);
  if (!status) {
    object->size = LLVMGetBufferSize(buffer);
    object->bytes = moire__allocate(object->size);
    memcpy(object->bytes, LLVMGetBufferStart(buffer), object->size);
    LLVMDisposeMemoryBuffer(buffer);
  }
  moire__llvm_free(&m);
  return status;
}
