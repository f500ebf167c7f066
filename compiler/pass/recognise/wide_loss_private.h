/* What the files of the wide_loss pass share: scores of words as products, and who reads them. */
#ifndef MOIRE_COMPILER_PASS_RECOGNISE_WIDE_LOSS_PRIVATE_H
#define MOIRE_COMPILER_PASS_RECOGNISE_WIDE_LOSS_PRIVATE_H

#include "compiler/pass/recognise/recognise_private.h"
#include "compiler/pass/walk.h"

enum { MOIRE__WIDE_TERMS = 4, MOIRE__WIDE_READERS = 2 };

typedef struct moire__wide_term {
  int32_t x, w;   /* w: [V, D], or [D, V] where `across` */
  int32_t factor; /* of no axes; 0: none */
  double scale;
  bool across;
} moire__wide_term;

/* A cross entropy, or a look-up in a log_softmax: y = ln softmax(scale scores)[ids]. */
typedef struct moire__wide_reader {
  const moire__node *node;
  int32_t ids;
  double scale; /* of the scores: 1 / temperature */
  bool masked;  /* nothing reads it at rows that do not count */
} moire__wide_reader;

typedef struct moire__wide_loss {
  const moire_graph *g;
  const int *uses;
  moire_dim words;
  moire__wide_term terms[MOIRE__WIDE_TERMS];
  int n_terms;
  int32_t bias[MOIRE__WIDE_TERMS]; /* [V] each */
  double bias_scale[MOIRE__WIDE_TERMS];
  int n_bias;
  moire__wide_reader readers[MOIRE__WIDE_READERS]; /* the cross entropy first, if there is one */
  int n_readers;
  int32_t counts; /* bool[N]: which rows count; 0: all */
} moire__wide_loss;

static inline const moire__node *moire__wide_node(const moire__wide_loss *h, int32_t value) {
  return moire__node_of(h->g, value);
}
static inline const moire_shape *moire__wide_shape(const moire__wide_loss *h, int32_t value) {
  return &h->g->values[value].shape;
}

/* Does the node keep the words of its operand, as a reshape does, or a product with a number? Multiplies
 * *scale. */
bool moire__wide_passes(const moire__wide_loss *h, const moire__node *node, int32_t *operand, double *scale);
moire_dim moire__wide_width(const moire__wide_loss *h, const moire__wide_term *t);
/* Reads the scores as terms and biases; false if they are anything else, or the op does not take them. */
bool moire__wide_read_scores(moire__wide_loss *h, int32_t scores);
/* Finds all that reads the scores, and which rows count; false if anything else does. */
bool moire__wide_read_readers(moire__wide_loss *h, int32_t scores);

#endif
