/* The pipeline: what happens to a model's graph between the language and the kernels. Read this page first.
 *
 * Each row of PIPELINE is a pass (compiler/pass/<name>.c: its head comment says what it requires, ensures and
 * breaks). The manager runs them from top to bottom and verifies the graph after each. Each ORDER row says of
 * two passes why they cannot be exchanged; a test holds the two tables against each other.
 */
#include "compiler/driver/driver.h"

#define PIPELINE(PASS)                                                                                         \
  PASS(select, "keeps the outputs that are asked for, and what they need")                                     \
  PASS(fix, "named extents that are known become numbers")                                                     \
  PASS(banks, "filters along one sequence that are added up become one")                                       \
  PASS(unite, "complex products that are spelled by planes become complex ones")                               \
  PASS(recognise, "attention that is spelled in primitives becomes one op")                                    \
  PASS(demand, "slices move up to the operands: what nobody reads is not computed")                            \
  PASS(pack, "tokens that are padding are left out")                                                           \
  PASS(wide_loss, "scores of many words and the cross entropy that reads them become one op")                  \
  PASS(tables, "linear maps of rows that are looked up are made of the tables")                                \
  PASS(expand, "composites become other ops")                                                                  \
  PASS(autodiff, "adds the gradients of the loss")                                                             \
  PASS(joint, "a loss over many words and its gradients become one op, where they may")                        \
  PASS(divide, "a step for parts of a batch: what it sums, and what it does with the sums")                    \
  PASS(optimize, "gradients become steps of the optimizer")                                                    \
  PASS(attend_tiles, "attention of long sequences multiplies bf16, where that is wanted and done by tiles")    \
  PASS(narrow, "operands of products become bf16, where that is wanted")                                       \
  PASS(decompose, "row ops become primitives")                                                                 \
  PASS(split, "complex values become two planes")                                                              \
  PASS(simplify, "equations of arithmetic and shape")                                                          \
  PASS(cse, "what is computed twice is computed once")                                                         \
  PASS(simplify, "again: equal operands open up new rules")                                                    \
  PASS(cse, "again: simplified nodes may be equal now")                                                        \
  PASS(flatten, "reshapes move below element-wise ops")                                                        \
  PASS(cse, "what flatten wrote twice is one")                                                                 \
  PASS(dce, "drops what nothing needs")                                                                        \
  PASS(triple, "complex products become three real ones where that is less work")                              \
  PASS(blocking, "real products may be made by blocks that stay in caches")                                    \
  PASS(halve, "what products round to bf16 is stored so")                                                      \
  PASS(layout, "operands of products and outputs as the loop nests need them")                                 \
  PASS(fuse, "nodes are gathered into kernels")

#define ORDERS(ORDER)                                                                                          \
  ORDER(select, demand, "an output that nobody asked for would keep whole what is read in part")               \
  ORDER(select, autodiff, "it drops the outputs that are not asked for, and gradients would be among them")    \
  ORDER(select, recognise, "weights that are handed out are not recognised: they are needed")                  \
  ORDER(select, fix, "extents that only other outputs have are gone")                                          \
  ORDER(fix, pack, "what is packed has an extent of its own for the tokens")                                   \
  ORDER(select, unite, "a plane that is handed out alone would keep real products beside the complex one")     \
  ORDER(unite, recognise, "scores by interference are recognised from complex products")                       \
  ORDER(banks, unite, "it joins planes that are turned before they are turned back")                           \
  ORDER(banks, demand, "slices would stand between filters and their sum")                                     \
  ORDER(banks, pack, "a filter is computed at tokens where no permutation stands behind it")                   \
  ORDER(recognise, demand, "a slice passes attention as one step")                                             \
  ORDER(recognise, pack, "it leaves padding out of attention that it knows")                                   \
  ORDER(recognise, autodiff, "the gradient of the spelling keeps a value for each pair of query and key")      \
  ORDER(select, wide_loss, "logits that are handed out are not recognised: they are needed")                   \
  ORDER(demand, wide_loss, "slices stop at an op of several results")                                          \
  ORDER(wide_loss, expand, "a linear map is recognised as one op")                                             \
  ORDER(wide_loss, autodiff, "the gradient of the spelling keeps the logits")                                  \
  ORDER(wide_loss, narrow, "its products are narrowed, too")                                                   \
  ORDER(demand, tables, "how many rows are looked up shows only then")                                         \
  ORDER(tables, expand, "a linear map is recognised as one op")                                                \
  ORDER(tables, autodiff, "gradients are summed up by row of the table before they are multiplied")            \
  ORDER(demand, pack, "only the slice of the last position says that the others are not read")                 \
  ORDER(pack, expand, "attention is recognised as one op")                                                     \
  ORDER(pack, autodiff, "the backward pass of what is packed is packed, too")                                  \
  ORDER(demand, expand, "a slice passes a composite as one step; its parts mix the axis")                      \
  ORDER(demand, autodiff, "the backward pass reads forward values whole and would stop every slice")           \
  ORDER(expand, autodiff, "composites have no gradient of their own")                                          \
  ORDER(autodiff, joint, "there must be gradients to join")                                                    \
  ORDER(joint, narrow, "its products are narrowed, too")                                                       \
  ORDER(joint, divide, "the gradients that it gives are outputs, too")                                         \
  ORDER(autodiff, divide, "gradients are sums over the batch")                                                 \
  ORDER(expand, divide, "composites hold sums over the batch")                                                 \
  ORDER(divide, optimize, "the optimizer reads whole sums")                                                    \
  ORDER(pack, divide, "masks of what is packed are whole ones, of which rows are taken")                       \
  ORDER(autodiff, optimize, "there must be gradients to step along")                                           \
  ORDER(autodiff, attend_tiles, "the backward pass makes the same weights again")                              \
  ORDER(expand, attend_tiles, "attention is one op only then")                                                 \
  ORDER(autodiff, narrow, "the products of the gradients are narrowed, too")                                   \
  ORDER(expand, narrow, "composites hold products")                                                            \
  ORDER(autodiff, decompose,                                                                                   \
        "rows have gradients in closed form; those of their parts are longer and less exact")                  \
  ORDER(autodiff, split, "gradients know complex ops, not planes: cmatmul has none")                           \
  ORDER(autodiff, simplify, "it drops stop_gradient")                                                          \
  ORDER(optimize, decompose, "it adds adam, which is a composite")                                             \
  ORDER(decompose, split, "the parts of a row may be complex")                                                 \
  ORDER(split, simplify, "planes that are zero, and conjugations, show only then")                             \
  ORDER(simplify, dce, "rules leave their operands behind")                                                    \
  ORDER(simplify, flatten,                                                                                     \
        "it folds permutations into products, so that fewer reshapes have views beside them")                  \
  ORDER(flatten, dce, "nodes that lost their users are left behind")                                           \
  ORDER(split, triple, "products of planes are marked")                                                        \
  ORDER(narrow, triple, "products of bf16 stay as they are")                                                   \
  ORDER(dce, triple, "a plane that nobody needs any more is no reason to compute both")                        \
  ORDER(split, blocking, "real products of complex values show only then")                                     \
  ORDER(narrow, blocking, "products of bf16 are packed in their own way")                                      \
  ORDER(narrow, halve, "products that round are marked")                                                       \
  ORDER(split, halve, "planes of complex values are rounded")                                                  \
  ORDER(dce, halve, "what nobody needs is no reader")                                                          \
  ORDER(halve, layout, "it looks through the permutations of transposed operands as attributes")               \
  ORDER(halve, fuse, "rounding joins the kernel that computes a value")                                        \
  ORDER(simplify, layout, "it folds permutations into products, which layout undoes for all alike")            \
  ORDER(cse, layout, "an output that holds what another holds is a copy, which must stay one")                 \
  ORDER(layout, fuse, "fusion decides which permutations are copied")                                          \
  ORDER(split, fuse, "kernels are real")

moire_graph *moire__driver_run_passes(const moire_graph *model, const moire__goal *goal, const char *until,
                                      const moire__dump *dump, moire_error *error) {
  int n = 0;
  const moire__pass_row *rows = moire__driver_passes(&n);
  return moire__manager_run(rows, n, model, goal, until, dump, error);
}

const moire__pass_row *moire__driver_passes(int *n) {
#define PASS(name, purpose) {#name, moire__pass_##name, purpose},
  static const moire__pass_row rows[] = {PIPELINE(PASS)};
#undef PASS
  *n = (int)(sizeof rows / sizeof *rows);
  return rows;
}

const moire__order_row *moire__driver_orders(int *n) {
#define ORDER(before, after, why) {#before, #after, why},
  static const moire__order_row rows[] = {ORDERS(ORDER)};
#undef ORDER
  *n = (int)(sizeof rows / sizeof *rows);
  return rows;
}
