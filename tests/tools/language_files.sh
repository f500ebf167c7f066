#!/bin/bash
# Files of language models, made here: what is wrong with them is said in a sentence; weights as they are published, in BF16
# and in several files, are read.
# shellcheck source=tests/support/tool.sh
source "$(dirname "$0")/../support/tool.sh"

small_tokenizer tokenizer.bin
head -c -9 tokenizer.bin >other.bin # without the last word
small_texts texts.txt 60 1
small_texts fewer.txt 40 2
tokenize() { # TEXT TOKENIZER LENGTH OUT
  "$MOIRE" tokenize "$1" --tokenizer "$2" --length "$3" -o "$4" 2>/dev/null || complain "tokenize $1"
}
tokenize texts.txt tokenizer.bin 24 tokens.safetensors
tokenize fewer.txt tokenizer.bin 24 fewer.safetensors
tokenize texts.txt tokenizer.bin 20 shorter.safetensors
tokenize texts.txt other.bin 24 other.safetensors
cat >small.yaml <<'END'
model: llama
hidden_size: 16
intermediate_size: 24
num_hidden_layers: 2
num_attention_heads: 2
max_position_embeddings: 32
epochs: 1
batch_size: 16
lr: 0.01
tokenizer: tokenizer.bin
END
"$MOIRE" train small.yaml --data tokens.safetensors --out run --quiet >log.txt 2>&1 || complain "train: $(cat log.txt)"
checkpoint=run/best.safetensors

# patch FILE TENSOR OFFSET BYTES OUT: a copy of the file with other bytes in a tensor.
patch() {
  local head begin
  head=$(od -An -N8 -tu8 "$1" | tr -d ' ')
  begin=$(head -c "$((8 + head))" "$1" | grep -aoE "\"$2\":\\{[^}]*\"data_offsets\":\\[[0-9]+" | grep -oE '[0-9]+$')
  cp "$1" "$5"
  printf "$4" | dd of="$5" bs=1 seek="$((8 + head + begin + $3))" conv=notrunc status=none
}

train=("$MOIRE" train small.yaml --out bad --quiet)
evaluate=("$MOIRE" eval --checkpoint "$checkpoint" --data)
patch tokens.safetensors input_ids 2 '\x60\xea' past.safetensors
patch tokens.safetensors lengths 0 '\x19\x00\x00\x00' long.safetensors
patch tokens.safetensors lengths 0 '\xff\xff\xff\xff' negative.safetensors
for file in past long negative; do
  refused 1 $file.safetensors -- "${train[@]}" --data $file.safetensors
  refused 1 $file.safetensors -- "${evaluate[@]}" $file.safetensors
done
refused 1 past.safetensors '60000' '321' -- "${evaluate[@]}" past.safetensors
refused 1 long.safetensors "length 25" -- "${evaluate[@]}" long.safetensors
refused 1 other.safetensors '320' -- "${evaluate[@]}" other.safetensors
refused 1 tokenizer -- "${train[@]}" --data other.safetensors
sed 's/ cat/ bat/' tokenizer.bin >renamed.bin # as many words, but others
tokenize texts.txt renamed.bin 24 renamed.safetensors
refused 1 renamed.safetensors tokenizer -- "${train[@]}" --data tokens.safetensors --valid renamed.safetensors
head -c 300 tokens.safetensors >cut.safetensors
refused 1 cut.safetensors -- "${evaluate[@]}" cut.safetensors

# Teachers of other rows, or of others' length.
"$MOIRE" teach --checkpoint "$checkpoint" --data tokens.safetensors --top 4 -o teacher.safetensors 2>/dev/null || complain teach
"$MOIRE" train small.yaml --data tokens.safetensors --out taught --quiet --set teacher=teacher.safetensors >/dev/null || complain 'a teacher'
refused 1 teacher.safetensors rows -- "${train[@]}" --data fewer.safetensors --set teacher=teacher.safetensors
refused 1 teacher.safetensors -- "${train[@]}" --data shorter.safetensors --set teacher=teacher.safetensors
refused 1 absent.safetensors -- "${train[@]}" --data tokens.safetensors --set teacher=absent.safetensors

# Prompts.
generate=("$MOIRE" generate --checkpoint "$checkpoint")
refused 1 'prompt 1' '32 positions' -- "${generate[@]}" --ids "$(seq -s ' ' 3 40)"
refused 1 'prompt 1' 'not among the 321' -- "${generate[@]}" --ids '1 321'
refused 1 other.bin '320 pieces' -- "${generate[@]}" --tokenizer other.bin --prompt 'the cat'
printf 'caf\xe9 \xf0\x9f\n' >bytes.txt
"${generate[@]}" --prompts bytes.txt --max 1 --json 2>/dev/null | jq -e '.prompt_ids | length == 14' >/dev/null ||
  complain 'bytes that are no UTF-8 are not U+FFFD each'

# Tokenizers that are none.
printf '\x0a\x7fnot a protobuf' >protobuf.bin
head -c 100 tokenizer.bin >cut.bin
for file in protobuf.bin cut.bin texts.txt /dev/null; do
  refused 1 "$file" -- "$MOIRE" tokenize texts.txt --tokenizer "$file" -o bad.safetensors
done

# Narrow weights change measures little, and training by them is refused.
measure() { "$MOIRE" eval --checkpoint "$checkpoint" --data tokens.safetensors --precision "$1" --json 2>/dev/null | jq .ce; }
full=$(measure f32)
for precision in bf16 int8; do
  jq -en "$(measure $precision) / $full - 1 | fabs < 0.01" >/dev/null || complain "$precision: ce $(measure $precision), f32 $full"
  [[ $(measure $precision) != "$full" ]] || complain "$precision changes nothing"
done
refused 1 int8 -- "${train[@]}" --data tokens.safetensors --set precision=int8

# --- as published: BF16, in two files with an index, and what they hold as float32
cat >publish.c <<'END'
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* publish CHECKPOINT FOLDER: its F32 tensors in BF16, which is cut off, in two files with an index; and in F32 with the same
 * numbers, in FOLDER/whole.safetensors. */
static char *grow(char *text, const char *more) {
  text = realloc(text, strlen(text) + strlen(more) + 1);
  return strcat(text, more);
}
int main(int argc, char **argv) {
  FILE *in = fopen(argv[1], "rb");
  unsigned long long n = 0, size[3] = {0, 0, 0};
  if (argc < 3 || !in || fread(&n, 8, 1, in) != 1) return 1;
  char *head = calloc(1, n + 1), *table[3], *data[3], *map = strdup(""), line[1024], name[256];
  if (fread(head, 1, n, in) != n) return 1;
  long body = ftell(in);
  for (int k = 0; k < 3; k++) {
    table[k] = strdup("");
    data[k] = malloc(1 << 20);
  }
  for (char *at = strstr(head, "\"dtype\":\"F32\""); at; at = strstr(at + 1, "\"dtype\":\"F32\"")) {
    char *begin = at - 4, shape[64];
    unsigned long long from, to;
    while (*begin != '"') begin--;
    if (sscanf(begin, "\"%255[^\"]\"", name) != 1) return 2;
    if (sscanf(at, "\"dtype\":\"F32\",\"shape\":[%63[^]]],\"data_offsets\":[%llu,%llu]", shape, &from, &to) != 3) return 3;
    int k = strstr(name, "layers.1") != NULL;
    fseek(in, body + (long)from, SEEK_SET);
    unsigned long long start[2] = {size[k], size[2]};
    for (unsigned long long i = from; i < to; i += 4) {
      unsigned char x[4];
      if (fread(x, 1, 4, in) != 4) return 4;
      memcpy(data[k] + size[k], x + 2, 2);
      x[0] = x[1] = 0;
      memcpy(data[2] + size[2], x, 4);
      size[k] += 2;
      size[2] += 4;
    }
    snprintf(line, sizeof line, "%s\"%s\":{\"dtype\":\"BF16\",\"shape\":[%s],\"data_offsets\":[%llu,%llu]}", *table[k] ? "," : "{", name, shape,
             start[0], size[k]);
    table[k] = grow(table[k], line);
    snprintf(line, sizeof line, "%s\"%s\":{\"dtype\":\"F32\",\"shape\":[%s],\"data_offsets\":[%llu,%llu]}", *table[2] ? "," : "{", name, shape,
             start[1], size[2]);
    table[2] = grow(table[2], line);
    snprintf(line, sizeof line, "%s\"%s\":\"part%d.safetensors\"", *map ? "," : "", name, k);
    map = grow(map, line);
  }
  for (int k = 0; k < 3; k++) {
    table[k] = grow(table[k], "}");
    snprintf(line, sizeof line, k < 2 ? "%s/part%d.safetensors" : "%s/whole.safetensors", argv[2], k);
    FILE *out = fopen(line, "wb");
    unsigned long long length = strlen(table[k]);
    fwrite(&length, 8, 1, out);
    fwrite(table[k], 1, length, out);
    fwrite(data[k], 1, size[k], out);
    fclose(out);
  }
  printf("{\"metadata\":{},\"weight_map\":{%s}}\n", map);
  return 0;
}
END
gcc -O1 publish.c -o publish
mkdir published whole
./publish "$checkpoint" published >published/model.safetensors.index.json || complain 'the shards were not made'
mv published/whole.safetensors whole/model.safetensors
for folder in published whole; do
  cat >$folder/config.json <<'END'
{"architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 321, "hidden_size": 16, "intermediate_size": 24,
 "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 2, "max_position_embeddings": 32, "rms_norm_eps": 1e-06,
 "hidden_act": "silu", "torch_dtype": "bfloat16"}
END
  "$MOIRE" generate --checkpoint $folder --ids '1 262 263' --max 20 --json >$folder.txt 2>/dev/null || complain "$folder is not read"
  "$MOIRE" eval --checkpoint $folder --data tokens.safetensors --json >>$folder.txt 2>/dev/null || complain "$folder is not measured"
done
cmp published.txt whole.txt || complain 'weights in BF16 are not the numbers that they hold'
mv published/part1.safetensors hidden
refused 1 part1.safetensors index.json -- "$MOIRE" generate --checkpoint published --ids 1
head -c 1000 hidden >published/part1.safetensors
refused 1 part1.safetensors -- "$MOIRE" generate --checkpoint published --ids 1
mv hidden published/part1.safetensors
sed -i 's/part1/part9/' published/model.safetensors.index.json
refused 1 part9.safetensors -- "$MOIRE" generate --checkpoint published --ids 1
echo '{"weight_map": 3}' >published/model.safetensors.index.json
refused 1 index.json -- "$MOIRE" generate --checkpoint published --ids 1
finish
