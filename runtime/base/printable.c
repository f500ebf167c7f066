/* Control characters. See printable.h. */
#include "runtime/base/printable.h"

#include <stdbool.h>

void moire__make_printable(char *text) {
  for (unsigned char *c = (unsigned char *)text; *c; c++) {
    bool control = (*c < ' ' && *c != '\n' && *c != '\t') || *c == 0x7f;
    if (*c == 0xc2 && c[1] >= 0x80 && c[1] < 0xa0) *c = c[1] = '?'; /* U+0080 to U+009F */
    if (control) *c = '?';
  }
}
