/* Tokenizers: what SentencePiece's rules say of small vocabularies, the cases beside the published ones, text
 * that comes back, and files that are none. */
#include <criterion/criterion.h>
#include <jansson.h>

#include "runtime/base/memory.h"
#include "runtime/base/philox.h"
#include "runtime/text/tokenizer.h"
#include "tests/support/files.h"
#include "tests/support/vocabularies.h"

#include <stdio.h>
#include <string.h>

static moire__tokenizer *tokenizer_of(const moire__text *file) {
  moire_error error = {0};
  moire__tokenizer *t = NULL;
  moire_status status = moire__tokenizer_from_bytes(file->data, file->length, "made.model", &t, &error);
  cr_assert_eq(status, MOIRE_OK, "%s", error.message);
  return t;
}

static moire__tokenizer *make(test_vocabulary options) {
  moire__text file = {0};
  test_vocabulary_write(&options, &file);
  moire__tokenizer *t = tokenizer_of(&file);
  moire__text_free(&file);
  return t;
}

/* "a b" as a list of pieces with bars between, bytes as <0x..>. */
static void expect_pieces(const moire__tokenizer *t, const char *text, size_t n, const char *wanted) {
  moire_error error = {0};
  const moire__pieces *p = moire__tokenizer_pieces(t);
  int32_t *ids = NULL;
  size_t count = 0;
  cr_assert_eq(moire__tokenizer_encode(t, text, n, &ids, &count, &error), MOIRE_OK, "%s", error.message);
  moire__text got = {0};
  for (size_t i = 0; i < count; i++) {
    if (i) moire__text_add(&got, "|");
    moire__text_add_bytes(&got, p->text + p->start[ids[i]], p->start[ids[i] + 1] - p->start[ids[i]]);
  }
  cr_expect_str_eq(moire__text_string(&got), wanted, "of '%s': %s", text, moire__text_string(&got));
  moire__text_free(&got);
  moire__release(ids);
}

#define EXPECT(t, text, wanted) expect_pieces(t, text, sizeof(text) - 1, wanted)
#define SPACE "\xE2\x96\x81"

Test(tokenizer, joins_the_best_pair_first) {
  moire__tokenizer *t = make((test_vocabulary){.bytes = true, .front = true});
  EXPECT(t, "", "");
  EXPECT(t, "ab", SPACE "ab");
  EXPECT(t, "abc", SPACE "|abc");  /* bc before ab, by score */
  EXPECT(t, "aaa", SPACE "|aa|a"); /* the leftmost of equals */
  EXPECT(t, "  ab", SPACE "|" SPACE "|" SPACE "ab");
  EXPECT(t, "a\n", SPACE "|a|<0x0A>");
  EXPECT(t, "\xC3\xA9", SPACE "|<0xC3>|<0xA9>");
  EXPECT(t, "<s>", SPACE "|<0x3C>|<0x73>|<0x3E>");
  EXPECT(t,
         "a\xFF"
         "b",
         SPACE "|a|<0xEF>|<0xBF>|<0xBD>|b");
  EXPECT(t, "a\0b", SPACE "|a|<0x00>|b");
  moire__tokenizer_free(t);
}

Test(tokenizer, does_as_its_file_says) {
  moire__tokenizer *t = make((test_vocabulary){.few = true, .front = true});
  EXPECT(t, "  ab  ab ", SPACE "ab|" SPACE "ab");
  EXPECT(t, "   ", "");
  EXPECT(t, "xya", SPACE "|<unk>|a"); /* no bytes: one unknown piece for several characters */
  moire__tokenizer_free(t);
  t = make((test_vocabulary){.bytes = true});
  EXPECT(t, "ab", "ab");
  EXPECT(t, " ab", SPACE "ab");
  moire__tokenizer_free(t);
}

static void expect_text(const moire__tokenizer *t, const int32_t *ids, size_t n, const char *wanted) {
  size_t bytes = 0;
  char *text = moire__tokenizer_decode(t, ids, n, &bytes);
  cr_expect(bytes == strlen(wanted) && !memcmp(text, wanted, bytes), "got '%s', wanted '%s'", text, wanted);
  moire__release(text);
}

/* Characters come out when they are whole; what cannot become one is U+FFFD. */
Test(tokenizer, decodes_bytes_as_they_come) {
  moire__tokenizer *t = make((test_vocabulary){.bytes = true, .front = true});
  const moire__pieces *p = moire__tokenizer_pieces(t);
  const int32_t *b = p->bytes;
  moire__decoding d = {0};
  char out[64];
  cr_expect_eq(moire__pieces_decode(p, &d, b[0xE2], out), 0);
  cr_expect_eq(moire__pieces_decode(p, &d, b[0x82], out), 0);
  cr_expect_eq(moire__pieces_decode(p, &d, b[0xAC], out), 3);
  cr_expect_eq(memcmp(out, "\xE2\x82\xAC", 3), 0);
  cr_expect_eq(moire__pieces_decode(p, &d, b[0xC3], out), 0);
  cr_expect_eq(moire__pieces_finish(&d, out), 3);
  int32_t a = moire__pieces_find(p, "a", 1);
  expect_text(t, (int32_t[]){b[0xE2], b[0x82], a}, 3,
              "\xEF\xBF\xBD\xEF\xBF\xBD"
              "a");
  expect_text(t, (int32_t[]){b[0x80], b['x'], b[0xF0]}, 3, "\xEF\xBF\xBDx\xEF\xBF\xBD");
  expect_text(t, (int32_t[]){p->bos, moire__pieces_find(p, SPACE "ab", 5), p->eos, -1, p->n}, 5, "ab");
  expect_text(t, NULL, 0, "");
  moire__tokenizer_free(t);
}

/* Any text comes back, but for bytes that are no UTF-8. */
Test(tokenizer, text_comes_back) {
  static const char *const parts[] = {"a", "b", "c", " ", "\n", "\xC3\xA9", "\xF0\x9F\x98\x80", SPACE, "<s>"};
  moire__random random = moire__random_start(7, 1);
  moire__tokenizer *t = make((test_vocabulary){.bytes = true, .front = true});
  for (int round = 0; round < 500; round++) {
    moire__text text = {0};
    for (uint64_t i = moire__random_below(&random, 60); i > 0; i--)
      moire__text_add(&text, "%s", parts[moire__random_below(&random, 7)]);
    int32_t *ids = NULL;
    size_t n = 0;
    moire_error error = {0};
    cr_assert_eq(moire__tokenizer_encode(t, text.data, text.length, &ids, &n, &error), MOIRE_OK);
    expect_text(t, ids, n, moire__text_string(&text));
    moire__release(ids);
    moire__text_free(&text);
  }
  moire__tokenizer_free(t);
}

/* ---- the published ones ---------------------------------------------------------------------------------- */

static void expect_case(const moire__tokenizer *t, const json_t *line) {
  const json_t *text = json_object_get(line, "text"), *wanted = json_object_get(line, "ids");
  moire_error error = {0};
  int32_t *ids = NULL;
  size_t n = 0;
  cr_assert_eq(moire__tokenizer_encode(t, json_string_value(text), json_string_length(text), &ids, &n, &error),
               MOIRE_OK);
  bool same = n == json_array_size(wanted);
  for (size_t i = 0; i < n && same; i++) same = ids[i] == json_integer_value(json_array_get(wanted, i));
  cr_expect(same, "ids of '%s'", json_string_value(text));
  size_t bytes = 0;
  char *back = moire__tokenizer_decode(t, ids, n, &bytes);
  const json_t *decoded = json_object_get(line, "decoded");
  cr_expect(bytes == json_string_length(decoded) && !memcmp(back, json_string_value(decoded), bytes),
            "'%s' comes back as '%s'", json_string_value(text), back);
  moire__release(back);
  moire__release(ids);
}

static void expect_cases(const char *tokenizer_name, const char *cases_name) {
  test_path tokenizer, cases;
  if (!test_shared(tokenizer_name, tokenizer) || !test_shared(cases_name, cases))
    cr_skip_test("../shared is absent");
  char line[1 << 16];
  FILE *file = fopen(cases, "r");
  cr_assert_not_null(file, "%s", cases);
  moire_error error = {0};
  moire__tokenizer *t = NULL;
  cr_assert_eq(moire__tokenizer_load(tokenizer, &t, &error), MOIRE_OK, "%s", error.message);
  int n = 0;
  for (; fgets(line, sizeof line, file); n++) {
    json_t *object = json_loads(line, JSON_ALLOW_NUL, NULL);
    cr_assert_not_null(object, "%s, line %d", cases, n + 1);
    expect_case(t, object);
    json_decref(object);
  }
  cr_expect_gt(n, 5);
  fclose(file);
  size_t bytes = 0;
  const void *kept = moire__tokenizer_bytes(t, &bytes);
  moire__tokenizer *again = NULL;
  cr_expect_eq(moire__tokenizer_from_bytes(kept, bytes, "kept", &again, &error), MOIRE_OK, "%s", error.message);
  moire__tokenizer_free(again);
  moire__tokenizer_free(t);
}

Test(tokenizer, published_sentencepiece) {
  expect_cases("data/llama_tokenizer/tokenizer.model", "data/llama_tokenizer/encode_cases.jsonl");
}
Test(tokenizer, published_llama2_c) {
  expect_cases("data/tok512/tok512.bin", "data/tok512/encode_cases.jsonl");
}

/* ---- bad files ------------------------------------------------------------------------------------------- */

static void expect_refusal(const void *bytes, size_t n, const char *part) {
  moire_error error = {0};
  moire__tokenizer *t = NULL;
  cr_expect_neq(moire__tokenizer_from_bytes(bytes, n, "bad.model", &t, &error), MOIRE_OK, "%s", part);
  cr_expect(strstr(error.message, part), "wanted '%s' in '%s'", part, error.message);
  cr_expect_null(t);
}

static void expect_bad(test_vocabulary options, const char *part) {
  moire__text file = {0};
  test_vocabulary_write(&options, &file);
  expect_refusal(file.data, file.length, part);
  moire__text_free(&file);
}

Test(tokenizer, refuses_what_is_none) {
  static const char json[] = "{\"model\": {\"type\": \"BPE\"}}";
  expect_refusal("", 0, "no tokenizer");
  expect_refusal(json, sizeof json - 1, "no tokenizer");
  expect_refusal("\x0A\0\0\0\0\0\0\0", 8, "cut short");
  expect_refusal("\xFF\0\0\0", 4, "at least 259 pieces");
  expect_bad((test_vocabulary){.type = 1}, "of type unigram, wanted BPE");
  expect_bad((test_vocabulary){.table = true}, "replaces characters by a table");
  expect_bad((test_vocabulary){.twice = true}, "are the same");
  expect_bad((test_vocabulary){.given = true}, "is of kind 4");
  expect_bad((test_vocabulary){.bos = 99999}, "BOS is id 99999");
  expect_bad((test_vocabulary){.some_bytes = true}, "all 256 bytes or of none, got 1");
}

/* Every beginning of a file, and every byte of it changed: a tokenizer or a sentence. */
Test(tokenizer, damaged_files) {
  moire__text file = {0};
  test_vocabulary options = {.front = true};
  test_vocabulary_write(&options, &file);
  for (size_t n = 0; n < file.length; n++) {
    moire_error error = {0};
    moire__tokenizer *t = NULL;
    char *copy = moire__allocate(n + 1);
    memcpy(copy, file.data, n);
    if (moire__tokenizer_from_bytes(copy, n, "cut", &t, &error)) cr_expect_neq(error.message[0], 0);
    moire__tokenizer_free(t);
    moire__release(copy);
  }
  moire__text_free(&file);
}
