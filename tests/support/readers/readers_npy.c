/* Arrays of NumPy's files on any bytes, and their seeds. */
#include "tests/support/readers/readers.h"

#include "runtime/files/npy.h"

#include <stdlib.h>
#include <string.h>

static const moire_dtype types[] = {MOIRE_F32, MOIRE_F64, MOIRE_I32, MOIRE_I64, MOIRE_BOOL};
enum { N_TYPES = sizeof types / sizeof *types, MOST = 1 << 16 };

void test_read_npy(const uint8_t *bytes, size_t n) {
  moire__arena texts = {0};
  moire__array array;
  char *exact = moire__allocate(n + 1); /* a byte past the end is a sanitizer's to find */
  if (n) memcpy(exact, bytes, n);
  exact = moire__resize(exact, n ? n : 1);
  bool good = !moire__npy_parse("fuzz.npy", exact, n, &texts, &array, NULL);
  for (int i = 0; good && i < N_TYPES && array.count <= MOST; i++) {
    if (moire__array_check_type(&array, types[i], NULL)) continue;
    void *out = moire__allocate_array((size_t)array.count + 1, sizeof(double));
    moire__array_copy(&array, types[i], out, NULL, NULL);
    moire__array_check_values(&array, types[i], NULL);
    moire__release(out);
  }
  moire__release(exact);
  moire__arena_free(&texts);
}

bool test_seed_npy(int n, moire__text *out) {
  static const char *const headers[] = {
      "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n",
      "{'descr': '>f8', 'fortran_order': True, 'shape': (3, 2), }   \n",
      "{'descr': '|u1', 'fortran_order': False, 'shape': (), }\n",
      "{'shape': (4,), 'descr': '<i8', 'fortran_order': False}\n",
      "{'descr': '<c8', 'fortran_order': False, 'shape': (1, 2, 2), }\n",
      "{'descr': '|b1', 'fortran_order': False, 'shape': (0, 7), }\n",
  };
  static const size_t elements[] = {24, 48, 1, 32, 32, 0};
  if (n >= (int)(sizeof headers / sizeof *headers)) return false;
  size_t length = strlen(headers[n]);
  const char magic[] = {(char)0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, (char)(length & 255), (char)(length >> 8)};
  moire__text_add_bytes(out, magic, sizeof magic);
  moire__text_add_bytes(out, headers[n], length);
  for (size_t i = 0; i < elements[n]; i++) moire__text_add_char(out, (char)(i * 37 % 120));
  return true;
}
