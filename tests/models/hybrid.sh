#!/bin/bash
# The task of ratings on a small folder of its own: it trains, is measured, recommends by the data's own ids, is
# resumed; and what is wrong in its files is a sentence with file and line.
# shellcheck source=tests/support/tool.sh
source "$(dirname "$0")/../support/tool.sh"

# 6 items, 4 users, texts of width 8 and one review of item 2.
make_folder() {
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
make_folder data
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

"$MOIRE" train hybrid.yaml --data data --out run --threads 2 >/dev/null 2>log.txt || complain "train: $(cat log.txt)"
"$MOIRE" eval --checkpoint run/best.safetensors --data data --json >eval.json || complain eval
grep -qF "\"test\":$(cat eval.json)" run/metrics.jsonl || complain "eval finds $(cat eval.json)"
"$MOIRE" recommend --checkpoint run/best.safetensors --data data --top 2 >lists.txt || complain recommend
(($(grep -cE '^user 1[1-4]  -> [1-6] [1-6]$' lists.txt) == 4)) || complain "recommend: $(cat lists.txt)"
in_parts lists.txt "$MOIRE" recommend --checkpoint run/best.safetensors --data data --top 2
in_parts eval.json "$MOIRE" eval --checkpoint run/best.safetensors --data data --json
"$MOIRE" eval --baselines --checkpoint run/best.safetensors --data data | grep -qE '^ +test +popularity +item-kNN +EASE$' || complain 'eval --baselines'
# What a user has rated is not recommended: user 11 rated 3 to 6.
grep -qE '^user 11  -> (1 2|2 1)$' lists.txt || complain "user 11: $(head -1 lists.txt)"

# One view alone: no gates, no contrast, and no files of the other.
for view in text graph; do
  cp -r data "$view"
  if [[ $view == text ]]; then rm -r text/graph text/context.tsv; else rm graph/text_embeddings.safetensors; fi
  "$MOIRE" train hybrid.yaml --data "$view" --set views=$view --out $view.run >/dev/null 2>log.txt || complain "$view: $(cat log.txt)"
  "$MOIRE" eval --checkpoint $view.run/best.safetensors --data "$view" --json >$view.json
  grep -qF "\"test\":$(cat $view.json)" $view.run/metrics.jsonl || complain "$view: eval finds $(cat $view.json)"
  grep -q infonce $view.run/metrics.jsonl && complain "$view: a contrast of one view"
  grep -aqE 'fusion_gate' $view.run/best.safetensors && complain "$view: has gates"
done
grep -aq graph_pipeline text.run/best.safetensors && complain 'views=text has the other view'
grep -aq text_pipeline graph.run/best.safetensors && complain 'views=graph has the other view'
refused 1 views 'both|text|graph' -- "$MOIRE" train hybrid.yaml --data data --set views=none --out none

# A run that goes on is the run that did not end.
"$MOIRE" train hybrid.yaml --data data --out part --set epochs=2 --threads 1 >/dev/null 2>&1 || complain 'train, two epochs'
"$MOIRE" train hybrid.yaml --data data --out part --resume --threads 1 >/dev/null 2>log.txt || complain "resume: $(cat log.txt)"
"$MOIRE" eval --checkpoint part/best.safetensors --data data --json | cmp -s - eval.json || complain 'a resumed run ends elsewhere'

# wrong FILE SED-SCRIPT WORD...: the folder with one file changed.
wrong() {
  rm -rf bad && cp -r data bad && sed -i "$2" "bad/$1"
  local words=("${@:3}")
  refused 1 "${words[@]}" -- "$MOIRE" train hybrid.yaml --data bad --out bad_run
}
wrong graph/genre.edges.tsv '3s/0$/2/' 'genre.edges.tsv:3' 'node' '0 to 1'
wrong graph/genre.edges.tsv '4s/^2/9/' 'genre.edges.tsv:4' "'9'" '6 items'
wrong context.tsv '3s/^2/7/' 'context.tsv:3' "'7'" '6 items'
wrong context.tsv '4s/0$/3/' 'context.tsv:4' 'age' '0 to 2'
wrong context.tsv '1s/movie_id/film/' 'context.tsv:1' 'movie_id'
wrong u1.base '5s/\t[0-9]*\t\([0-9]*\)$/\t9\t\1/' 'u1.base:5' "rating '9'" '1 to 5'
wrong u1.base '6s/\t[0-9]*\t/\t99\t/' 'u1.base:6' "'99'"
wrong graph/genre.nodes.tsv '3s/B/\xe9/' 'genre.nodes.tsv:3' 'UTF-8' 'Latin-1'
wrong graph/genre.nodes.tsv '3s/^1/5/' 'genre.nodes.tsv:3' 'node'
refused 1 text_embeddings.safetensors '8 wide' 'hidden_size is 16' -- \
  "$MOIRE" train hybrid.yaml --data data --out bad_run --set hidden_size=16
refused 1 num_attention_heads hidden_size -- "$MOIRE" train hybrid.yaml --data data --out bad_run --set num_attention_heads=3
printf 'model: hybrid_text\nhidden_size: 8\n' >text.yaml
refused 1 hybrid_text 'part of a model' -- "$MOIRE" train text.yaml --data data --out bad_run
rm -rf bad && cp -r data bad && rm bad/graph/genre.edges.tsv
refused 1 genre.edges.tsv -- "$MOIRE" train hybrid.yaml --data bad --out bad_run

# The published checkpoint, to six digits.
if [[ -r $shared/checkpoints/hybrid_ml100k.safetensors && -d $shared/data/movielens ]]; then
  "$MOIRE" eval --checkpoint "$shared/checkpoints/hybrid_ml100k.safetensors" --data "$shared/data/movielens" --json >real.json || complain 'eval of the published checkpoint'
  head -c 40000 "$shared/checkpoints/hybrid_ml100k.safetensors" | grep -ao '\\"[A-Za-z]*@[0-9]*\\": [0-9.]*' | tr -d '\\"' | tr ':' ' ' >want.txt
  (($(wc -l <want.txt) == 32)) || complain "the checkpoint says $(wc -l <want.txt) measures, not 32"
  while read -r name value; do
    got=$(grep -o "\"$name\":[0-9.e-]*" real.json | cut -d: -f2)
    awk "BEGIN { d = $got - $value; exit !(d < 5.5e-7 && d > -5.5e-7) }" || complain "$name: $got, not $value"
  done <want.txt
  # Baselines, on the measures of the published page.
  "$MOIRE" eval --baselines --checkpoint "$shared/checkpoints/hybrid_ml100k.safetensors" --data "$shared/data/movielens" >table.txt || complain baselines
  grep -qE '^P@10 +0\.2678 +0\.2226 +0\.334[0-9] +0\.3895$' table.txt || complain "baselines: $(grep '^P@10' table.txt)"
  grep -qE '^NDCG@10 +0\.3142 +0\.2606 +0\.40[67][0-9] +0\.4675$' table.txt || complain "baselines: $(grep '^NDCG@10' table.txt)"
fi
finish
