/* Every reader of text or files, for fuzzing: what takes any bytes and must end with a result or a sentence.
 *
 * Seeds are made, not kept: `seed` gives the n-th well formed input. tests/fuzz/readers_main.c mutates them
 * without help; tests/fuzz/coverage/ has libFuzzer do it (./dev fuzz, where clang is there).
 */
#ifndef MOIRE_TESTS_SUPPORT_READERS_READERS_H
#define MOIRE_TESTS_SUPPORT_READERS_READERS_H

#include "runtime/base/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct test_reader {
  const char *name;
  void (*read)(const uint8_t *bytes, size_t n);
  bool (*seed)(int n, moire__text *out); /* false past the last */
} test_reader;

extern const test_reader test_readers[];
extern const int test_reader_count;

/* Of tasks/sequences/dataset.h, whose names do not go with those of the compiler. */
void test_read_sequences(const uint8_t *bytes, size_t n);

/* Of programs of torch.export: the whole archive, and the program's text in an archive that is well formed. */
void test_read_archive(const uint8_t *bytes, size_t n);
bool test_seed_archive(int n, moire__text *out);
void test_read_program(const uint8_t *bytes, size_t n);
bool test_seed_program(int n, moire__text *out);

/* StableHLO as text. */
void test_read_stablehlo(const uint8_t *bytes, size_t n);
bool test_seed_stablehlo(int n, moire__text *out);

/* .npy files: what is well formed is read in every type that it can be read as. */
void test_read_npy(const uint8_t *bytes, size_t n);
bool test_seed_npy(int n, moire__text *out);

/* RecBole's .item, .kg and .link (tasks/ratings/items.h). */
void test_read_recbole(const uint8_t *bytes, size_t n);
bool test_seed_recbole(int n, moire__text *out);

/* Tables of items: whole files, and files that are well formed but for what their sections hold and a few words
 * of the head. */
void test_read_items(const uint8_t *bytes, size_t n);
bool test_seed_items(int n, moire__text *out);
void test_read_table(const uint8_t *bytes, size_t n);
bool test_seed_table(int n, moire__text *out);

/* Token files, and stored logits of a teacher. */
void test_read_tokens(const uint8_t *bytes, size_t n);
bool test_seed_tokens(int n, moire__text *out);
void test_read_teacher(const uint8_t *bytes, size_t n);
bool test_seed_teacher(int n, moire__text *out);

#endif
