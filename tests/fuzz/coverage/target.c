/* A target of libFuzzer: one program for each reader, which MOIRE_READER names. */
#include "tests/support/readers/readers.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
  for (int r = 0; r < test_reader_count; r++) {
    if (strcmp(test_readers[r].name, MOIRE_READER) != 0) continue;
    test_readers[r].read(bytes, n);
    return 0;
  }
  abort();
}
