/* What kernels fetch of the piece that comes next: attention of short sequences and of single queries rows of
 * the next head, of operands and of results; a depthwise convolution the next sample.
 *
 * A fetch computes nothing, so each is made a load of the same address, which the interpreter of loop nests
 * checks: it lies within its buffer, as long as there is a next piece.
 */
#include <criterion/criterion.h>

#include "compiler/codegen/codegen.h"
#include "compiler/driver/compile.h"

#include <stdlib.h>
#include <string.h>

enum { BATCH = 2, HEADS = 3, KEYS = 5, WIDTH = 24, MOST_BUFFERS = 24 };

typedef struct attention {
  int64_t queries;
  bool waves, backward;
} attention;

static moire_value operand(moire_graph *g, const attention *c, const char *name, int64_t rows) {
  static const int by_head[] = {0, 2, 1, 3};
  moire_shape shape = MOIRE_SHAPE(BATCH, rows, HEADS, WIDTH);
  moire_value x = moire_parameter(g, name, shape, moire_init_constant(1));
  if (c->waves) x = moire_complex(x, moire_scale(x, 2));
  return moire_permute(x, 4, by_head);
}

static moire_graph *graph_of(const attention *c) {
  moire_graph *g = moire_graph_create("attention", MOIRE_TRAINING);
  moire_attention_options options = {
      .score = c->waves ? MOIRE_SCORE_INTERFERENCE : MOIRE_SCORE_DOT, .scale = 1, .mask_value = -10000};
  moire_value q = operand(g, c, "q", c->queries), k = operand(g, c, "k", KEYS), v = operand(g, c, "v", KEYS);
  moire_value y = moire_attention(q, k, v, options);
  if (c->waves) y = moire_abs2(y);
  if (c->backward)
    moire_output(g, "loss", moire_sum_all(moire_mul(y, y)));
  else
    moire_output(g, "y", y);
  return g;
}

/* Of a kernel with its fetches made loads: how many there are. */
static int load_what_is_fetched(const moire__loop_kernel *k, moire__text *out) {
  moire__text text = {0};
  moire__loop_print_bare(k, &text);
  int n = 0;
  for (const char *at = moire__text_string(&text), *fetch; *at; at = fetch) {
    fetch = strstr(at, "fetch ");
    if (!fetch) fetch = at + strlen(at);
    moire__text_add_bytes(out, at, (size_t)(fetch - at));
    if (!*fetch) break;
    const char *end = strchr(fetch, '\n');
    moire__text_add(out, "%%v%d = load %.*s : f32", 100000 + n++, (int)(end - fetch - 6), fetch + 6);
    fetch = end;
  }
  moire__text_free(&text);
  return n;
}

static moire_status run(const moire__loop_kernel *k, int64_t begin, int64_t end, moire_error *error) {
  void *buffers[MOST_BUFFERS] = {0};
  cr_assert_leq(k->n_parameters, MOST_BUFFERS);
  for (int i = 0; i < k->n_parameters; i++) {
    const moire__loop_buffer_info *b = &k->buffers[i + 1];
    buffers[i] = calloc((size_t)moire__dim_factor(b->elements), moire__loop_type_bytes(b->type));
  }
  moire_status status = moire__loop_interpret(k, buffers, NULL, begin, end, false, error);
  for (int i = 0; i < k->n_parameters; i++) free(buffers[i]);
  return status;
}

/* `kernels` kernels, of `pieces` pieces each, have `fetches` fetches together. Takes the graph. */
static void check(moire_graph *g, bool backward, const char *target_name, int64_t pieces, int kernels,
                  int fetches) {
  static const char *const outputs[] = {"y"};
  moire_error error = {0};
  moire__target target;
  cr_assert_eq(moire__target_named(target_name, &target, &error), MOIRE_OK);
  moire_compile_options options = moire_compile_defaults();
  options.target = target_name;
  if (backward) {
    options.loss = "loss";
    options.keep_gradients = true;
  } else {
    options.outputs = outputs;
    options.n_outputs = 1;
  }
  moire__module *m = moire__driver_lower(g, &options, &target, &error);
  cr_assert(m, "%s", error.message);
  for (int i = 0; i < m->n_kernels; i++) {
    moire__text text = {0};
    moire__arena arena = {0};
    int n = load_what_is_fetched(m->kernels[i], &text);
    if (n) {
      kernels--;
      fetches -= n;
      moire__loop_kernel *k = moire__loop_parse(&arena, moire__text_string(&text), "loads", &error);
      cr_assert(k, "%s", error.message);
      cr_assert_eq(run(k, 0, pieces - 1, &error), MOIRE_OK, "%s", error.message);
      cr_assert_neq(run(k, pieces - 1, pieces, &error), MOIRE_OK, "nothing comes after the last");
    }
    moire__arena_free(&arena);
    moire__text_free(&text);
  }
  cr_assert_eq(kernels, 0, "%d kernels fewer fetch", kernels);
  cr_assert_eq(fetches, 0, "%d fetches fewer", fetches);
  moire__module_destroy(m);
  moire_graph_destroy(g);
}

static const char *const targets[] = {"x86-64-v3", "x86-64-v4"};

Test(fetch, rows_of_the_next_head) {
  for (int i = 0; i < 16; i++) {
    attention c = {.queries = i & 1 ? KEYS : 1, .waves = i & 2, .backward = i & 4};
    int planes = c.waves ? 2 : 1;
    check(graph_of(&c), c.backward, targets[i / 8], BATCH * HEADS, c.backward ? 2 : 1,
          planes * (c.backward ? 4 + 7 : 4));
  }
}

Test(fetch, rows_of_the_next_sample) {
  for (int i = 0; i < 2; i++) {
    moire_graph *g = moire_graph_create("filter", MOIRE_INFERENCE);
    moire_value x = moire_parameter(g, "x", MOIRE_SHAPE(BATCH, 9, WIDTH), moire_init_constant(1));
    moire_value w = moire_parameter(g, "w", MOIRE_SHAPE(WIDTH, 1, 3), moire_init_constant(1));
    moire_output(g, "y", moire_depthwise_conv(x, w, 2));
    check(g, false, targets[i], BATCH, 1, 1);
  }
}
