/* Which steps of a plan can be done before its inputs are known. */
#ifndef MOIRE_COMPILER_PASS_PLAN_PREPARE_H
#define MOIRE_COMPILER_PASS_PLAN_PREPARE_H

#include "compiler/pass/plan/module.h"

/* steps[i]: step i reads nothing but states that the plan leaves as they are and what such steps wrote, its
 * size does not depend on a named extent, and its kernel is exact. buffers[i]: temporary i is written by one
 * such step and no other. Both arrays are as long as the plan's. */
void moire__pass_prepare(const moire__module *module, bool *steps, bool *buffers);
/* The same of all kernels, exact or not, for whoever runs them on the machine that the code is for; and into
 * the module's plan. */
void moire__pass_prepare_all(const moire__module *module, bool *steps, bool *buffers);
void moire__pass_settle(moire__module *module);

/* Whether whoever runs the kernel, the interpreter or compiled code of any instruction set, gets the same bits:
 * it moves, compares, and rounds correctly, but neither approximates a function, nor sums in an order of its
 * own, nor has a product that may or may not be rounded before it is added. */
bool moire__kernel_is_exact(const moire__loop_kernel *kernel);

#endif
