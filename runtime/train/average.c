#include "runtime/train/average.h"

#include <string.h>

static void swap(float *a, float *b, int64_t n) {
  for (int64_t i = 0; i < n; i++) {
    float kept = a[i];
    a[i] = b[i];
    b[i] = kept;
  }
}

void moire__average_swap(moire_store *store) {
  static const char prefix[] = "optimizer.ema.";
  for (int i = 0; i < moire_store_count(store); i++) {
    const char *name = moire_store_at(store, i).name;
    if (strncmp(name, prefix, sizeof prefix - 1) != 0) continue;
    int64_t n = 0;
    float *average = moire_store_data(store, name, &n);
    float *parameter = moire_store_data(store, name + sizeof prefix - 1, NULL);
    if (parameter) swap(parameter, average, n);
  }
}
