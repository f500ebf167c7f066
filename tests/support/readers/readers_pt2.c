/* Programs of torch.export: the archive as bytes, and the text of a program in an archive that is well formed.
 * What was read is built. */
#include "compiler/import/torch/program.h"
#include "tests/support/pt2/pt2_file.h"
#include "tests/support/readers/readers.h"

#include <string.h>

static void build(const void *bytes, size_t n) {
  moire__pt2 *file = NULL;
  moire__torch_program program = {0};
  if (moire__pt2_open_bytes("fuzz.pt2", bytes, n, &file, NULL)) return;
  if (!moire__torch_program_read(&program, file, NULL)) {
    for (int mode = 0; mode < 2; mode++) {
      moire_graph *g = moire_graph_create("fuzz", mode ? MOIRE_TRAINING : MOIRE_INFERENCE);
      moire__text refusals = {0};
      moire__torch_program_build(&program, g, mode ? 0 : -1, &refusals);
      if (refusals.length && !moire_graph_status(g, NULL)) __builtin_abort();
      moire__text_free(&refusals);
      moire_graph_destroy(g);
    }
  }
  moire__torch_program_free(&program);
  moire__pt2_close(file);
}

void test_read_archive(const uint8_t *bytes, size_t n) { build(bytes, n); }

bool test_seed_archive(int n, moire__text *out) {
  if (n > 0) return false;
  test_zip zip = {0};
  test_pt2_write(&test_pt2_regression, &zip);
  moire__text_add_bytes(out, zip.bytes.data, zip.bytes.length);
  test_zip_free(&zip);
  return true;
}

/* Tables of weights that the seeds' programs name. */
static const char tables[] = "{\"config\":{" PT2_WEIGHT(
    "fc.weight", "weight_0",
    PT2_META(7, PT2_SIZE(2) "," PT2_SIZE(3), PT2_SIZE(1) "," PT2_SIZE(2),
             true)) "," PT2_WEIGHT("fc.bias", "weight_1", PT2_META(7, PT2_SIZE(2), PT2_SIZE(1), true)) "}}";

void test_read_program(const uint8_t *bytes, size_t n) {
  static const float weights[8] = {1, 2, 3, 4};
  test_zip zip = {0};
  test_zip_add(&zip, "net/models/model.json", bytes, n);
  test_zip_add(&zip, "net/data/weights/model_weights_config.json", tables, sizeof tables - 1);
  test_zip_add(&zip, "net/data/constants/model_constants_config.json", "{\"config\":{}}", 13);
  test_zip_add(&zip, "net/data/weights/weight_0", weights, 24);
  test_zip_add(&zip, "net/data/weights/weight_1", weights, 8);
  test_zip_finish(&zip);
  build(zip.bytes.data, zip.bytes.length);
  test_zip_free(&zip);
}

#define SELF PT2_ARG("self", PT2_TENSOR("x"))
#define INTS(name, ...) PT2_ARG(name, "{\"as_ints\":[" #__VA_ARGS__ "]}")

/* One node of each of many operations; their results are not described, so that each is refused, once built. */
static const char *const nodes[] = {
    PT2_NODE("aten.view.default", SELF "," INTS("size", -1, 3), "a", 1),
    PT2_NODE("aten.slice.Tensor",
             SELF
             "," PT2_ARG("dim", PT2_INT(1)) "," PT2_ARG("start", PT2_INT(0)) "," PT2_ARG("end", PT2_INT(2)),
             "b", 2),
    PT2_NODE("aten.unfold.default",
             SELF "," PT2_ARG("dimension", PT2_INT(1)) "," PT2_ARG("size", PT2_INT(2)) "," PT2_ARG("step",
                                                                                                   PT2_INT(1)),
             "c", 3),
    PT2_NODE("aten.pad.default", SELF "," INTS("pad", 1, 2), "d", 4),
    PT2_NODE("aten.roll.default", SELF "," INTS("shifts", 1) "," INTS("dims", 1), "e", 5),
    PT2_NODE("aten.sum.dim_IntList", SELF "," INTS("dim", 1), "f", 6),
    PT2_NODE("aten.permute.default", SELF "," INTS("dims", 1, 0), "g", 7),
    PT2_NODE("aten.expand.default", SELF "," INTS("size", 2, -1, 3), "h", 8),
    PT2_NODE("aten.arange.start_step",
             PT2_ARG("start", PT2_INT(1)) "," PT2_ARG("end", PT2_INT(9)) "," PT2_ARG("step", PT2_INT(2)), "i",
             9),
    PT2_NODE("aten.full.default", INTS("size", 2, 3) "," PT2_ARG("fill_value", PT2_REAL(0.5)), "j", 10),
    PT2_NODE("aten.fft_rfft.default", SELF "," PT2_ARG("n", PT2_INT(4)), "k", 11),
    PT2_NODE("aten.diagonal.default", SELF "," PT2_ARG("offset", PT2_INT(0)), "l", 12),
    PT2_NODE("aten.diag_embed.default", SELF "," PT2_ARG("offset", PT2_INT(1)), "m", 13),
    PT2_NODE("aten.split.Tensor", SELF "," PT2_ARG("split_size", PT2_INT(2)) "," PT2_ARG("dim", PT2_INT(1)),
             "n", 14),
    PT2_NODE("aten.repeat.default", SELF "," INTS("repeats", 1, 2, 2), "o", 15),
    PT2_NODE("aten.topk.default", SELF "," PT2_ARG("k", PT2_INT(2)), "p", 16),
    PT2_NODE("aten.cat.default",
             PT2_ARG("tensors", "{\"as_tensors\":[{\"name\":\"x\"},{\"name\":\"x\"}]}") "," PT2_ARG("dim",
                                                                                                    PT2_INT(1)),
             "q", 17),
    PT2_NODE("aten.matmul.default", SELF "," PT2_ARG("other", PT2_TENSOR("x")), "r", 18),
    PT2_NODE("aten.tril.default", SELF "," PT2_ARG("diagonal", PT2_INT(1)), "s", 19),
    PT2_NODE("aten.unflatten.int", SELF "," PT2_ARG("dim", PT2_INT(1)) "," INTS("sizes", 3, -1), "t", 20),
};

bool test_seed_program(int n, moire__text *out) {
  int count = (int)(sizeof nodes / sizeof *nodes);
  if (n > count) return false;
  test_zip zip = {0};
  test_pt2 p = test_pt2_regression;
  moire__text both = {0};
  moire__text_add(&both, "%s%s%s", p.nodes, n ? "," : "", n ? nodes[n - 1] : "");
  p.nodes = both.data;
  test_pt2_write(&p, &zip);
  /* the program is the first entry: behind 30 bytes and its name */
  size_t begin = 30 + strlen("net/models/model.json");
  const char *end = memmem(zip.bytes.data + begin, zip.bytes.length - begin, "PK\3\4", 4);
  moire__text_add_bytes(out, zip.bytes.data + begin, (size_t)(end - zip.bytes.data) - begin);
  moire__text_free(&both);
  test_zip_free(&zip);
  return true;
}
