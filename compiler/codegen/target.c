/* Targets: levels of instruction sets by feature bits, and a generic one for this machine's architecture. */
#include "compiler/codegen/codegen.h"

#include "runtime/base/dot_rate.h"

#include <stdio.h>
#include <string.h>

#include <llvm-c/Core.h>
#include <llvm-c/TargetMachine.h>
#include <sys/syscall.h>
#include <unistd.h>

/* All that a level's code may use. 512-bit registers are wanted although LLVM's tables prefer 256. */
#define V3_FEATURES "+sse4.2,+popcnt,+avx,+avx2,+fma,+f16c,+bmi,+bmi2,+lzcnt,+movbe"
#define V4_FEATURES V3_FEATURES ",+avx512f,+avx512bw,+avx512dq,+avx512vl,+avx512cd,+evex512,-prefer-256-bit"

#define BF16_FEATURES V4_FEATURES ",+avx512bf16"
#define AMX_FEATURES BF16_FEATURES ",+amx-tile,+amx-bf16"

#define X86 "x86_64-unknown-linux-gnu"

static const moire__target levels[] = {
    {"x86-64-v4-amx", X86, "x86-64-v4", AMX_FEATURES, 512, 32, .has_fma = true, .has_bf16 = true,
     .has_tiles = true},
    {"x86-64-v4-bf16", X86, "x86-64-v4", BF16_FEATURES, 512, 32, .has_fma = true, .has_bf16 = true,
     .has_dots = true},
    {"x86-64-v4", X86, "x86-64-v4", V4_FEATURES, 512, 32, .has_fma = true},
    {"x86-64-v3", X86, "x86-64-v3", V3_FEATURES, 256, 16, .has_fma = true},
    {"x86-64", X86, "x86-64", "", 128, 16, .has_fma = false},
    {"aarch64", "aarch64-unknown-linux-gnu", "generic", "+neon", 128, 32, .has_fma = true},
};
enum { N_LEVELS = sizeof levels / sizeof *levels };
#define NAMES "x86-64-v4-amx, x86-64-v4-bf16, x86-64-v4, x86-64-v3, x86-64, aarch64, generic and host"

static moire__target generic(void) {
  moire__target target = {.name = "generic", .features = "", .vector_bits = 128, .n_vector_registers = 16};
  char *triple = LLVMGetDefaultTargetTriple();
  snprintf(target.triple, sizeof target.triple, "%s", triple);
  LLVMDisposeMessage(triple);
  bool is_arm = strncmp(target.triple, "aarch64", 7) == 0, is_x86 = strncmp(target.triple, "x86_64", 6) == 0;
  snprintf(target.cpu, sizeof target.cpu, "%s", is_x86 ? "x86-64" : "generic");
  if (is_arm) {
    target.n_vector_registers = 32;
    target.has_fma = true;
  }
  return target;
}

/* Whether this machine is of the triple's architecture. */
static bool is_native(const char *triple) {
  char *host = LLVMGetDefaultTargetTriple();
  size_t n = strcspn(triple, "-");
  bool is = strncmp(triple, host, n) == 0 && host[n] == '-';
  LLVMDisposeMessage(host);
  return is;
}

/* The first feature of the list `wanted` that `host` lacks: its length, and where it begins; 0 if it has all.
 */
static int missing_feature(const char *wanted, const char *host, const char **missing) {
  for (const char *at = wanted; *at;) {
    int n = (int)strcspn(at, ",");
    bool compiler_only = strncmp(at, "+evex512", (size_t)n) == 0; /* not a feature of the processor */
    bool found = compiler_only || *at != '+';
    for (const char *in = host; !found && (in = strchr(in, '+')); in++)
      found = strncmp(in, at, (size_t)n) == 0 && (in[n] == ',' || in[n] == 0);
    *missing = at + 1;
    if (!found) return n - 1;
    at += n + (at[n] == ',');
  }
  return 0;
}

/* Linux gives a process tiles only if it asks for them. Source: the kernel's Documentation/arch/x86/xstate.rst.
 */
static bool tiles_are_permitted(void) {
#if defined(__x86_64__)
  enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18 };
  return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
#else
  return false;
#endif
}

moire_status moire__target_runs_here(const moire__target *target, moire_error *error) {
  if (strcmp(target->name, "generic") == 0) return MOIRE_OK;
  if (!is_native(target->triple))
    return moire_fail(error, MOIRE_ERROR_UNSUPPORTED, "target %s: this machine has another architecture",
                      target->name);
  const char *missing = NULL;
  char *host = LLVMGetHostCPUFeatures();
  int n = missing_feature(target->features, host, &missing);
  LLVMDisposeMessage(host);
  if (n)
    return moire_fail(error, MOIRE_ERROR_UNSUPPORTED, "target %s: this machine lacks the feature %.*s",
                      target->name, n, missing);
  if (!target->has_tiles || tiles_are_permitted()) return MOIRE_OK;
  return moire_fail(error, MOIRE_ERROR_UNSUPPORTED, "target %s: the system does not permit tiles",
                    target->name);
}

moire__target moire__target_best(const char *features, bool fast_dots, bool tiles) {
  for (int i = 0; i < N_LEVELS; i++) {
    const moire__target *level = &levels[i];
    const char *missing = NULL;
    bool pays = (!level->has_dots || fast_dots) && (!level->has_tiles || tiles);
    if (pays && is_native(level->triple) && !missing_feature(level->features, features, &missing))
      return *level;
  }
  return generic();
}

moire__target moire__target_host(void) {
  char *features = LLVMGetHostCPUFeatures();
  moire__target best = moire__target_best(features, moire__dots_are_fast(), tiles_are_permitted());
  LLVMDisposeMessage(features);
  return best;
}

moire_status moire__target_named(const char *name, moire__target *target, moire_error *error) {
  for (int i = 0; i < N_LEVELS; i++) {
    if (strcmp(name, levels[i].name) == 0) {
      *target = levels[i];
      return MOIRE_OK;
    }
  }
  bool is_host = strcmp(name, "host") == 0;
  if (!is_host && strcmp(name, "generic") != 0)
    return moire_fail(error, MOIRE_ERROR_ARGUMENT, "target %s: there are " NAMES, name);
  *target = is_host ? moire__target_host() : generic();
  return MOIRE_OK;
}
