/* Where nodes come from, through the whole pipeline: lines, words and phases of a small model. */
#include "compiler/driver/driver.h"
#include "compiler/ir/op.h"

#include <criterion/criterion.h>
#include <string.h>

/* Lines 1 to 7: an affine layer, a norm, the loss; line 5 asks for what line 4 gives. */
static const char model[] = "graph @model training {\n  extent B\n"
                            "  state $w : f32[4,4] trained constant(0.5, 0.0)\n"
                            "  state $b : f32[4] trained constant(0.5, 0.0)\n"
                            "  state $g : f32[4] trained constant(1.0, 0.0)\n"
                            "  %1 = input {name = \"x\", dtype = f32, shape = [B,4]} : f32[B,4] at \"m.c\":1\n"
                            "  %2 = state {name = \"w\"} : f32[4,4] at \"m.c\":2\n"
                            "  %3 = state {name = \"b\"} : f32[4] at \"m.c\":2\n"
                            "  %4 = linear(%1, %2, %3) : f32[B,4] in \"layer\" at \"m.c\":3\n"
                            "  %5 = tanh(%4) : f32[B,4] at \"m.c\":4\n"
                            "  %6 = tanh(%4) : f32[B,4] at \"m.c\":5\n"
                            "  %7 = mul(%5, %6) : f32[B,4] at \"m.c\":6\n"
                            "  %8 = state {name = \"g\"} : f32[4] at \"m.c\":2\n"
                            "  %9 = layer_norm(%7, %8, %8) {eps = 1e-12} : f32[B,4] in \"norm\" at \"m.c\":7\n"
                            "  %10 = sum(%9) {axes = (0,1)} : f32[1,1] at \"m.c\":8\n"
                            "  %11 = reshape(%10) {shape = []} : f32[] at \"m.c\":8\n"
                            "  output \"loss\" = %11\n}\n";

static moire_graph *fused(void) {
  moire_error error = {0};
  moire_graph *g = moire_graph_parse(model, "model", &error);
  cr_assert(g, "%s", error.message);
  static const char *const outputs[] = {"loss"};
  moire__goal goal = {.outputs = outputs,
                      .n_outputs = 1,
                      .loss = "loss",
                      .training = {.optimizer = MOIRE_OPTIMIZER_ADAM, .lr = 0.1}};
  moire_graph *after = moire__driver_run_passes(g, &goal, NULL, NULL, &error);
  cr_assert(after, "%s", error.message);
  moire_graph_destroy(g);
  return after;
}

/* Nodes that kernels compute, of a line (0: any), a phase and a word (NULL: any). */
static int count(const moire_graph *g, int line, moire__phase phase, const char *word) {
  int n = 0;
  for (int i = 0; i < g->n_nodes; i++) {
    const moire__node *node = &g->nodes[i];
    if (node->kernel < 0 || node->phase != phase || (word && strcmp(node->word, word) != 0)) continue;
    n += !line || (node->source.file && node->source.line == line);
  }
  return n;
}

Test(origins, gradients_are_those_of_their_line) {
  moire_graph *g = fused();
  static const int lines[] = {3, 4, 6, 7};
  for (int i = 0; i < 4; i++) {
    cr_expect_gt(count(g, lines[i], MOIRE__PHASE_FORWARD, NULL), 0, "line %d has nothing forward", lines[i]);
    cr_expect_gt(count(g, lines[i], MOIRE__PHASE_BACKWARD, NULL), 0, "line %d has nothing backward", lines[i]);
    cr_expect_eq(count(g, lines[i], MOIRE__PHASE_OPTIMIZER, NULL), 0);
  }
  moire_graph_destroy(g);
}

Test(origins, parts_say_what_they_are_part_of) {
  moire_graph *g = fused();
  cr_expect_gt(count(g, 7, MOIRE__PHASE_FORWARD, "layer_norm"), 3);
  cr_expect_gt(count(g, 7, MOIRE__PHASE_BACKWARD, "layer_norm"), 3);
  cr_expect_gt(count(g, 3, MOIRE__PHASE_FORWARD, "linear"), 0);
  cr_expect_gt(count(g, 3, MOIRE__PHASE_FORWARD, "bias"), 0);
  cr_expect_gt(count(g, 2, MOIRE__PHASE_OPTIMIZER, "adam"), 5);
  cr_expect_eq(count(g, 0, MOIRE__PHASE_FORWARD, "adam") + count(g, 0, MOIRE__PHASE_BACKWARD, "adam"), 0);
  moire_graph_destroy(g);
}

Test(origins, a_line_whose_value_is_there_is_not_lost) {
  moire_graph *g = fused();
  bool found = false;
  for (int i = 0; i < g->n_nodes; i++) {
    const moire__node *node = &g->nodes[i];
    for (int j = 0; j < node->n_also; j++)
      found = found || (node->op == MOIRE__OP_tanh && node->also[j].line == 5);
  }
  cr_expect(found, "the tanh of line 4 does not say that line 5 needs it, too");
  moire_graph_destroy(g);
}
