/* Printing and freeing modules. */
#include "compiler/pass/plan/module.h"

void moire__module_destroy(moire__module *module) {
  if (!module) return;
  moire_graph_destroy(module->graph);
  moire__arena_free(&module->arena);
  moire__release(module);
}

void moire__module_print_kernels(const moire__module *module, moire__text *text) {
  for (int i = 0; i < module->n_kernels; i++) moire__loop_print(module->kernels[i], text);
}
