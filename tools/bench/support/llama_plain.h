/* The llama architecture as a plain loop in C, a token at a time with a cache: the peer of bench/generate.
 * Compiled for the machine, without reordering of sums. */
#ifndef MOIRE_TOOLS_BENCH_SUPPORT_LLAMA_PLAIN_H
#define MOIRE_TOOLS_BENCH_SUPPORT_LLAMA_PLAIN_H

typedef struct llama_plain_layer {
  const float *attention_norm, *q, *k, *v, *o, *feed_norm, *gate, *up, *down; /* weights [out, in] */
} llama_plain_layer;

typedef struct llama_plain {
  int words, width, inner, layers, heads, key_heads, positions;
  float eps, theta;
  const float *table, *norm; /* the head is the table */
  const llama_plain_layer *layer;
  float *keys, *values; /* [layers, positions, key_heads * width / heads] */
  float *x, *y, *query, *context, *hidden, *gates, *scores, *logits; /* working memory */
} llama_plain;

/* Allocates working memory and the cache; the weights and sizes are set. */
void llama_plain_start(llama_plain *m);
void llama_plain_end(llama_plain *m);
/* Reads token `id` at position `at`; logits are in m->logits. */
void llama_plain_step(llama_plain *m, int id, int at);

#endif
