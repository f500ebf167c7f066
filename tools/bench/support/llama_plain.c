/* The plain loop. See llama_plain.h. */
#include "tools/bench/support/llama_plain.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static float *floats(long n) {
  float *x = calloc((size_t)n, sizeof *x);
  if (!x) exit(1);
  return x;
}

void llama_plain_start(llama_plain *m) {
  long cache = (long)m->layers * m->positions * m->key_heads * (m->width / m->heads);
  m->keys = floats(cache);
  m->values = floats(cache);
  m->x = floats(m->width);
  m->y = floats(m->width);
  m->query = floats(m->width);
  m->context = floats(m->width);
  m->hidden = floats(m->inner);
  m->gates = floats(m->inner);
  m->scores = floats(m->positions);
  m->logits = floats(m->words);
}

void llama_plain_end(llama_plain *m) {
  float *all[] = {m->keys,    m->values, m->x,     m->y,      m->query,
                  m->context, m->hidden, m->gates, m->scores, m->logits};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
}

static void normalize(const float *x, const float *gain, int n, float eps, float *y) {
  float sum = 0;
  for (int i = 0; i < n; i++) sum += x[i] * x[i];
  float per = 1.0F / sqrtf(sum / (float)n + eps);
  for (int i = 0; i < n; i++) y[i] = gain[i] * (per * x[i]);
}

static void times(const float *w, const float *x, int out, int in, float *y) {
  for (int o = 0; o < out; o++) {
    float sum = 0;
    for (int i = 0; i < in; i++) sum += w[(long)o * in + i] * x[i];
    y[o] = sum;
  }
}

static void rotate(float *x, int heads, int n, int at, float theta) {
  for (int c = 0; c < n / 2; c++) {
    float angle = (float)at * powf(theta, -2.0F * (float)c / (float)n), co = cosf(angle), si = sinf(angle);
    for (int h = 0; h < heads; h++) {
      float *low = x + h * n + c, *high = low + n / 2, a = *low, b = *high;
      *low = a * co - b * si;
      *high = b * co + a * si;
    }
  }
}

static void softmax(float *x, int n) {
  float most = x[0], sum = 0;
  for (int i = 1; i < n; i++) most = x[i] > most ? x[i] : most;
  for (int i = 0; i < n; i++) sum += x[i] = expf(x[i] - most);
  for (int i = 0; i < n; i++) x[i] /= sum;
}

static void attend(llama_plain *m, int layer, int at) {
  int n = m->width / m->heads, row = m->key_heads * n;
  const float *keys = m->keys + (long)layer * m->positions * row;
  const float *values = m->values + (long)layer * m->positions * row;
  for (int h = 0; h < m->heads; h++) {
    int from = h / (m->heads / m->key_heads) * n;
    const float *q = m->query + h * n;
    float *to = m->context + h * n;
    for (int t = 0; t <= at; t++) {
      float sum = 0;
      for (int i = 0; i < n; i++) sum += q[i] * keys[(long)t * row + from + i];
      m->scores[t] = sum / sqrtf((float)n);
    }
    softmax(m->scores, at + 1);
    memset(to, 0, (size_t)n * sizeof *to);
    for (int t = 0; t <= at; t++) {
      for (int i = 0; i < n; i++) to[i] += m->scores[t] * values[(long)t * row + from + i];
    }
  }
}

static void feed_forward(llama_plain *m, const llama_plain_layer *w) {
  normalize(m->x, w->feed_norm, m->width, m->eps, m->y);
  times(w->gate, m->y, m->inner, m->width, m->gates);
  times(w->up, m->y, m->inner, m->width, m->hidden);
  for (int i = 0; i < m->inner; i++) m->hidden[i] *= m->gates[i] / (1.0F + expf(-m->gates[i]));
  times(w->down, m->hidden, m->width, m->inner, m->y);
  for (int i = 0; i < m->width; i++) m->x[i] += m->y[i];
}

void llama_plain_step(llama_plain *m, int id, int at) {
  int n = m->width / m->heads, row = m->key_heads * n;
  memcpy(m->x, m->table + (long)id * m->width, (size_t)m->width * sizeof *m->x);
  for (int l = 0; l < m->layers; l++) {
    const llama_plain_layer *w = &m->layer[l];
    float *key = m->keys + ((long)l * m->positions + at) * row,
          *value = m->values + ((long)l * m->positions + at) * row;
    normalize(m->x, w->attention_norm, m->width, m->eps, m->y);
    times(w->q, m->y, m->width, m->width, m->query);
    times(w->k, m->y, row, m->width, key);
    times(w->v, m->y, row, m->width, value);
    rotate(m->query, m->heads, n, at, m->theta);
    rotate(key, m->key_heads, n, at, m->theta);
    attend(m, l, at);
    times(w->o, m->context, m->width, m->width, m->y);
    for (int i = 0; i < m->width; i++) m->x[i] += m->y[i];
    feed_forward(m, w);
  }
  normalize(m->x, m->norm, m->width, m->eps, m->x);
  times(m->table, m->x, m->words, m->width, m->logits);
}
