# A small training of every task. Sourced after tool.sh; small_tasks makes the files, and sets `features`, the options of
# semantic_id's data, and `indra`, which is empty where the reference material is absent.
# shellcheck shell=bash

small_tasks() {
  small_data data.txt
  small_config qia.yaml
  sed -e 's/^model: qia/model: pswrec_v13/' -e '/^band/d' qia.yaml >pswrec.yaml
  "$MOIRE" train qia.yaml --data data.txt --out recommender --quiet --set epochs=1 >/dev/null || complain 'train: a recommender'
  features=(--features recommender/best.safetensors --tensor item_embeddings.weight)
  cat >semantic_id.yaml <<'END'
model: semantic_id
codebook_sizes: [8, 16, 32]
restart_after: 3
batch_size: 32
epochs: 4
patience: 4
END
  "$MOIRE" synth --kind signals --records 300 -o signals.safetensors
  sed -e "s|^model:.*|model: $BUILD_DIR/examples/signals.so|" -e 's/^epochs:.*/epochs: 1/' -e 's/^width:.*/width: 8/' \
    "$SOURCE_DIR/docs/examples/signals.yaml" >tensors.yaml
  small_ratings ratings hybrid.yaml
  indra=
  [[ -r $shared/data/tok512/stories_valid.safetensors ]] || return 0
  # shellcheck disable=SC2034 # read by who sources this
  indra=indra.yaml
  cat >indra.yaml <<END
model: indra
data: $shared/data/tok512/stories_valid.safetensors
d_model: 16
n_layers: 1
n_heads: 2
max_positions: 128
epochs: 1
batch_size: 40
optimizer: adamw
lr: 0.003
clip_norm: 1
END
}
