/* The next word of a language model: the best one, or one that is drawn. The C library alone. */
#ifndef MOIRE_RUNTIME_TEXT_SAMPLING_H
#define MOIRE_RUNTIME_TEXT_SAMPLING_H

#include <stdint.h>

/* In this order: the repetition penalty r, once for each word that was seen (logit > 0: logit / r, else
 * logit r), the temperature, the top_k largest (the lower id of equals first), of those the most probable ones
 * before which the mass is below top_p, softmax. */
typedef struct moire__sampling {
  double temperature;        /* above 0 */
  int64_t top_k;             /* 0: all */
  double top_p;              /* 1: all */
  double repetition_penalty; /* 1: none */
} moire__sampling;

/* The largest of n > 0, the lowest index of equals. */
int64_t moire__sampling_best(const double *logits, int64_t n);

/* order[0 ... k) = the k largest of n, 1 <= k <= n, by falling logit, the lower index first of equals. */
void moire__sampling_first(const double *logits, int64_t n, int64_t k, int32_t *order);

/* p[n], of words; seen[n_seen] are the ids of prompt and continuation. `scratch` holds n, `order` n ids. */
void moire__sampling_probabilities(const moire__sampling *sampling, const double *logits, int64_t n,
                                   const int32_t *seen, int64_t n_seen, double *scratch, int32_t *order,
                                   double *p);

/* The lowest id whose running sum exceeds u in [0, 1); the last possible one if none does. */
int64_t moire__sampling_draw(const double *p, int64_t n, double u);

#endif
