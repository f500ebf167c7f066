/* Measures: named numbers in an order, such as what a validation finds. */
#ifndef MOIRE_RUNTIME_MEASURE_MEASURES_H
#define MOIRE_RUNTIME_MEASURE_MEASURES_H

#include "runtime/base/text.h"

enum { MOIRE__MOST_MEASURES = 144 };

/* Zero-initialise. Plain data, copied freely. */
typedef struct moire__measures {
  int n;
  struct {
    char name[24];
    double value;
  } at[MOIRE__MOST_MEASURES];
} moire__measures;

/* The name is printf style, and cut to fit. More than MOIRE__MOST_MEASURES are left out. */
void moire__measures_add(moire__measures *measures, double value, const char *name, ...)
    __attribute__((format(printf, 3, 4)));
double moire__measures_value(const moire__measures *measures, const char *name); /* NaN if there is none */

/* Appends {"HR@5":0.1,...}; what is no finite number is null. */
void moire__measures_to_json(const moire__measures *measures, moire__text *out);

#endif
