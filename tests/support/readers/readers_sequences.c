/* The reader of sequences. See readers.h. */
#include "tasks/sequences/dataset.h"
#include "tests/support/readers/readers.h"

void test_read_sequences(const uint8_t *bytes, size_t n) {
  moire__dataset *dataset = NULL;
  moire__text text = {0};
  moire__text_add_bytes(&text, (const char *)bytes, n);
  moire__dataset_parse("fuzz", moire__text_string(&text), n, 5, &dataset, NULL);
  moire__dataset_free(dataset);
  moire__text_free(&text);
}
