/* Programs of torch.export for tests, written by hand: a ZIP archive, and the JSON of a small program. */
#ifndef MOIRE_TESTS_SUPPORT_PT2_FILE_H
#define MOIRE_TESTS_SUPPORT_PT2_FILE_H

#include "runtime/base/text.h"

#include <stdbool.h>
#include <stddef.h>

/* ---- archives: zero-initialise; `bytes` is the file once it is finished -------------------------------------
 */

typedef struct test_zip {
  moire__text bytes, directory;
  int n;
} test_zip;

void test_zip_add(test_zip *zip, const char *name, const void *bytes, size_t n);
void test_zip_finish(test_zip *zip);
void test_zip_free(test_zip *zip);

/* ---- programs: texts of JSON -------------------------------------------------------------------------------
 */

#define PT2_TENSOR(name) "{\"as_tensor\":{\"name\":\"" name "\"}}"
#define PT2_ARG(name, value) "{\"name\":\"" name "\",\"arg\":" value ",\"kind\":1}"
#define PT2_INT(n) "{\"as_int\":" #n "}"
#define PT2_REAL(x) "{\"as_float\":" #x "}"
/* A node of line `line` of net.py, in the module fc. */
#define PT2_NODE(op, args, result, line)                                                                       \
  "{\"target\":\"torch.ops." op "\",\"inputs\":[" args                                                         \
  "],\"outputs\":[" PT2_TENSOR(result) "],"                                                                    \
                                       "\"metadata\":{\"stack_trace\":\"File \\\"net.py\\\", line " #line      \
                                       ", in forward\\n    y\","                                               \
                                       "\"nn_module_stack\":\"L__self__,,M;L__self___fc,fc,Linear\"}}"
/* Sizes in PT2_META: PT2_SIZE(3), or PT2_BATCH. */
#define PT2_SIZE(n) "{\"as_int\":" #n "}"
#define PT2_BATCH                                                                                              \
  "{\"as_expr\":{\"expr_str\":\"Symbol('s7', positive=True, integer=True)\",\"hint\":{\"as_int\":4}}}"
#define PT2_META(type, sizes, strides, gradient)                                                               \
  "{\"dtype\":" #type ",\"sizes\":[" sizes "],\"requires_grad\":" #gradient ",\"strides\":[" strides           \
  "],\"storage_offset\":{\"as_int\":0},\"layout\":7}"
#define PT2_VALUE(name, type, sizes) "\"" name "\":" PT2_META(type, sizes, "", false)
#define PT2_PARAMETER(placeholder, name)                                                                       \
  "{\"parameter\":{\"arg\":{\"name\":\"" placeholder "\"},\"parameter_name\":\"" name "\"}}"
#define PT2_BUFFER(placeholder, name)                                                                          \
  "{\"buffer\":{\"arg\":{\"name\":\"" placeholder "\"},\"buffer_name\":\"" name "\",\"persistent\":true}}"
#define PT2_INPUT(name) "{\"user_input\":{\"arg\":" PT2_TENSOR(name) "}}"
#define PT2_OUTPUT(name) "{\"user_output\":{\"arg\":" PT2_TENSOR(name) "}}"
#define PT2_LEAF "{\"type\":null,\"context\":null,\"children_spec\":[]}"
/* An entry of the table of weights. */
#define PT2_WEIGHT(name, path, meta)                                                                           \
  "\"" name "\":{\"path_name\":\"" path "\",\"is_param\":true,\"use_pickle\":false,\"tensor_meta\":" meta "}"

typedef struct test_pt2 {
  const char *nodes, *values, *inputs, *outputs; /* the lists, without brackets */
  const char *out_spec;                          /* what is returned, as a tree; NULL: one tensor */
  const char *weights;                           /* the table's entries; NULL: none */
  const char *const *paths;                      /* of their bytes, [n]: weight_0, .. */
  const void *const *bytes;
  const size_t *sizes;
  int n;
} test_pt2;

/* The file as bytes in `zip`, finished. */
void test_pt2_write(const test_pt2 *program, test_zip *zip);
/* The same at a path. */
void test_pt2_save(const test_pt2 *program, const char *path);

/* y = x w^T + b of x f32[B, 3], with the loss mean((y - target)^2): w = [[1, 2, 3], [-1, 0, 1]], b = [0.5,
 * -0.5], in the module fc; returns {"loss": .., "y": ..}. Weights w (strided: kept by columns) and b. */
extern const test_pt2 test_pt2_regression;

#endif
