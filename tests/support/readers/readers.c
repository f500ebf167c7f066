/* The readers and their seeds. See readers.h. */
#include "tests/support/readers/readers.h"

#include "compiler/ir/loop/loop.h"
#include "compiler/pass/plan/module.h"
#include "moire/graph.h"
#include "runtime/config/config.h"
#include "runtime/files/safetensors.h"
#include "runtime/text/tokenizer.h"
#include "tests/support/vocabularies.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Text readers take a string: the bytes up to the first NUL. */
static char *string_of(const uint8_t *bytes, size_t n) {
  char *text = moire__allocate(n + 1);
  if (n) memcpy(text, bytes, n);
  return text;
}

static bool seed_of(const char *const *seeds, int count, int n, moire__text *out) {
  if (n >= count) return false;
  moire__text_add(out, "%s", seeds[n]);
  return true;
}

#define COUNT(list) ((int)(sizeof(list) / sizeof *(list)))

/* ---- graphs: what was read prints, and reads back as the same -----------------------------------------------
 */

static void read_graph(const uint8_t *bytes, size_t n) {
  char *text = string_of(bytes, n);
  moire_graph *g = moire_graph_parse(text, "fuzz", NULL);
  if (g) {
    char *printed = moire_graph_print(g);
    moire_graph *again = moire_graph_parse(printed, "again", NULL);
    char *printed_again = again ? moire_graph_print(again) : NULL;
    if (!printed_again || strcmp(printed, printed_again) != 0) abort();
    free(printed);
    free(printed_again);
    moire_graph_destroy(again);
  }
  moire_graph_destroy(g);
  moire__release(text);
}

static bool seed_graph(int n, moire__text *out) {
  static const char *const seeds[] = {
      "graph @a inference {\n  extent B\n  state $w : f32[3,2] trained normal(0.0, 0.02)\n"
      "  %1 = input {name = \"x\", dtype = f32, shape = [B,3]} : f32[B,3] at \"m.c\":7\n"
      "  %2 = state {name = \"w\"} : f32[3,2]\n  %3 = matmul(%1, %2) : f32[B,2] in \"layers.0\"\n"
      "  %4 = relu(%3) : f32[B,2]\n  output \"y\" = %4\n}\n",
      "graph @b training {\n  state $s : i32[2] constant(1.0, 0.0)\n  %1 = state {name = \"s\"} : i32[2]\n"
      "  %2 = constant {value = 2.5, dtype = f32, shape = []} : f32[]\n  output \"loss\" = %2\n}\n",
  };
  return seed_of(seeds, COUNT(seeds), n, out);
}

/* ---- loop nests ---------------------------------------------------------------------------------------------
 */

static void read_loop(const uint8_t *bytes, size_t n) {
  moire__arena arena = {0};
  char *text = string_of(bytes, n);
  moire__loop_kernel *k = moire__loop_parse(&arena, text, "fuzz", NULL);
  if (k) moire__loop_verify(k, NULL);
  moire__release(text);
  moire__arena_free(&arena);
}

static bool seed_loop(int n, moire__text *out) {
  if (n > 0) return false;
  moire__arena arena = {0};
  moire_graph *g = moire_graph_create("fuzz", MOIRE_INFERENCE);
  moire__loop_kernel *k = moire__loop_kernel_create(&arena, "twice", g);
  moire__loop_buffer from = moire__loop_add_parameter(k, "v0", MOIRE__BUFFER_IN, MOIRE__LOOP_F32, 8);
  moire__loop_buffer to = moire__loop_add_parameter(k, "v1", MOIRE__BUFFER_OUT, MOIRE__LOOP_F32, 8);
  moire__loop_builder b = moire__loop_begin(k, 1, 1);
  moire__loop_value i = moire__loop_for(&b, moire__loop_index(&b, 0), moire__loop_index(&b, 8), 1, 4);
  moire__loop_value x = moire__loop_load(&b, from, i);
  moire__loop_store(&b, to, i, moire__loop_binary(&b, MOIRE__LOOP_add, x, x));
  moire__loop_end(&b);
  moire__loop_print(k, out);
  moire_graph_destroy(g);
  moire__arena_free(&arena);
  return true;
}

/* ---- plans --------------------------------------------------------------------------------------------------
 */

static void read_plan(const uint8_t *bytes, size_t n) {
  char *text = string_of(bytes, n);
  moire__module *m = moire__plan_parse(text, "fuzz", NULL);
  if (m) moire__module_destroy(m);
  moire__release(text);
}

static bool seed_plan(int n, moire__text *out) {
  static const char *const seeds[] = {
      "plan @a {\n  extent B\n  buffer 0 input \"x\" : f32[B,3] steps 0 to 0\n"
      "  buffer 1 output \"y\" : f32[B,3] steps 0 to 0\n  step 0 kernel 0 over B by 8 (0, 1) \"twice\"\n}\n",
  };
  return seed_of(seeds, COUNT(seeds), n, out);
}

/* ---- configurations -----------------------------------------------------------------------------------------
 */

static void read_yaml(const uint8_t *bytes, size_t n) {
  moire__config_table table = {0};
  char *text = string_of(bytes, n);
  moire__config_table_add_yaml_text(&table, "fuzz", text, n, NULL);
  moire__config_table_free(&table);
  moire__release(text);
}

static bool seed_yaml(int n, moire__text *out) {
  static const char *const seeds[] = {
      "model: qia\nhidden_size: 64\nband_dilations: [1, 2]\nlr: 1e-3\nname: \"a b\"\n",
      "groups:\n  - match: [a, 'b*']\n    lr: 0.1\nflag: true\nnone: null\n"};
  return seed_of(seeds, COUNT(seeds), n, out);
}

static void read_json(const uint8_t *bytes, size_t n) {
  moire__config_table table = {0};
  char *text = string_of(bytes, n);
  moire__config_table_add_json(&table, "fuzz", text, NULL);
  moire__config_table_free(&table);
  moire__release(text);
}

static bool seed_json(int n, moire__text *out) {
  static const char *const seeds[] = {
      "{\"hidden_size\": 64, \"bands\": [1, 2], \"act\": \"gelu\", \"p\": 0.5, \"on\": true}"};
  return seed_of(seeds, COUNT(seeds), n, out);
}

/* ---- sequences ----------------------------------------------------------------------------------------------
 */

static bool seed_sequences(int n, moire__text *out) {
  static const char *const seeds[] = {"1 3 1 4 1 5\n2 7 1 8 2\n3 1 2 3\n", "10 1 2 3 4\r\n11 4 3 2\r\n",
                                      "1\t9\t5\t30\n1\t8\t4\t20\n1\t7\t4\t10\n",
                                      "userId,itemId,timestamp\na,x,2\na,y,1\na,z,3\n"};
  return seed_of(seeds, COUNT(seeds), n, out);
}

/* ---- safetensors: a file in memory
 * --------------------------------------------------------------------------- */

static void read_safetensors(const uint8_t *bytes, size_t n) {
  char path[40];
  int file = memfd_create("fuzz", MFD_CLOEXEC);
  assert(file >= 0);
  if (write(file, bytes, n) == (ssize_t)n) {
    moire__safetensors *opened = NULL;
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    moire__safetensors_open(path, &opened, NULL);
    moire__safetensors_close(opened);
  }
  close(file);
}

static bool seed_safetensors(int n, moire__text *out) {
  static const char head[] =
      "{\"__metadata__\":{\"format\":\"checkpoint/1\"},\"w\":{\"dtype\":\"F32\",\"shape\":[2],"
      "\"data_offsets\":[0,8]},\"h\":{\"dtype\":\"BF16\",\"shape\":[1,2],\"data_offsets\":[8,12]}}";
  if (n > 0) return false;
  uint64_t length = sizeof head - 1;
  moire__text_add_bytes(out, (const char *)&length, sizeof length);
  moire__text_add_bytes(out, head, length);
  moire__text_add_bytes(out, "\0\0\200\77\0\0\0\100\200\77\0\100", 12);
  return true;
}

/* ---- tokenizers: whatever was read encodes and decodes
 * ------------------------------------------------------ */

static void read_tokenizer(const uint8_t *bytes, size_t n) {
  static const char text[] = "a ab  abc\xFF<s>\n";
  moire__tokenizer *t = NULL;
  if (moire__tokenizer_from_bytes(bytes, n, "fuzz", &t, NULL)) return;
  int32_t *ids = NULL;
  size_t n_ids = 0, n_text = 0;
  if (moire__tokenizer_encode(t, text, sizeof text - 1, &ids, &n_ids, NULL)) abort();
  for (size_t i = 0; i < n_ids; i++)
    if (ids[i] < 0 || ids[i] >= moire__tokenizer_pieces(t)->n) abort();
  moire__release(moire__tokenizer_decode(t, ids, n_ids, &n_text));
  moire__release(ids);
  moire__tokenizer_free(t);
}

static bool seed_tokenizer(int n, moire__text *out) {
  if (n < 2) {
    test_vocabulary_write(&(test_vocabulary){.bytes = n == 1, .front = true, .few = n == 0}, out);
    return true;
  }
  if (n > 2) return false;
  moire__text_add_bytes(out, "\6\0\0\0", 4);
  for (int id = 0; id < 264; id++) {
    char name[8] = {(char)id, 0};
    if (id >= 3 && id < 259) snprintf(name, sizeof name, "<0x%02X>", (unsigned)(id - 3));
    uint32_t head[] = {0, (uint32_t)(id < 259 && id >= 3 ? 6 : 1)};
    if (id >= 259) name[0] = (char)('a' + id - 259);
    moire__text_add_bytes(out, (const char *)head, sizeof head);
    moire__text_add_bytes(out, name, head[1]);
  }
  return true;
}

const test_reader test_readers[] = {
    {"graph", read_graph, seed_graph},
    {"loop", read_loop, seed_loop},
    {"plan", read_plan, seed_plan},
    {"yaml", read_yaml, seed_yaml},
    {"json", read_json, seed_json},
    {"sequences", test_read_sequences, seed_sequences},
    {"safetensors", read_safetensors, seed_safetensors},
    {"npy", test_read_npy, test_seed_npy},
    {"archive", test_read_archive, test_seed_archive},
    {"program", test_read_program, test_seed_program},
    {"stablehlo", test_read_stablehlo, test_seed_stablehlo},
    {"tokenizer", read_tokenizer, seed_tokenizer},
    {"recbole", test_read_recbole, test_seed_recbole},
    {"tokens", test_read_tokens, test_seed_tokens},
    {"teacher", test_read_teacher, test_seed_teacher},
    {"items", test_read_items, test_seed_items},
    {"table", test_read_table, test_seed_table},
};
const int test_reader_count = COUNT(test_readers);
