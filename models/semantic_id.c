/* Semantic IDs: an item's features as a few whole numbers, the coarsest first (a residual-quantised
 * auto-encoder).
 *
 *     z = encoder(x),   r_0 = z,   c_l = the code of level l nearest to r_l,   r_{l+1} = r_l - e_l[c_l],
 *     y = decoder(sum over l of e_l[c_l])
 *     loss = mean (y - x)^2 + beta * sum over l of mean (r_l - e_l[c_l])^2
 *
 * The gradient passes the quantiser as if it were the identity; encoder and decoder (two linear layers with a
 * relu between, where `hidden` says so, else the identity) follow it. The codes have no gradient: after each
 * step they move to the moving average of the residuals that picked them, all levels at once. A size starts at
 * 1, so that a code that is never picked keeps its place. Codes and sums start out equal (one stream).
 *
 * `ids` go the other way: "restored" = decoder(sum over l of e_l[ids_l]). */
#include "moire/graph.h"
#include "moire/model.h"

#include <math.h>
#include <stdio.h>

enum { MOST_LEVELS = 64 };

typedef struct coder {
  moire_graph *g;
  const moire_config *config;
  moire_dim b;
  int64_t features, width, hidden; /* F, D, 0: no layers */
  const int64_t *sizes;            /* codes of each level */
  int levels;
  moire_value book[MOST_LEVELS]; /* f32[K, D] */
} coder;

/* PyTorch's start of a linear layer: both within 1 / sqrt(inputs). */
static moire_value linear(const coder *m, const char *name, moire_value x, int64_t in, int64_t out) {
  moire_init init = moire_init_uniform(-1 / sqrt((double)in), 1 / sqrt((double)in));
  moire_scope_push(m->g, "%s", name);
  moire_value weight = moire_parameter(m->g, "weight", MOIRE_SHAPE(out, in), init);
  moire_value bias = moire_parameter(m->g, "bias", MOIRE_SHAPE(out), init);
  moire_scope_pop(m->g);
  return moire_linear(x, weight, bias);
}

static moire_value layers(const coder *m, const char *name, moire_value x, int64_t in, int64_t out) {
  if (!m->hidden) return x;
  moire_scope_push(m->g, "%s", name);
  moire_value y = moire_relu(linear(m, "0", x, in, m->hidden));
  y = linear(m, "2", y, m->hidden, out);
  moire_scope_pop(m->g);
  return y;
}

static moire_value decode(const coder *m, moire_value latent) {
  return layers(m, "decoder", latent, m->width, m->features);
}

static moire_value mean_square(moire_value a, moire_value b) {
  moire_value d = moire_sub(a, b);
  return moire_mean_all(moire_mul(d, d));
}

/* The codes of level l after `rows` of the batch were picked by `residual`. */
static void move_codes(const coder *m, int l, moire_value residual, moire_value rows, moire_value sizes,
                       moire_value sums, moire_value unused) {
  moire_ema next =
      moire_ema_update(sizes, sums, moire_stop_gradient(residual), rows,
                       moire_config_real(m->config, "ema_decay"), moire_config_real(m->config, "epsilon"));
  const char *const names[] = {"embedding", "ema_cluster_size", "ema_w"};
  const moire_value values[] = {next.codes, next.sizes, next.sums};
  char name[64];
  for (int i = 0; i < 3; i++) {
    snprintf(name, sizeof name, "quantizers.%d.%s", l, names[i]);
    moire_update(m->g, name, values[i]);
  }
  if (moire_value_is_null(unused)) return;
  moire_value none = moire_constant(m->g, MOIRE_F32, MOIRE_SHAPE(m->sizes[l]), 0);
  snprintf(name, sizeof name, "quantizers.%d.unused", l);
  moire_update(m->g, name, moire_where(moire_less(none, next.counts), none, moire_add_scalar(unused, 1)));
}

/* Level l picks codes for its residual, whose rows it returns. */
static moire_value level(coder *m, int l, moire_value residual) {
  int64_t n = m->sizes[l];
  char stream[64];
  snprintf(stream, sizeof stream, "quantizers.%d.embedding", l);
  moire_init init = moire_init_uniform(-1.0 / (double)n, 1.0 / (double)n);
  init.stream = stream;
  moire_scope_push(m->g, "quantizers.%d", l);
  m->book[l] = moire_state(m->g, "embedding", MOIRE_F32, MOIRE_SHAPE(n, m->width), init);
  moire_value sizes = moire_state(m->g, "ema_cluster_size", MOIRE_F32, MOIRE_SHAPE(n), moire_init_constant(1));
  moire_value sums = moire_state(m->g, "ema_w", MOIRE_F32, MOIRE_SHAPE(n, m->width), init);
  moire_value unused = {0};
  if (moire_config_int(m->config, "restart_after"))
    unused = moire_state(m->g, "unused", MOIRE_F32, MOIRE_SHAPE(n), moire_init_constant(0));
  moire_scope_pop(m->g);
  moire_value rows = moire_nearest_code(moire_stop_gradient(residual), m->book[l]);
  if (moire_graph_mode(m->g) == MOIRE_TRAINING) move_codes(m, l, residual, rows, sizes, sums, unused);
  return rows;
}

static void add_output(const coder *m, const char *name, int l, moire_value value) {
  char full[64];
  snprintf(full, sizeof full, "%s.%d", name, l);
  moire_output(m->g, full, value);
}

/* Quantises; gives the sum of the codes that were picked, and the commitment loss. */
static moire_value quantise(coder *m, moire_value latent, moire_value *commitment) {
  moire_value residual = latent, total = {0}, columns[MOST_LEVELS];
  for (int l = 0; l < m->levels; l++) {
    add_output(m, "residuals", l, residual);
    moire_value rows = level(m, l, residual), code = moire_gather(m->book[l], rows);
    add_output(m, "codes", l, rows);
    columns[l] = moire_reshape(rows, MOIRE_SHAPE(m->b, 1));
    moire_value off = mean_square(residual, code);
    *commitment = l ? moire_add(*commitment, off) : off;
    total = l ? moire_add(total, code) : code;
    residual = moire_sub(residual, code);
  }
  moire_output(m->g, "codes", moire_concat(columns, m->levels, 1));
  return total;
}

static moire_value restore(const coder *m) {
  moire_value ids = moire_input(m->g, "ids", MOIRE_I32, MOIRE_SHAPE(m->b, m->levels)), total = {0};
  for (int l = 0; l < m->levels; l++) {
    moire_value rows = moire_reshape(moire_slice(ids, 1, l, 1), MOIRE_SHAPE(m->b));
    moire_value code = moire_gather(m->book[l], rows);
    total = l ? moire_add(total, code) : code;
  }
  return decode(m, total);
}

static void build(moire_graph *g, const moire_config *config) {
  coder m = {.g = g,
             .config = config,
             .b = moire_extent(g, "B"),
             .features = moire_config_int(config, "feature_dim"),
             .width = moire_config_int(config, "code_dim"),
             .hidden = moire_config_int(config, "hidden")};
  m.levels = moire_config_ints(config, "codebook_sizes", &m.sizes);
  if (!m.width) m.width = m.features;
  moire_value x = moire_input(g, "features", MOIRE_F32, MOIRE_SHAPE(m.b, m.features)), commitment = {0};
  moire_value latent = layers(&m, "encoder", x, m.features, m.width);
  moire_value total = quantise(&m, latent, &commitment);
  moire_value decoded = decode(&m, moire_straight_through(latent, total));
  moire_value reconstruction = mean_square(decoded, x);
  moire_output(g, "decoded", decoded);
  moire_output(g, "reconstruction", reconstruction);
  moire_output(g, "commitment", commitment);
  moire_output(
      g, "loss",
      moire_add(reconstruction, moire_scale(commitment, moire_config_real(config, "commitment_cost"))));
  moire_output(g, "restored", restore(&m));
}

static moire_status check(const moire_config *config, moire_error *error) {
  const int64_t *sizes = NULL;
  int levels = moire_config_ints(config, "codebook_sizes", &sizes);
  int64_t features = moire_config_int(config, "feature_dim"), width = moire_config_int(config, "code_dim");
  if (levels < 1 || levels > MOST_LEVELS)
    return moire_fail(error, MOIRE_ERROR_ARGUMENT, "codebook_sizes: wanted 1 to %d levels, got %d", MOST_LEVELS,
                      levels);
  if (width && width != features && !moire_config_int(config, "hidden"))
    return moire_fail(error, MOIRE_ERROR_ARGUMENT,
                      "code_dim: is %d, but without hidden layers codes are as wide as features, %d",
                      (int)width, (int)features);
  return MOIRE_OK;
}

static const moire_config_field fields[] = {
    {"feature_dim", MOIRE_CONFIG_INT, NULL, 1, 1048576, NULL, "width F of the features"},
    {"codebook_sizes", MOIRE_CONFIG_INTS, "[1024, 4096, 16384]", 1, 16777216, NULL, "codes of each level"},
    {"hidden", MOIRE_CONFIG_INT, "null", 0, 1048576, NULL, "width of encoder's and decoder's hidden layer"},
    {"code_dim", MOIRE_CONFIG_INT, "null", 0, 1048576, NULL, "width D of the codes; nothing: as the features"},
    {"commitment_cost", MOIRE_CONFIG_REAL, "0.25", 0, 1000, NULL, "weight beta of the commitment loss"},
    {"ema_decay", MOIRE_CONFIG_REAL, "0.99", 0, 1, NULL, "decay of the moving averages"},
    {"epsilon", MOIRE_CONFIG_REAL, "1e-5", 0, 1, NULL, "keeps codes finite whose size fades"},
    {"initialisation", MOIRE_CONFIG_STRING, "kmeans", 0, 0, "kmeans|uniform", "how codes start out"},
    {"restart_after", MOIRE_CONFIG_INT, "0", 0, 1000000000, NULL,
     "steps after which a code that nothing picks is put where data are; 0: never"},
    {"unique_digit", MOIRE_CONFIG_BOOL, "false", 0, 0, NULL, "a last digit tells items with equal codes apart"},
};

const moire_model moire_model_semantic_id = {.abi = MOIRE_MODEL_ABI,
                                             .task = "items",
                                             .name = "semantic_id",
                                             .summary = "item features as codes of residual quantisation",
                                             .fields = fields,
                                             .n_fields = (int)(sizeof fields / sizeof *fields),
                                             .check = check,
                                             .build = build};
