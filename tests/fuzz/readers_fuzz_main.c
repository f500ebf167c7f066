/* The readers of text and files on damaged input.
 *
 *   readers_fuzz_main [SECONDS] [SEED]     mutates the seeds of every reader, 5 seconds without arguments
 *   readers_fuzz_main --seeds DIR          writes the seeds to DIR/READER/N, for libFuzzer
 */
#include "runtime/base/philox.h"
#include "tests/support/readers/readers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

static int write_seeds(const char *directory) {
  char path[4000];
  mkdir(directory, 0777);
  for (int r = 0; r < test_reader_count; r++) {
    snprintf(path, sizeof path, "%s/%s", directory, test_readers[r].name);
    mkdir(path, 0777);
    moire__text seed = {0};
    for (int n = 0; test_readers[r].seed(n, &seed); n++, moire__text_free(&seed)) {
      snprintf(path, sizeof path, "%s/%s/%d", directory, test_readers[r].name, n);
      FILE *file = fopen(path, "wb");
      if (!file || fwrite(seed.data, 1, seed.length, file) != seed.length || fclose(file)) {
        perror(path);
        return 1;
      }
    }
  }
  return 0;
}

/* A few bytes changed, cut, doubled, or replaced by what numbers and brackets are made of. */
static void mutate(moire__random *random, moire__text *text) {
  static const char parts[] = "0123456789-.,:[]{}()\"%$@ \n\tenaf\xff";
  for (uint64_t i = moire__random_below(random, 6) + 1; i > 0 && text->length > 0; i--) {
    size_t at = moire__random_below(random, text->length), n = moire__random_below(random, 9) + 1;
    if (n > text->length - at) n = text->length - at;
    switch (moire__random_below(random, 4)) {
      case 0: text->data[at] = (char)moire__random_bits(random); break;
      case 1: text->data[at] = parts[moire__random_below(random, sizeof parts - 1)]; break;
      case 2:
        memmove(text->data + at, text->data + at + n, text->length - at - n);
        text->length -= n;
        break;
      default: {
        char copy[16];
        memcpy(copy, text->data + at, n);
        moire__text_add_bytes(text, copy, n);
      }
    }
  }
}

static int64_t read_all(moire__random *random) {
  int64_t times = 0;
  for (int r = 0; r < test_reader_count; r++) {
    moire__text seed = {0};
    for (int n = 0; test_readers[r].seed(n, &seed); n++, moire__text_free(&seed)) {
      for (int i = 0; i < 20; i++, times++) {
        moire__text text = {0};
        moire__text_add_bytes(&text, seed.data, seed.length);
        if (i) mutate(random, &text);
        test_readers[r].read((const uint8_t *)text.data, text.length);
        moire__text_free(&text);
      }
    }
  }
  return times;
}

int main(int argc, char **argv) {
  if (argc == 3 && strcmp(argv[1], "--seeds") == 0) return write_seeds(argv[2]);
  double seconds = argc > 1 ? atof(argv[1]) : 5;
  uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : argc > 1 ? (uint64_t)time(NULL) : 1;
  moire__random random = moire__random_start(seed, 4);
  printf("seed %llu\n", (unsigned long long)seed);
  fflush(stdout);
  int64_t times = 0;
  for (time_t end = time(NULL) + (time_t)seconds; time(NULL) < end;) times += read_all(&random);
  printf("%lld inputs were read or refused\n", (long long)times);
  return times == 0;
}
