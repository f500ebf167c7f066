#!/bin/bash
# Token files of texts: the rows of the published ones, ids as Debian's spm_encode gives them (where the package
# sentencepiece is installed), and bad input.
# shellcheck source=tests/support/tool.sh
source "$SOURCE_DIR/tests/support/tool.sh"
need_shared data/llama_tokenizer/tokenizer.model data/indra_mixed/valid.safetensors data/wikitext-2/test.txt \
  data/tok512/tok512.bin
data=$shared/data
model=$data/llama_tokenizer/tokenizer.model

# found FILE: where the ids of a file begin, from 1, and how many bytes they are.
found() {
  local head range
  head=$(od -An -N8 -tu8 "$1" | tr -d ' ')
  range=$(head -c "$((8 + head))" "$1" | grep -aoE '"input_ids":\{[^}]*"data_offsets":\[[0-9]+,[0-9]+' | grep -oE '[0-9]+,[0-9]+$')
  echo "$((9 + head + ${range%,*})) $((${range#*,} - ${range%,*}))"
}

# rows FILE N: the ids of the first N rows of 128, as bytes.
rows() {
  local at
  read -r at _ < <(found "$1")
  tail -c "+$at" "$1" | head -c "$((256 * $2))"
}

# ids FILE WIDTH: the ids of rows of a file, a line each, without the padding.
ids() {
  local at n
  read -r at n < <(found "$1")
  tail -c "+$at" "$1" | head -c "$n" | od -An -v -w"$((2 * $2))" -tu2 | sed -E 's/ +/ /g; s/^ //; s/( 0)*$//'
}

"$MOIRE" tokenize "wikitext:$data/wikitext-2/test.txt" --tokenizer "$model" -o wiki.safetensors 2>said.txt
grep -q '^2185 texts, 3746 rows' said.txt || complain "it says $(cat said.txt)"
cmp <(rows wiki.safetensors 3746) <(rows "$data/indra_mixed/valid.safetensors" 3746) ||
  complain 'rows of WikiText differ from those that are published'

# Records are cut off, in the order of the list; EOS where the text ends inside.
cat >records.json <<'END'
[{"instruction": "Add.", "input": "1 + 1", "output": "2"}, {"instruction": "Say nothing.", "input": "", "output": ""}]
END
printf '### Instruction:\nAdd.\n\n### Input:\n1 + 1\n\n### Response:\n2' >first.txt
printf '### Instruction:\nSay nothing.\n\n### Response:\n' >second.txt
"$MOIRE" tokenize records.json --tokenizer "$model" -o records.safetensors 2>/dev/null
"$MOIRE" tokenize text:first.txt text:second.txt --tokenizer "$model" -o texts.safetensors 2>/dev/null
[[ $(ids records.safetensors 128) == "$(ids texts.safetensors 128)" ]] || complain 'records are not their texts'
"$MOIRE" tokenize records.json --length 9 --tokenizer "$model" -o cut.safetensors 2>/dev/null
[[ $(ids cut.safetensors 9 | wc -l) == 2 ]] || complain 'a record was divided'
echo 'Once upon a time' >story.txt
"$MOIRE" tokenize story.txt --tokenizer "$data/tok512/tok512.bin" -o story.safetensors 2>/dev/null
[[ $(ids story.safetensors 128) == '1 403 407 261 378 2' ]] || complain "a story is $(ids story.safetensors 128)"
"$MOIRE" tokenize story.txt records.json --shuffle 3 --tokenizer "$model" -o a.safetensors 2>/dev/null
"$MOIRE" tokenize story.txt records.json --shuffle 3 --tokenizer "$model" -o b.safetensors 2>/dev/null
cmp a.safetensors b.safetensors || complain 'the same seed gives another order'

refused 1 nothing.txt 'No such file' -- "$MOIRE" tokenize nothing.txt --tokenizer "$model" -o x.safetensors
refused 1 story.txt 'no tokenizer' -- "$MOIRE" tokenize story.txt --tokenizer story.txt -o x.safetensors
refused 1 'no JSON' story.txt:1 -- "$MOIRE" tokenize alpaca:story.txt --tokenizer "$model" -o x.safetensors
echo '[{"instruction": "a", "output": 3}]' >bad.json
refused 1 'record 0' 'a string output' -- "$MOIRE" tokenize bad.json --tokenizer "$model" -o x.safetensors
: >empty.txt
refused 1 'no text' empty.txt -- "$MOIRE" tokenize empty.txt --tokenizer "$model" -o x.safetensors
refused 2 --tokenizer -- "$MOIRE" tokenize story.txt -o x.safetensors
[[ ! -e x.safetensors ]] || complain 'a refusal left a file'

if command -v spm_encode >/dev/null; then
  {
    grep -hv '^ *$' "$data/wikitext-2/test.txt" "$data/wikitext-2/valid.txt" | head -4000
    head -c 2000000 "$data/alpaca/alpaca_data.json" | tr -d '\r' | grep -v '^ *$' | head -4000
    # Bytes in any order: most are no UTF-8.
    head -c 300000 "$model" | tr -d '\0\r' | LC_ALL=C sed -E 's/(.{60})/\1\n/g' | LC_ALL=C grep -av '^ *$' | head -1000
  } >lines.txt
  "$MOIRE" tokenize lines.txt --length 4096 --tokenizer "$model" -o lines.safetensors 2>/dev/null
  spm_encode --model="$model" --output_format=id --extra_options=bos:eos <lines.txt >wanted.txt
  ids lines.safetensors 4096 | cmp - wanted.txt || complain 'ids differ from those of spm_encode'
  [[ $(wc -l <wanted.txt) -ge 8000 ]] || complain 'fewer lines than there should be'
else
  echo 'spm_encode is not installed: not compared with it'
fi
finish
