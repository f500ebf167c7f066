/* Programs written by hand. See pt2_file.h. */
#include "tests/support/pt2/pt2_file.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

/* ---- archives ---------------------------------------------------------------------------------------------
 */

static void put(moire__text *to, uint32_t number, int bytes) {
  for (int i = 0; i < bytes; i++) moire__text_add_bytes(to, (const char[]){(char)(number >> 8 * i)}, 1);
}

void test_zip_add(test_zip *zip, const char *name, const void *bytes, size_t n) {
  uint32_t sum = (uint32_t)crc32(0, bytes, (uInt)n), at = (uint32_t)zip->bytes.length;
  for (int central = 0; central < 2; central++) {
    moire__text *to = central ? &zip->directory : &zip->bytes;
    put(to, central ? 0x02014b50 : 0x04034b50, 4);
    if (central) put(to, 20, 2);
    put(to, 20, 2); /* version, then no flags, stored, time and date */
    put(to, 0, 2);
    put(to, 0, 2);
    put(to, 0, 2);
    put(to, 33, 2);
    put(to, sum, 4);
    put(to, (uint32_t)n, 4);
    put(to, (uint32_t)n, 4);
    put(to, (uint32_t)strlen(name), 2);
    put(to, 0, 2);
    if (central) {
      put(to, 0, 2); /* comment, disk, attributes */
      put(to, 0, 2);
      put(to, 0, 2);
      put(to, 0, 4);
      put(to, at, 4);
    }
    moire__text_add_bytes(to, name, strlen(name));
  }
  moire__text_add_bytes(&zip->bytes, bytes, n);
  zip->n++;
}

void test_zip_finish(test_zip *zip) {
  uint32_t at = (uint32_t)zip->bytes.length, size = (uint32_t)zip->directory.length;
  moire__text_add_bytes(&zip->bytes, zip->directory.data, zip->directory.length);
  put(&zip->bytes, 0x06054b50, 4);
  put(&zip->bytes, 0, 4);
  put(&zip->bytes, (uint32_t)zip->n, 2);
  put(&zip->bytes, (uint32_t)zip->n, 2);
  put(&zip->bytes, size, 4);
  put(&zip->bytes, at, 4);
  put(&zip->bytes, 0, 2);
}

void test_zip_free(test_zip *zip) {
  moire__text_free(&zip->bytes);
  moire__text_free(&zip->directory);
  *zip = (test_zip){0};
}

/* ---- programs ---------------------------------------------------------------------------------------------
 */

/* A text within a text of JSON. */
static void add_quoted(moire__text *to, const char *text) {
  moire__text_add_char(to, '"');
  for (; *text; text++) {
    if (*text == '"' || *text == '\\') moire__text_add_char(to, '\\');
    moire__text_add_char(to, *text);
  }
  moire__text_add_char(to, '"');
}

void test_pt2_write(const test_pt2 *p, test_zip *zip) {
  moire__text program = {0}, spec = {0}, weights = {0};
  moire__text_add(&spec, "[1, %s]", p->out_spec ? p->out_spec : PT2_LEAF);
  moire__text_add(
      &program,
      "{\"graph_module\":{\"graph\":{\"inputs\":[],\"outputs\":[],\"nodes\":[%s],\"tensor_values\":{%s}},"
      "\"signature\":{\"input_specs\":[%s],\"output_specs\":[%s]},"
      "\"module_call_graph\":[{\"fqn\":\"\",\"signature\":{\"out_spec\":",
      p->nodes, p->values, p->inputs, p->outputs);
  add_quoted(&program, spec.data);
  moire__text_add(&program, "}}]},\"schema_version\":{\"major\":8,\"minor\":20}}");
  moire__text_add(&weights, "{\"config\":{%s}}", p->weights ? p->weights : "");
  test_zip_add(zip, "net/models/model.json", program.data, program.length);
  test_zip_add(zip, "net/data/weights/model_weights_config.json", weights.data, weights.length);
  test_zip_add(zip, "net/data/constants/model_constants_config.json", "{\"config\":{}}", 13);
  test_zip_add(zip, "net/data/sample_inputs/model.pt", "no pickle at all", 16);
  test_zip_add(zip, "net/byteorder", "little", 6);
  for (int i = 0; i < p->n; i++) {
    char name[256];
    snprintf(name, sizeof name, "net/data/weights/%s", p->paths[i]);
    test_zip_add(zip, name, p->bytes[i], p->sizes[i]);
  }
  test_zip_finish(zip);
  moire__text_free(&program);
  moire__text_free(&spec);
  moire__text_free(&weights);
}

void test_pt2_save(const test_pt2 *p, const char *path) {
  test_zip zip = {0};
  test_pt2_write(p, &zip);
  FILE *file = fopen(path, "wb");
  if (!file || fwrite(zip.bytes.data, 1, zip.bytes.length, file) != zip.bytes.length || fclose(file)) abort();
  test_zip_free(&zip);
}

static const float w[] = {1, -1, 2, 0, 3, 1}, b[] = {0.5f, -0.5f};

const test_pt2 test_pt2_regression = {
    .nodes = PT2_NODE("aten.linear.default",
                      PT2_ARG("input", PT2_TENSOR("x")) "," PT2_ARG("weight", PT2_TENSOR("p_w")) "," PT2_ARG(
                          "bias", PT2_TENSOR("p_b")),
                      "linear", 7) "," PT2_NODE("aten.mse_loss.default",
                                                PT2_ARG("self", PT2_TENSOR("linear")) "," PT2_ARG(
                                                    "target", PT2_TENSOR("target")),
                                                "mse_loss", 8),
    .values = PT2_VALUE("x", 7, PT2_BATCH "," PT2_SIZE(3)) "," PT2_VALUE(
        "target", 7, PT2_BATCH "," PT2_SIZE(2)) "," PT2_VALUE("linear", 7,
                                                              PT2_BATCH
                                                              "," PT2_SIZE(2)) "," PT2_VALUE("mse_loss", 7, ""),
    .inputs = PT2_PARAMETER("p_w", "fc.weight") "," PT2_PARAMETER("p_b", "fc.bias") "," PT2_INPUT(
        "x") "," PT2_INPUT("target"),
    .outputs = PT2_OUTPUT("mse_loss") "," PT2_OUTPUT("linear"),
    .out_spec =
        "{\"type\":\"builtins.dict\",\"context\":\"[\\\"loss\\\", \\\"y\\\"]\",\"children_spec\":[" PT2_LEAF
        "," PT2_LEAF "]}",
    .weights = PT2_WEIGHT("fc.weight", "weight_0",
                          PT2_META(7, PT2_SIZE(2) "," PT2_SIZE(3), PT2_SIZE(1) "," PT2_SIZE(2),
                                   true)) "," PT2_WEIGHT("fc.bias", "weight_1",
                                                         PT2_META(7, PT2_SIZE(2), PT2_SIZE(1), true)),
    .paths = (const char *const[]){"weight_0", "weight_1"},
    .bytes = (const void *const[]){w, b},
    .sizes = (const size_t[]){sizeof w, sizeof b},
    .n = 2};
