# A small training of every task. Sourced after tool.sh; small_tasks makes the files, and sets `features`, the options of
# semantic_id's data, and `indra`, which is empty where the reference material is absent.
# shellcheck shell=bash

# 6 items, 4 users, texts of width 8 and one review of item 2, in the folder $1.
ratings_folder() {
  mkdir -p "$1/graph"
  printf 'Action|0\nDrama|1\n' >"$1/u.genre"
  for item in 1 2 3 4 5 6; do printf '%d|Film \xe9 %d|1-Jan-1995|||%d|%d\n' $item $item $((item % 2)) 1; done >"$1/u.item"
  awk 'BEGIN { for (u = 1; u <= 4; u++) for (i = 1; i <= 4; i++) printf "%d\t%d\t%d\t%d\n", 10 + u, (u + i) % 6 + 1, 3 + (u * i) % 3, 1000 * i + u }' >"$1/u1.base"
  awk 'BEGIN { for (u = 1; u <= 4; u++) printf "%d\t%d\t5\t9000\n", 10 + u, (u + 5) % 6 + 1 }' >"$1/u1.test"
  printf 'movie_id\tage\n' >"$1/context.tsv"
  for item in 1 2 3 4 5 6; do printf '%d\t%d\n' $item $((item % 3)); done >>"$1/context.tsv"
  printf 'feature\tsize\nage\t3\n' >"$1/context_sizes.tsv"
  printf 'node\tkey\tname\n0\ta\t\n1\tb\tB\n' >"$1/graph/genre.nodes.tsv"
  printf 'movie_id\tnode\n1\t0\n2\t0\n2\t1\n3\t1\n' >"$1/graph/genre.edges.tsv"
  local head='{"movie_ids":{"dtype":"I64","shape":[2],"data_offsets":[0,16]},"overview":{"dtype":"F32","shape":[2,8],"data_offsets":[16,80]},"reviews":{"dtype":"F32","shape":[2,1,8],"data_offsets":[80,144]},"review_mask":{"dtype":"U8","shape":[2,1],"data_offsets":[144,146]}}'
  {
    printf "\\x$(printf %02x $((${#head} & 255)))\\x$(printf %02x $((${#head} >> 8)))\0\0\0\0\0\0%s" "$head"
    printf '\x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0'
    for _ in {1..32}; do printf '\0\0\x80\x3e'; done
    printf '\0\x01'
  } >"$1/text_embeddings.safetensors"
}

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
  ratings_folder ratings
  cat >hybrid.yaml <<'END'
model: hybrid
hidden_size: 8
num_attention_heads: 2
review_hidden: 4
gate_hidden: 4
predictor_hidden: [8, 4]
num_time_buckets: 8
relations: [genre]
max_history: 3
batch_size: 4
epochs: 3
END
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
