/* Graph: three networks that classify graphs, in one file.
 *
 * A sample is a small graph: features of its nodes, and edges as pairs of nodes, -1 where it has fewer. Two
 * layers, then the mean over the nodes. With N(i) the nodes with an edge to i, and W, V parameters:
 *
 *   gcn   h'_i = W (h_i + mean over j in N(i) of h_j) / 2
 *   sage  h'_i = W h_i + V (mean over j in N(i) of h_j)
 *   gat   h'_i = sum over j in N(i) of a_ij W h_j,  a_ij = softmax over j of leaky_relu(u . W h_j + v . W h_i)
 *
 *   gcc -shared -fPIC -Iinclude docs/examples/graph.c -o graph.so
 *   moire train graph.yaml --data graphs/             where graph.yaml says `model: ./graph.so`, and graphs/
 * holds features.npy, edges.npy and labels.npy
 *
 * The nodes of a batch are one list, [B N, ..], and so are its edges.
 */
#include "moire/graph.h"
#include "moire/model.h"

typedef struct network {
  moire_graph *g;
  const char *kind; /* gcn, sage or gat */
  moire_dim nodes;
  moire_value source, target, ones; /* of every edge */
} network;

static moire_value weight(const network *n, const char *name, int64_t out, int64_t in) {
  return moire_parameter(n->g, name, MOIRE_SHAPE(out, in), moire_init_normal(0, 0.3));
}

/* The mean over the edges that arrive. */
static moire_value mean(const network *n, moire_value h) {
  moire_value sum = moire_edge_sum((moire_value){0}, h, n->source, n->target, n->nodes);
  moire_value count = moire_segment_sum(n->ones, n->target, n->nodes);
  count = moire_max_of(count, moire_constant(n->g, MOIRE_F32, MOIRE_SHAPE(n->nodes), 1));
  return moire_div(sum, moire_reshape(count, MOIRE_SHAPE(n->nodes, 1)));
}

static moire_value attend(const network *n, moire_value z, int64_t out) {
  moire_value none = {0}, score[2];
  score[0] = moire_gather(moire_linear(z, weight(n, "from", 1, out), none), n->source); /* [E, 1] */
  score[1] = moire_gather(moire_linear(z, weight(n, "to", 1, out), none), n->target);
  moire_value e = moire_leaky_relu(moire_add(score[0], score[1]), 0.2);
  moire_value alpha = moire_segment_softmax(e, n->target, n->nodes);
  return moire_edge_sum(moire_reshape(alpha, moire_value_shape(n->source)), z, n->source, n->target, n->nodes);
}

static moire_value layer(const network *n, const char *name, moire_value h, int64_t out) {
  int64_t in = moire_value_dim(h, -1);
  moire_value none = {0};
  moire_scope_push(n->g, "%s", name);
  moire_value w = weight(n, "weight", out, in), y;
  if (n->kind[0] == 's') {
    y = moire_add(moire_linear(h, w, none), moire_linear(mean(n, h), weight(n, "neighbours", out, in), none));
  } else if (n->kind[1] == 'a') {
    y = attend(n, moire_linear(h, w, none), out);
  } else {
    y = moire_linear(moire_scale(moire_add(h, mean(n, h)), 0.5), w, none);
  }
  moire_scope_pop(n->g);
  return y;
}

/* Column 0 or 1 of edges [B, E, 2] as rows of the batch's nodes, [B E]; -1 where there is no edge. */
static moire_value ends(moire_value edges, int column, int64_t nodes) {
  moire_dim b = moire_value_dim(edges, 0), e = moire_value_dim(edges, 1);
  moire_shape slots = MOIRE_SHAPE(b, e);
  moire_value node = moire_reshape(moire_slice(edges, 2, column, 1), slots);
  moire_value first = moire_mul(moire_iota(edges.graph, slots, 0),
                                moire_constant(edges.graph, MOIRE_I32, slots, (double)nodes));
  moire_value there = moire_less_equal(moire_constant(edges.graph, MOIRE_I32, slots, 0), node);
  moire_value row =
      moire_where(there, moire_add(node, first), moire_constant(edges.graph, MOIRE_I32, slots, -1));
  return moire_reshape(row, MOIRE_SHAPE(moire_dim_times(b, e)));
}

static void build(moire_graph *g, const moire_config *config) {
  moire_dim b = moire_extent(g, "B");
  int64_t nodes = moire_config_int(config, "nodes"), most = moire_config_int(config, "edges");
  int64_t width = moire_config_int(config, "width"), hidden = moire_config_int(config, "hidden");
  int64_t classes = moire_config_int(config, "classes");
  moire_value features = moire_input(g, "features", MOIRE_F32, MOIRE_SHAPE(b, nodes, width));
  moire_value edges = moire_input(g, "edges", MOIRE_I32, MOIRE_SHAPE(b, most, 2));
  moire_value labels = moire_input(g, "labels", MOIRE_I32, MOIRE_SHAPE(b));
  network n = {.g = g,
               .kind = moire_config_string(config, "kind"),
               .nodes = moire_dim_times(b, nodes),
               .source = ends(edges, 0, nodes),
               .target = ends(edges, 1, nodes)};
  n.ones = moire_constant(g, MOIRE_F32, moire_value_shape(n.source), 1);
  moire_value h = moire_reshape(features, MOIRE_SHAPE(n.nodes, width));
  h = moire_relu(layer(&n, "first", h, hidden));
  h = moire_reshape(layer(&n, "second", h, classes), MOIRE_SHAPE(b, nodes, classes));
  moire_value logits = moire_mean(h, 1, false);
  moire_output(g, "logits", logits);
  moire_value right = moire_equal(moire_argmax(logits, 1, false), labels);
  moire_metric(g, "accuracy", moire_cast(right, MOIRE_F32));
  moire_output(g, "loss", moire_mean_all(moire_cross_entropy(logits, labels)));
}

static const moire_config_field fields[] = {
    {"kind", MOIRE_CONFIG_STRING, "gat", 0, 0, "gcn|sage|gat", "which network"},
    {"nodes", MOIRE_CONFIG_INT, "8", 1, 4096, NULL, "nodes of a graph"},
    {"edges", MOIRE_CONFIG_INT, "16", 1, 65536, NULL, "edges of a graph at most"},
    {"width", MOIRE_CONFIG_INT, "4", 1, 4096, NULL, "features of a node"},
    {"hidden", MOIRE_CONFIG_INT, "16", 1, 4096, NULL, "width between the layers"},
    {"classes", MOIRE_CONFIG_INT, "2", 2, 4096, NULL, "classes of graphs"},
};

const moire_model *moire_model_main(void);

const moire_model *moire_model_main(void) {
  static const moire_model model = {.abi = MOIRE_MODEL_ABI,
                                    .task = "tensors",
                                    .name = "graph",
                                    .summary = "classes of graphs by GCN, GraphSAGE or graph attention",
                                    .fields = fields,
                                    .n_fields = (int)(sizeof fields / sizeof *fields),
                                    .build = build};
  return &model;
}
