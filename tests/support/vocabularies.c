#include "tests/support/vocabularies.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

static void add_varint(moire__text *out, uint64_t x) {
  for (; x >= 0x80; x >>= 7) moire__text_add_bytes(out, (char[]){(char)(x | 0x80)}, 1);
  moire__text_add_bytes(out, (char[]){(char)x}, 1);
}

static void add_number(moire__text *out, uint64_t field, uint64_t x) {
  add_varint(out, field << 3);
  add_varint(out, x);
}

static void add_bytes(moire__text *out, uint64_t field, const char *bytes, size_t n) {
  add_varint(out, field << 3 | 2);
  add_varint(out, n);
  moire__text_add_bytes(out, bytes, n);
}

static void add_piece(moire__text *out, const char *text, float score, uint64_t kind) {
  moire__text piece = {0};
  add_bytes(&piece, 1, text, strlen(text));
  add_varint(&piece, 2 << 3 | 5);
  char bits[4];
  memcpy(bits, &score, 4);
  moire__text_add_bytes(&piece, bits, 4);
  if (kind != 1) add_number(&piece, 3, kind);
  add_bytes(out, 1, piece.data, piece.length);
  moire__text_free(&piece);
}

static void add_pieces(const test_vocabulary *v, moire__text *out) {
  static const char *const texts[] = {"bc",
                                      "ab",
                                      "aa",
                                      "abc",
                                      "\xE2\x96\x81"
                                      "ab",
                                      "\xE2\x96\x81",
                                      "a",
                                      "b",
                                      "c"};
  add_piece(out, "<unk>", 0, 2);
  add_piece(out, "<s>", 0, 3);
  add_piece(out, "</s>", 0, 3);
  for (int i = 0; i < (v->bytes ? 256 : v->some_bytes); i++) {
    char name[8];
    snprintf(name, sizeof name, "<0x%02X>", (unsigned)i);
    add_piece(out, name, 0, 6);
  }
  for (int i = 0; i < (int)(sizeof texts / sizeof *texts); i++) add_piece(out, texts[i], (float)-i, 1);
  if (v->twice) add_piece(out, "ab", -100, 1);
  if (v->given) add_piece(out, "given", -100, 4);
}

void test_vocabulary_write(const test_vocabulary *v, moire__text *out) {
  moire__text part = {0};
  add_pieces(v, out);
  add_number(&part, 3, v->type ? (uint64_t)v->type : 2);
  add_number(&part, 41, v->bos ? (uint64_t)v->bos : 1);
  add_bytes(out, 2, part.data, part.length);
  moire__text_free(&part);
  add_bytes(&part, 1, "identity", 8);
  if (v->table) add_bytes(&part, 2, "table", 5);
  add_number(&part, 3, v->front);
  add_number(&part, 4, v->few);
  add_bytes(out, 3, part.data, part.length);
  moire__text_free(&part);
}
