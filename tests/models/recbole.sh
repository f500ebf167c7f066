#!/bin/bash
# The graph and the features of items from RecBole's files (.inter, .item, .kg, .link): the training is that of the
# same graph by numbers; names of any text come out again, by the checkpoint's numbering whatever the order of a file;
# gzip and pipes change nothing; what is wrong is a sentence with file and line.
# shellcheck source=tests/support/tool.sh
source "$(dirname "$0")/../support/tool.sh"

# ---- the same items by numbers and by names: 6 items, 2 nodes, a feature of 2 values --------------------------------

numbers=(1 2 3 4 5 6)
mkdir -p plain/graph shop column
printf 'movie_id\tage\n' >plain/context.tsv
printf 'feature\tsize\nage\t3\n' >plain/context_sizes.tsv
printf '1\t1\n2\t2\n3\t0\n4\t1\n5\t2\n6\t0\n' >>plain/context.tsv
printf 'node\n0\n1\n' >plain/graph/kind.nodes.tsv
printf 'movie_id\tnode\n1\t0\n2\t0\n2\t1\n3\t1\n3\t1\n' >plain/graph/kind.edges.tsv
printf 'Action|0\nDrama|1\n' >plain/u.genre
for i in "${numbers[@]}"; do printf '%d|Film|||0|%d\n' "$i" $((i % 2)); done >plain/u.item

ages=(old 'very new' '' old 'very new' '')
printf 'item_id:token\ttitle:token_seq\tage:token\tprice:float\n' >shop/shop.item
for i in "${numbers[@]}"; do printf '%d\tFilm %d\t%s\t1.5\n' "$i" "$i" "${ages[i - 1]}"; done >>shop/shop.item
printf 'item_id:token\tentity_id:token\n1\tm.one\n2\tm.two\n3\tm.three\n99\tm.other\n' >shop/shop.link
# Items may be tails, too; triples of other relations and of entities that are no items are there.
printf 'head_id:token\trelation_id:token\ttail_id:token\n' >shop/shop.kg
printf '%s\t%s\t%s\n' m.one kind m.a m.one made m.b m.two kind m.a m.b kind m.two m.three kind m.b m.b kind m.three \
  m.x kind m.y >>shop/shop.kg
# The same as a column of words.
printf 'item_id:token,kind:token_seq,age:token\n' >column/any.item
kinds=('m.a' 'm.a m.b' 'm.b m.b' '' '' '')
for i in "${numbers[@]}"; do printf '%d,"%s","%s"\n' "$i" "${kinds[i - 1]}" "${ages[i - 1]}"; done >>column/any.item

awk 'BEGIN { for (u = 1; u <= 4; u++) for (i = 1; i <= 4; i++) printf "%d\t%d\t%d\t%d\n", 10 + u, (u + i) % 6 + 1, 3 + (u * i) % 3, 1000 * i + u }' >u1.base
awk 'BEGIN { for (u = 1; u <= 4; u++) printf "%d\t%d\t5\t9000\n", 10 + u, (u + 5) % 6 + 1 }' >u1.test
for folder in plain shop column; do cp u1.base u1.test $folder; done
cat >hybrid.yaml <<'END'
model: hybrid
views: graph
hidden_size: 8
num_attention_heads: 2
predictor_hidden: [8, 4]
num_time_buckets: 8
relations: [kind]
max_history: 3
batch_size: 4
epochs: 2
END
train=("$MOIRE" train hybrid.yaml --threads 2)

# losses RUN: the losses of its epochs.
losses() {
  grep -o '"train_loss":[0-9.]*' "$1/metrics.jsonl"
}
for folder in plain shop column; do
  "${train[@]}" --data $folder --out $folder.run >/dev/null 2>$folder.log || complain "$folder: $(cat $folder.log)"
  cmp -s <(losses plain.run) <(losses $folder.run) || complain "$folder: $(losses $folder.run), not $(losses plain.run)"
done
grep -q 'shop.link: 1 links of items that are not there are left out' shop.log || complain "links: $(cat shop.log)"
grep -q 'shop.kg: 1 of 6 triples touch no item and are left out' shop.log || complain "triples: $(cat shop.log)"
mkdir packed
for file in shop/*; do if [[ $file == *.u1* ]]; then cp "$file" packed; else gzip -c "$file" >packed/"${file##*/}".gz; fi; done
cp u1.base u1.test packed
"${train[@]}" --data packed --out packed.run >/dev/null 2>log.txt || complain "gzip: $(cat log.txt)"
cmp -s <(losses shop.run) <(losses packed.run) || complain 'gzip changes the training'

# ---- ids of any text: users, items and nodes --------------------------------------------------------------------------

mkdir -p own
sed '2,$s/^/film /' shop/shop.item | sed 's/title:token_seq/class:token_seq/' >own/own.item
sed '2,$s/^/film /' shop/shop.link >own/own.link
cp shop/shop.kg own/own.kg
awk 'BEGIN { print "user_id:token\titem_id:token\trating:float\ttimestamp:float" }
  { printf "user %s\tfilm %s\t%s.0\t%s\n", $1, $2, $3, $4 }' u1.base u1.test >own/own.inter
"${train[@]}" --data own --out own.run >/dev/null 2>log.txt || complain "own ids: $(cat log.txt)"
"${train[@]}" --data /dev/stdin --set item_data=own --out piped.run <own/own.inter >/dev/null 2>log.txt || complain "stdin: $(cat log.txt)"
"${train[@]}" --data own/own.inter --out file.run >/dev/null 2>log.txt || complain "a file: $(cat log.txt)"
for run in piped file; do cmp -s <(losses own.run) <(losses $run.run) || complain "$run: $(losses $run.run), not $(losses own.run)"; done
recommend=("$MOIRE" recommend --checkpoint own.run/best.safetensors --top 2 --json)
"${recommend[@]}" --data own >lists.txt 2>log.txt || complain "recommend: $(cat log.txt)"
grep -qE '^\{"user":"user 11","items":\["film [1-6]","film [1-6]"\]' lists.txt || complain "$(head -1 lists.txt)"
# Another order of rows is the same model: the checkpoint keeps who is which number.
mkdir turned
for file in item link kg; do
  head -1 own/own.$file >turned/own.$file
  tail -n +2 own/own.$file | tac >>turned/own.$file
done
cp own/own.inter turned
"${recommend[@]}" --data turned 2>/dev/null | sed 's/"scores".*//' | cmp -s - <(sed 's/"scores".*//' lists.txt) ||
  complain "turned: $("${recommend[@]}" --data turned 2>&1)"
"$MOIRE" eval --checkpoint own.run/best.safetensors --data turned --json >turned.json 2>/dev/null
"$MOIRE" eval --checkpoint own.run/best.safetensors --data own --json >own.json 2>/dev/null
cmp -s own.json turned.json || complain "eval: $(cat turned.json), not $(cat own.json)"
"${train[@]}" --data own --out own.run --resume --set epochs=3 >/dev/null 2>log.txt || complain "resume: $(cat log.txt)"
"${recommend[@]}" --data turned 2>/dev/null | grep -q '"film ' || complain 'a resumed run has lost its names'

# Relations are called what they are called.
rm -rf named && cp -r shop named && sed -i 's/\tkind\t/\tfilm, "kind".of=x\t/' named/shop.kg && mv named/shop.kg named/named.kg
sed 's/^relations:.*/relations: ["film, \\"kind\\".of=x"]/' hybrid.yaml >named.yaml
"$MOIRE" train named.yaml --data named --out named.run >/dev/null 2>log.txt || complain "a relation's name: $(cat log.txt)"
"$MOIRE" recommend --checkpoint named.run/best.safetensors --data named --top 2 >lists.txt 2>log.txt || complain "a relation's name: $(cat log.txt)"
(($(wc -l <lists.txt) == 4)) || complain "a relation's name: $(cat lists.txt)"

# ---- what is wrong ----------------------------------------------------------------------------------------------------

# wrong FILE SED-SCRIPT WORD...: the folder `own` with one file changed.
wrong() {
  rm -rf bad && cp -r own bad && sed -i "$2" "bad/$1"
  refused 1 "${@:3}" -- "${train[@]}" --data bad --out none
}
wrong own.kg 's/tail_id/object/' bad/own.kg:1 'tail_id'
wrong own.kg '4s/m.two/m\xe9/' bad/own.kg:4 '0xe9' 'UTF-8'
wrong own.kg '3s/\t[^\t]*$//' bad/own.kg:3 '2 fields'
wrong own.kg '3s/[^\t]*$//' bad/own.kg:3 'no tail'
wrong own.link 's/entity_id/mid/' bad/own.link:1 'entity_id'
wrong own.item 's/item_id/id/' bad/own.item:1 'item_id'
wrong own.item '3s/film 2/film 1/' bad/own.item:3 "'film 1'" twice
wrong own.item '3d' bad/own.inter 'film 2' 'none of the items'
wrong own.item '2s/^film 1//' bad/own.item:2 'no item_id'
wrong own.inter '2s/\t[0-9.]*\t/\t9\t/' bad/own.inter:2 9
refused 1 bad/own.item:1 director class age price -- \
  bash -c 'rm -rf bad && cp -r own bad && exec "$@"' bash "${train[@]}" --data bad --set relations='[director]' --out none
rm -rf bad && cp -r own bad && rm bad/own.item
refused 1 bad/own.kg "'director'" -- "${train[@]}" --data bad --set relations='[director]' --out none
cp own/own.kg bad/more.kg && mv bad/own.kg bad/other.kg
refused 1 other.kg more.kg -- "${train[@]}" --data bad --out none
# A trained model knows its nodes.
rm -rf bad && cp -r own bad && sed -i '2s/m\.a/m.new/' bad/own.kg
refused 1 bad/own.kg:2 m.new 'the model knows' -- "${recommend[@]}" --data bad
rm -rf bad && cp -r own bad && printf 'film 7\tFilm 7\told\t1\n' >>bad/own.item
refused 1 bad/own.item:8 'film 7' 'none of the 6 items' -- "${recommend[@]}" --data bad
[[ ! -e none ]] || complain 'a refused training leaves a folder'

# ---- texts of items whose ids are no numbers ---------------------------------------------------------------------------

head='{"overview":{"dtype":"F32","shape":[2,8],"data_offsets":[0,64]},"reviews":{"dtype":"F32","shape":[2,1,8],"data_offsets":[64,128]},"review_mask":{"dtype":"U8","shape":[2,1],"data_offsets":[128,130]}}'
{
  printf "\\x$(printf %02x $((${#head} & 255)))\\x$(printf %02x $((${#head} >> 8)))\0\0\0\0\0\0%s" "$head"
  for _ in {1..32}; do printf '\0\0\x80\x3e'; done
  printf '\0\x01'
} >own/text_embeddings.safetensors
both=("${train[@]}" --data own --set views=both --set review_hidden=4 --set gate_hidden=4)
refused 1 text_embeddings.safetensors movie_ids -- "${both[@]}" --out none
printf 'item_id\nfilm 2\nfilm 5\n' >own/text_ids.tsv
"${both[@]}" --out texts.run >/dev/null 2>log.txt || complain "texts: $(cat log.txt)"
printf 'item_id\nfilm 2\n' >own/text_ids.tsv
refused 1 own/text_ids.tsv '2 items' -- "${both[@]}" --out none
printf 'item_id\nfilm 2\nfilm 8\n' >own/text_ids.tsv
refused 1 own/text_ids.tsv:3 'film 8' -- "${both[@]}" --out none

# Without any features an item is its own.
rm -rf bare && cp -r own bare && rm bare/own.item
"${train[@]}" --data bare --out bare.run >/dev/null 2>log.txt || complain "bare: $(cat log.txt)"
grep -q 'bare: has no features of items' log.txt || complain "bare: $(cat log.txt)"
grep -q '^context_sizes: \[6\]' bare.run/config.yaml || complain "$(grep context_sizes bare.run/config.yaml)"
finish
