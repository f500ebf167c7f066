/* The table of ATen operations: which families there are. */
#include "compiler/import/torch/rows.h"

#include <string.h>

static const moire__aten_row *const families[] = {
    moire__rows_arithmetic, moire__rows_attention, moire__rows_complex, moire__rows_create,
    moire__rows_fourier,    moire__rows_function,  moire__rows_index,   moire__rows_loss,
    moire__rows_product,    moire__rows_random,    moire__rows_reduce,  moire__rows_row,
    moire__rows_sequence,   moire__rows_shape,     moire__rows_size,    moire__rows_view};

const moire__aten_row *moire__aten_find(const char *op) {
  for (size_t f = 0; f < sizeof families / sizeof *families; f++) {
    for (const moire__aten_row *row = families[f]; row->op; row++) {
      if (!strcmp(row->op, op)) return row;
    }
  }
  return NULL;
}

/* By the beginning of the operation's name. */
static const struct {
  const char *op, *hint;
} hints[] = {
    {"aten.nonzero", "torch.where(condition, a, b) keeps sizes that are known"},
    {"aten.masked_select", "torch.where(condition, a, b) keeps sizes that are known"},
    {"aten.item", "keep it a tensor; a branch on a value cannot be exported either"},
    {"aten._local_scalar_dense", "keep it a tensor"},
    {"aten.as_strided", "write it by reshape, unfold and slices"},
    {"aten.scatter.", "one_hot and where, or scatter_add to zeros, say the same"},
    {"aten.index_put", "write torch.where, or index_add"},
    {"aten.select_scatter", "torch.cat of what is kept and what is new"},
    {"aten.slice_scatter", "torch.cat of what is kept and what is new"},
    {"aten.lstm", "write the recurrence over time, with cells"},
    {"aten.gru", "write the recurrence over time, with cells"},
    {"aten.rnn", "write the recurrence over time, with cells"},
    {"aten.linalg_", "what it does has to be written in products and sums"},
    {"aten._fft", "use torch.fft"},
    {"aten.stft", "unfold, multiply by the window, and torch.fft.rfft"},
    {"aten._native_multi_head_attention",
     "call model.train() before the export, or torch.backends.mha.set_fastpath_enabled(False)"},
    {"aten._transformer_encoder_layer_fwd",
     "call model.train() before the export, or torch.backends.mha.set_fastpath_enabled(False)"},
    {"higher_order", "export without torch.cond, while_loop and checkpoint"},
    {"torch.ops.higher_order", "export without torch.cond, while_loop and checkpoint"},
};

const char *moire__aten_hint(const char *op) {
  for (size_t i = 0; i < sizeof hints / sizeof *hints; i++) {
    if (!strncmp(op, hints[i].op, strlen(hints[i].op))) return hints[i].hint;
  }
  return "docs/pytorch.md lists what is";
}
