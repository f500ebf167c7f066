/* Small SentencePiece models, as bytes: <unk>, <s>, </s>, perhaps the bytes, then some pieces of a, b, c and
 * spaces. */
#ifndef MOIRE_TESTS_SUPPORT_VOCABULARIES_H
#define MOIRE_TESTS_SUPPORT_VOCABULARIES_H

#include "runtime/base/text.h"

#include <stdbool.h>

typedef struct test_vocabulary {
  int type;               /* 0: BPE */
  int bos;                /* 0: 1 */
  bool bytes, some_bytes; /* all 256; one */
  bool front, few;        /* a space in front, few spaces */
  bool table;             /* characters are replaced */
  bool twice;             /* a piece comes twice */
  bool given;             /* a piece is of a kind that is not known */
} test_vocabulary;

void test_vocabulary_write(const test_vocabulary *v, moire__text *out);

#endif
