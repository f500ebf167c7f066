/* What a pass is, and what a compilation is asked for.
 *
 * A graph pass reads one graph and returns a new one (owned by the caller), or NULL with a sentence. It changes
 * nothing that a run of the graph can observe, except what its own head comment says. The table that orders the
 * passes is compiler/driver/pipeline.c.
 */
#ifndef MOIRE_COMPILER_PASS_PASS_H
#define MOIRE_COMPILER_PASS_PASS_H

#include "compiler/ir/graph/graph.h"
#include "runtime/base/text.h"
#include "moire/compile.h"

/* What is compiled from a model's graph. */
typedef struct moire__goal {
  const char *const *outputs; /* names of outputs that are wanted; the others are dropped */
  int n_outputs;
  const char *loss;                /* output to differentiate, or NULL: no gradients */
  bool keep_gradients;             /* gradients become outputs "grad.<parameter>" */
  moire_part part;                 /* of a step of training */
  moire_training_options training; /* what is frozen has no gradient; its schedule is not read */
  bool pack;    /* padding may be left out: the runtime then computes some inputs (compiler/pass/pack/pack.c) */
  bool bf16;    /* operands of products are rounded to bf16 */
  bool tiles;   /* the target multiplies whole tiles of bf16 */
  bool by_fma;  /* the target has nothing for bf16: these products go the ways of float32 */
  bool int8;    /* weights of linear maps that depend on states alone become numbers of 8 bits */
  unsigned off; /* as in moire_compile_options; passes of these names are not run, but for fuse, which puts
                   every node, views included, in a kernel of its own */
  const moire_fixed_extent *fixed; /* named extents that are these numbers */
  int n_fixed;
  moire__text *remarks; /* sentences for whoever looks at a profile, a line each; NULL: nobody does */
} moire__goal;

typedef moire_graph *moire__graph_pass(const moire_graph *g, const moire__goal *goal, moire_error *error);

moire__graph_pass moire__pass_select;    /* keeps the outputs that the goal names, and what they need */
moire__graph_pass moire__pass_fix;       /* named extents that the goal knows become numbers */
moire__graph_pass moire__pass_banks;     /* filters along one sequence that are added up become one */
moire__graph_pass moire__pass_unite;     /* complex products by planes become complex ones */
moire__graph_pass moire__pass_recognise; /* attention in primitives becomes the composite */
moire__graph_pass moire__pass_wide_loss; /* scores that only a cross entropy reads become one op with it */
moire__graph_pass moire__pass_demand; /* slices move up to the operands: only rows that are read are computed */
moire__graph_pass moire__pass_pack;   /* padding is left out where nothing depends on it */
moire__graph_pass moire__pass_tables; /* linear maps of rows that are looked up are made of the tables */
moire__graph_pass moire__pass_expand; /* COMPOSITE ops become others */
moire__graph_pass moire__pass_autodiff; /* adds outputs "grad.<parameter>" */
moire__graph_pass moire__pass_joint;    /* a loss over many words and its gradients become one op */
moire__graph_pass moire__pass_divide; /* keeps what a step sums over its batch, or what it does with the sums */
moire__graph_pass moire__pass_optimize; /* adds updates of parameters and moments; drops "grad." unless kept */
moire__graph_pass moire__pass_attend_tiles; /* attention of long sequences multiplies bf16, by tiles */
moire__graph_pass moire__pass_narrow;       /* operands of products become bf16 */
moire__graph_pass moire__pass_decompose;    /* ROW and remaining COMPOSITE ops become primitives */
moire__graph_pass
    moire__pass_split; /* c64 becomes planes; complex outputs become "<name>.re" and "<name>.im" */
moire__graph_pass moire__pass_simplify;
moire__graph_pass moire__pass_cse;
moire__graph_pass moire__pass_dce;
moire__graph_pass moire__pass_triple;   /* complex products become three real ones */
moire__graph_pass moire__pass_blocking; /* real products may be made by blocks */
moire__graph_pass moire__pass_halve;    /* what products round to bf16 is stored so */
moire__graph_pass moire__pass_flatten;  /* reshapes move down, below element-wise ops and rows */
moire__graph_pass moire__pass_layout;   /* writes the transpositions of products as permutations; outputs get
                                           values of their own */
moire__graph_pass moire__pass_fuse;     /* gives every node the number of the kernel that computes it */

/* moire__pass_dce of a graph that nobody else has: `g`, which may be NULL, is destroyed. */
moire_graph *moire__pass_keep_needed(moire_graph *g, const moire__goal *goal, moire_error *error);

#endif
