/* The op table: one moire__op_info a row of ops/ops.def.
 *
 * Each part that the row's class asks for is referenced by its name, so a forgotten one does not link. Two
 * parts depend on the row's traits as well: there is no gradient where the row is FIXED, and split is asked for
 * only of complex ops that do not treat both planes alike (the parts of complex numbers always have it).
 */
#include "ops/parts.h"

#include <assert.h>
#include <string.h>

/* The traits as ops.def spells them. */
enum {
  COMPLEX = MOIRE__TRAIT_COMPLEX,
  PLANEWISE = MOIRE__TRAIT_PLANEWISE,
  COMMUTES = MOIRE__TRAIT_COMMUTES,
  FIXED = MOIRE__TRAIT_FIXED,
  IN_PLACE = MOIRE__TRAIT_IN_PLACE,
};

/* The traits and class of a row as constants, for the conditions below. */
enum {
#define MOIRE__OP(op, op_class, low, high, results, traits, equation)                                          \
  TRAITS_OF_##op = (traits), CLASS_OF_##op = MOIRE__CLASS_##op_class,
#include "ops/ops.def"
#undef MOIRE__OP
};

#define MOIRE__OP(op, op_class, low, high, results, traits, equation)                                          \
  static_assert((low) <= (high) && (high) <= MOIRE__MAX_OPERANDS && (results) <= MOIRE__MAX_RESULTS, #op);
#include "ops/ops.def"
#undef MOIRE__OP

#define IS_FIXED(op) ((TRAITS_OF_##op & FIXED) != 0)
#define IS_SPLIT(op)                                                                                           \
  ((int)CLASS_OF_##op == MOIRE__CLASS_COMPLEX_PART || (TRAITS_OF_##op & (COMPLEX | PLANEWISE)) == COMPLEX)

#define ENTRY_infer(op) .infer = moire__##op##_infer,
#define ENTRY_gradient(op) .gradient = IS_FIXED(op) ? NULL : moire__##op##_gradient,
#define ENTRY_expand(op) .expand = moire__##op##_expand,
#define ENTRY_split(op) .split = IS_SPLIT(op) ? moire__##op##_split : NULL,
#define ENTRY_demand(op) .demand = moire__##op##_demand,
#define ENTRY_reference(op) .reference = moire__##op##_reference,
#define ENTRY_sample(op) .sample = moire__##op##_sample,
#define ENTRY_element(op) .element = moire__##op##_element,
#define ENTRY_map(op) .map = moire__##op##_map,
#define ENTRY_source(op) .source = moire__##op##_source,
#define ENTRY_lower(op) .lower = moire__##op##_lower,
#define ENTRY(op, part) ENTRY_##part(op)

static const moire__op_info table[MOIRE__OP_COUNT] = {
#define MOIRE__OP(op, class_of_row, low, high, results, traits_of_row, equation_of_row)                        \
  [MOIRE__OP_##op] = {.name = #op,                                                                             \
                      .op_class = MOIRE__CLASS_##class_of_row,                                                 \
                      .min_operands = (low),                                                                   \
                      .max_operands = (high),                                                                  \
                      .n_results = (results),                                                                  \
                      .traits = (traits_of_row),                                                               \
                      .equation = (equation_of_row),                                                           \
                      MOIRE__PARTS_OF_ALL(op, ENTRY) MOIRE__PARTS_OF_##class_of_row(op, ENTRY)},
#include "ops/ops.def"
#undef MOIRE__OP
#define MOIRE__PART(op, part) [MOIRE__OP_##op] ENTRY_##part(op)
#include "ops/parts.def"
#undef MOIRE__PART
};

const moire__op_info *moire__op_get(moire__op op) {
  assert(op > MOIRE__OP_none && op < MOIRE__OP_COUNT);
  return &table[op];
}

moire__op moire__op_find(const char *name) {
  for (int op = MOIRE__OP_none + 1; op < MOIRE__OP_COUNT; op++)
    if (strcmp(table[op].name, name) == 0) return (moire__op)op;
  return MOIRE__OP_none;
}
