/* Numbers as configurations, records and results write them. */
#include "runtime/config/config.h"

#include <string.h>

void moire__config_add_real(moire__text *out, double number) {
  char digits[40];
  for (int precision = 1; precision <= 17; precision++) {
    moire__text_from_double(digits, sizeof digits, precision, number);
    double back = moire__text_to_double(digits, NULL);
    if (!(back < number) && !(back > number)) break;
  }
  moire__text_add(out, strpbrk(digits, ".e") ? "%s" : "%s.0", digits);
}
