#!/bin/bash
# Running statistics stand in checkpoints: a resumed run ends with the files of an uninterrupted one, and eval reads
# what training has left. The model draws negatives as well, which come again with the step's number.
# shellcheck source=tests/support/tool.sh
source "$(dirname "$0")/../support/tool.sh"

small_data data.txt
small_config norm.yaml
sed -i "s|model: qia|model: $PWD/norm.so|; s|epochs: 3|epochs: 2|" norm.yaml
cat >norm.c <<'END'
#include "moire/graph.h"
#include "moire/model.h"
static void build(moire_graph *g, const moire_config *config) {
  moire_dim b = moire_extent(g, "B");
  int64_t n = moire_config_int(config, "item_size"), length = moire_config_int(config, "max_seq_length"), d = 8;
  moire_value ids = moire_input(g, "input_ids", MOIRE_I32, MOIRE_SHAPE(b, length));
  moire_value answers = moire_input(g, "answers", MOIRE_I32, MOIRE_SHAPE(b));
  moire_value items = moire_parameter(g, "items", MOIRE_SHAPE(n, d), moire_init_normal(0, 0.3));
  moire_value mean = moire_state(g, "bn.running_mean", MOIRE_F32, MOIRE_SHAPE(d), moire_init_constant(0));
  moire_value var = moire_state(g, "bn.running_var", MOIRE_F32, MOIRE_SHAPE(d), moire_init_constant(1));
  moire_value none = {0}, x = moire_mean(moire_embedding(items, ids, 0), 1, false);
  x = moire_batch_norm(x, mean, var, none, none, 0.1, 1e-5);
  moire_value logits = moire_linear(x, items, none);
  moire_negative_options options = {.low = 1, .high = n, .exclude = moire_reshape(answers, MOIRE_SHAPE(b, 1))};
  moire_value other = moire_negative_samples(g, MOIRE_SHAPE(b), options);
  moire_value good = moire_sum(moire_mul(x, moire_gather(items, answers)), 1, false);
  moire_value bad = moire_sum(moire_mul(x, moire_gather(items, other)), 1, false);
  moire_output(g, "logits", logits);
  moire_output(g, "loss", moire_bpr_loss(good, bad, MOIRE_REDUCE_MEAN));
}
const moire_model *moire_model_main(void);
const moire_model *moire_model_main(void) {
  static const moire_config_field fields[] = {MOIRE_SEQUENTIAL_FIELDS};
  static const moire_model model = {.abi = MOIRE_MODEL_ABI, .task = "sequences", .name = "norm", .summary = "a mean",
                                    .fields = fields, .n_fields = sizeof fields / sizeof *fields, .build = build};
  return &model;
}
END
gcc -shared -fPIC -I"$SOURCE_DIR/include" norm.c -o norm.so || complain 'the model does not compile'

train=("$MOIRE" train norm.yaml --data data.txt)
"${train[@]}" --threads 1 --out whole --json >whole.json 2>log.txt || complain "train: $(cat log.txt)"
"${train[@]}" --threads 2 --out run --set epochs=1 >/dev/null 2>log.txt || complain "train: $(cat log.txt)"
"${train[@]}" --threads 2 --out run --resume --json >run.json 2>log.txt || complain "resume: $(cat log.txt)"
for file in best last; do
  cmp "whole/$file.safetensors" "run/$file.safetensors" || complain "$file differs after a resumption"
done
grep -aq 'bn.running_var' run/best.safetensors || complain 'the checkpoint has no running variance'
"$MOIRE" eval --checkpoint run/best.safetensors --data data.txt --model "$PWD/norm.so" --json >eval.json 2>log.txt ||
  complain "eval: $(cat log.txt)"
grep -qF "$(cat eval.json)" run.json || complain "eval says $(cat eval.json), training said $(cat run.json)"
finish
