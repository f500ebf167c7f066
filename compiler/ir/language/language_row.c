/* The language: operations over rows, dropout, attention. */
#include "compiler/ir/language/language.h"

moire_value moire_softmax_at(moire_source at, moire_value x) {
  return moire__emit_unary(at, MOIRE__OP_softmax, x);
}

moire_value moire_log_softmax_at(moire_source at, moire_value x) {
  return moire__emit_unary(at, MOIRE__OP_log_softmax, x);
}

moire_value moire_cross_entropy_at(moire_source at, moire_value logits, moire_value targets) {
  return moire__emit_binary(at, MOIRE__OP_cross_entropy, logits, targets);
}

static bool is_probability(moire_source at, const char *what, moire_graph *g, double p) {
  if (p >= 0 && p < 1) return true;
  moire__graph_fail_at(g, at, what, MOIRE_ERROR_ARGUMENT, "probability %g is not in [0, 1)", p);
  return false;
}

moire_value moire_dropout_at(moire_source at, moire_value x, double p) {
  if (moire_value_is_null(x)) return x;
  if (!is_probability(at, "dropout", x.graph, p)) return moire__null_like(x, x);
  if (p == 0 || moire_graph_mode(x.graph) == MOIRE_INFERENCE) return x;
  if (moire__is_complex(x)) {
    moire_value re = moire_dropout_at(at, moire_real_at(at, x), p);
    return moire_complex_at(at, re, moire_dropout_at(at, moire_imag_at(at, x), p));
  }
  const moire__attr attrs[] = {
      moire__attr_make_real("p", p),
      moire__attr_make_int("stream", moire__graph_fresh_stream(x.graph)),
  };
  moire_value rng = moire__graph_rng(x.graph, at);
  return moire__graph_emit(x.graph, at, MOIRE__OP_dropout, (moire_value[]){x, rng}, 2, attrs, 2);
}

/* bias as [B, H, queries, keys]. */
static moire_value whole_bias(moire_source at, moire_value q, moire_value k, moire_value bias) {
  moire_shape shape_q = moire_value_shape(q), shape_k = moire_value_shape(k), own = moire_value_shape(bias);
  if (shape_q.rank != 4 || shape_k.rank != 4) return bias; /* inference says so */
  moire_shape whole = shape_q, common;
  whole.dims[3] = shape_k.dims[2];
  if (!moire__broadcast_shape(&whole, 0, &own, 0, &common) || !moire__shape_equal(&whole, &common)) {
    return bias;
  }
  return moire_broadcast_at(at, bias, whole);
}

moire_value moire_attention_at(moire_source at, moire_value q, moire_value k, moire_value v,
                               moire_attention_options options) {
  if (moire_value_is_null(q) || moire_value_is_null(k)) return moire__null_like(q, k);
  moire_graph *g = q.graph;
  if (!is_probability(at, "attention", g, options.dropout)) return (moire_value){g, 0};
  const bool has_rng = options.dropout > 0 && moire_graph_mode(g) == MOIRE_TRAINING;
  const bool has_valid = !moire_value_is_null(options.key_valid);
  const bool has_bias = !moire_value_is_null(options.bias);
  moire_value operands[6] = {q, k, v};
  int n = 3;
  moire__promote(at, operands, 2);
  if (options.score == MOIRE_SCORE_INTERFERENCE) {
    for (int i = 0; i < 2; i++) operands[i] = moire__to_complex(at, operands[i]);
  }
  moire__attr attrs[9] = {
      moire__attr_make_int("score", options.score),
      moire__attr_make_real("scale", options.scale),
      moire__attr_make_real("mask_value", moire__mask_value(options.mask_value)),
      moire__attr_make_int("causal", options.causal),
      moire__attr_make_int("has_valid", has_valid),
      moire__attr_make_int("has_bias", has_bias),
      moire__attr_make_int("has_rng", has_rng),
      moire__attr_make_real("dropout", has_rng ? options.dropout : 0),
  };
  int n_attrs = 8;
  if (has_valid) operands[n++] = options.key_valid;
  if (has_bias) operands[n++] = whole_bias(at, q, k, options.bias);
  if (has_rng) {
    attrs[n_attrs++] = moire__attr_make_int("stream", moire__graph_fresh_stream(g));
    operands[n++] = moire__graph_rng(g, at);
  }
  return moire__graph_emit(g, at, MOIRE__OP_attention, operands, n, attrs, n_attrs);
}

moire_value moire_attention_past_at(moire_source at, moire_value q, moire_value k, moire_value v,
                                    moire_value past_k, moire_value past_v, moire_value first,
                                    moire_attention_options options) {
  const moire_value all[] = {q, k, v, past_k, past_v};
  moire_value operands[11] = {q};
  bool complex = false;
  int n = 0;
  for (int i = 0; i < 5; i++) {
    if (moire_value_is_null(all[i])) return moire__null_like(q, k);
    complex = complex || moire__is_complex(all[i]);
  }
  if (moire_graph_mode(q.graph) == MOIRE_TRAINING) {
    moire__graph_fail_at(q.graph, at, "attention_past", MOIRE_ERROR_ARGUMENT,
                         "has no gradient: it is for inference");
    return moire__null_like(q, q);
  }
  for (int i = 0; i < 5; i++) {
    operands[n++] = complex ? moire_real_at(at, moire__to_complex(at, all[i])) : all[i];
    if (complex) operands[n++] = moire_imag_at(at, moire__to_complex(at, all[i]));
  }
  operands[n++] = first;
  const moire__attr attrs[] = {
      moire__attr_make_real("scale", options.scale),
      moire__attr_make_int("interference", options.score == MOIRE_SCORE_INTERFERENCE),
  };
  moire__op op = complex ? MOIRE__OP_attend_past : MOIRE__OP_attend_past_real;
  moire_value y = moire__graph_emit(q.graph, at, op, operands, n, attrs, 2);
  if (moire_value_is_null(y)) return y;
  if (complex) y = moire_complex_at(at, y, moire__value(q.graph, y.id + 1));
  return moire_swap_axes_at(at, y, 1, 2);
}
