/* Models of PyTorch and of JAX: what torch.export.save wrote (.pt2), or StableHLO as text (.mlir), as a model
 * of Moire's.
 *
 *   moire_import *imported = moire_import_open("model.pt2", &error);
 *   const moire_model *model = moire_import_model(imported);
 *   moire_model_build(model, graph, config);
 *   … moire_store_declare(store, plan, seed, &error);
 *   moire_import_fill(imported, store);
 *
 * The model's task is "tensors". Its parameters have the names of the state dict; a complex one is two states,
 * NAME.real and NAME.imag. Inputs have the names of forward's arguments. Outputs are called by the keys of the
 * dict that forward returns, or output, or output_0, output_1, ..; the first real scalar is the loss, others
 * are metrics. The first axis of the inputs, where it was exported with a name, is the extent B. A program of
 * StableHLO has fixed shapes, inputs and outputs by JAX's names, and no weights but constants.
 */
#ifndef MOIRE_IMPORT_H
#define MOIRE_IMPORT_H

#include "moire/model.h"
#include "moire/run.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct moire_import moire_import;

/* Reads the file; owned. NULL with a sentence: about the file, or about the first operations that are not
 * imported, of which moire_import_refusals has all. */
moire_import *moire_import_open(const char *path, moire_error *error);
void moire_import_close(moire_import *imported); /* NULL is fine; the model becomes invalid */

/* Every refusal of the program in the file, a line each; owned (free with free()). NULL where the file cannot
 * be read, with a sentence; "" where there is none. */
char *moire_import_refusals(const char *path, moire_error *error);

/* Borrowed. Its keys, of a .pt2: `dropout`, the probability of every dropout instead of the file's. */
const moire_model *moire_import_model(const moire_import *imported);

/* How many numbers the file has for a state of the graph (NAME, or NAME.real and NAME.imag), -1: none. They are
 * written to `out`, where it is not NULL. */
int64_t moire_import_state(const moire_import *imported, const char *state, double *out);
/* Fills those states of the store that are the file's with its numbers; others stay as they are. */
void moire_import_fill(const moire_import *imported, moire_store *store);

/* The states that the file has numbers of: names in the state dict, in its order; a complex one is one, and
 * tied ones are two. NULL beyond the last. `shape` may be NULL. */
const char *moire_import_weight(const moire_import *imported, int index, moire_dtype *dtype,
                                moire_shape *shape);
/* The weight that this one is another name of, or NULL. */
const char *moire_import_weight_twin(const moire_import *imported, int index);

/* Whether a name of a model means such a file: it ends in .pt2 or .mlir. */
bool moire_import_is(const char *name);

#ifdef __cplusplus
}
#endif
#endif
