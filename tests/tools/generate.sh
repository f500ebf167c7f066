#!/bin/bash
# moire generate: the best words of a published model, several rows at once and one by one, draws by a seed, and what
# is refused; weights as they are published, in several files with an index and config.json beside them.
# shellcheck source=tests/support/tool.sh
source "$(dirname "$0")/../support/tool.sh"
need_shared checkpoints/llama_stories260k.safetensors
need_shared checkpoints/indra_tok512.safetensors
llama=$shared/checkpoints/llama_stories260k.safetensors indra=$shared/checkpoints/indra_tok512.safetensors

want='432 383 286 261 376 298 315 421 395 317 426 338'
got=$("$MOIRE" generate --checkpoint "$llama" --ids '1 403 407 261 378' --max 12 2> said.txt)
[[ $got == "$want" ]] || complain "llama goes on with $got, wanted $want"
grep -q 'first token after .* s, then .* tokens/s' said.txt || complain "no rate is told: $(cat said.txt)"

# Rows of different lengths at once are what they are alone; a long prompt is read in pieces.
long=$(seq -s ' ' 3 305)
printf '%s\n' '1' "1 403 407" "$long" > prompts.txt
"$MOIRE" generate --checkpoint "$llama" --ids 1 --ids "1 403 407" --ids "$long" --max 20 --json 2> /dev/null | jq -c .ids > together.txt
while read -r prompt; do
  "$MOIRE" generate --checkpoint "$llama" --ids "$prompt" --max 20 --json 2> /dev/null | jq -c .ids
done < prompts.txt > alone.txt
cmp together.txt alone.txt || complain 'rows depend on each other'
draw=("$MOIRE" generate --checkpoint "$llama" --batch 2 --max 12 --temperature 0.9 --seed 3)
for ((i = 1; i <= 21; i++)); do draw+=(--ids "1 $((400 + i)) $((261 + i))"); done
"${draw[@]}" > drawn.txt 2> /dev/null || complain 'groups of prompts'
in_parts drawn.txt "${draw[@]}"
need_shared data/tok512/tok512.bin
printf '%s\n' 'Once upon a time' '' 'The dog' > texts.txt
"$MOIRE" generate --checkpoint "$llama" --tokenizer "$shared/data/tok512/tok512.bin" --prompts texts.txt --max 4 --json 2> /dev/null |
  jq -r .text > texts.out
[[ $(cat texts.out) == $', there was a\n was a big,' ]] || complain "texts go on with $(cat texts.out)"
for model in "$llama" "$indra"; do
  draw=("$MOIRE" generate --checkpoint "$model" --ids '1 403' --max 20 --temperature 0.9 --top-k 20 --top-p 0.95 --repetition-penalty 1.1)
  "${draw[@]}" --seed 7 > a.txt 2> /dev/null
  "${draw[@]}" --seed 7 --threads 1 > b.txt 2> /dev/null
  "${draw[@]}" --seed 8 > c.txt 2> /dev/null
  cmp a.txt b.txt || complain "$model: one seed, two texts"
  cmp -s a.txt c.txt && complain "$model: two seeds, one text"
done
[[ $("$MOIRE" generate --checkpoint "$llama" --ids '1 403 407 261 378' --eos 286 --json 2> /dev/null | jq -c '[.ids, .ended]') == '[[432,383,286],"eos"]' ]] ||
  complain 'the end of a text does not end it'
"$MOIRE" generate --checkpoint "$indra" --ids "$(seq -s ' ' 3 127)" --max 50 --json 2> /dev/null | jq -e '.ended == "positions" and (.ids | length) == 4' > /dev/null ||
  complain 'the last position does not end it'

refused 1 'prompt 1' 'not among the 512' -- "$MOIRE" generate --checkpoint "$llama" --ids '1 512'
refused 1 'prompt 1' '128 positions' -- "$MOIRE" generate --checkpoint "$indra" --ids "$(seq -s ' ' 3 131)"
refused 1 'wanted ids' -- "$MOIRE" generate --checkpoint "$llama" --ids 'Once upon'
refused 1 empty -- "$MOIRE" generate --checkpoint "$llama" --ids ' '
refused 2 'wanted --checkpoint' -- "$MOIRE" generate --checkpoint "$llama"

# --- as published: shards by an index, a configuration beside them, a head that is not needed
cat > shard.c << 'END'
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* Splits a safetensors file of F32 tensors in two, all of "layers.<even>" in the second, without metadata. */
int main(int argc, char **argv) {
  (void)argc;
  FILE *in = fopen(argv[1], "rb");
  unsigned long long n = 0;
  if (!in || fread(&n, 8, 1, in) != 1) return 1;
  char *head = calloc(1, n + 1);
  if (fread(head, 1, n, in) != n) return 1;
  long body = ftell(in);
  FILE *out[2];
  char name[2][256], *table[2] = {calloc(1, n + 64), calloc(1, n + 64)}, *map = calloc(1, 2 * n + 64);
  unsigned long long size[2] = {0, 0};
  char *data[2] = {malloc(4000000), malloc(4000000)};
  for (char *at = strstr(head, "\"model."); at; at = strstr(at + 1, "\"model.")) {
    char tensor[256], shape[64];
    unsigned long long begin, end;
    if (sscanf(at, "\"%255[^\"]\":{\"dtype\":\"F32\",\"shape\":[%63[^]]],\"data_offsets\":[%llu,%llu]", tensor, shape, &begin, &end) != 4 &&
        sscanf(at, "\"%255[^\"]\": {\"dtype\": \"F32\", \"shape\": [%63[^]]], \"data_offsets\": [%llu, %llu]", tensor, shape, &begin, &end) != 4) return 2;
    const char *layer = strstr(tensor, "layers.");
    int k = layer && (layer[7] - '0') % 2 == 0;
    fseek(in, body + (long)begin, SEEK_SET);
    if (fread(data[k] + size[k], 1, end - begin, in) != end - begin) return 3;
    sprintf(table[k] + strlen(table[k]), "%s\"%s\":{\"dtype\":\"F32\",\"shape\":[%s],\"data_offsets\":[%llu,%llu]}", *table[k] ? "," : "{", tensor,
            shape, size[k], size[k] + end - begin);
    sprintf(map + strlen(map), "%s\"%s\":\"part%d.safetensors\"", *map ? "," : "", tensor, k);
    size[k] += end - begin;
  }
  for (int k = 0; k < 2; k++) {
    sprintf(name[k], "%s/part%d.safetensors", argv[2], k);
    out[k] = fopen(name[k], "wb");
    strcat(table[k], "}");
    unsigned long long length = strlen(table[k]);
    fwrite(&length, 8, 1, out[k]);
    fwrite(table[k], 1, length, out[k]);
    fwrite(data[k], 1, size[k], out[k]);
    fclose(out[k]);
  }
  printf("{\"metadata\":{},\"weight_map\":{%s}}\n", map);
  return 0;
}
END
gcc -O1 shard.c -o shard
mkdir published
./shard "$llama" published > published/model.safetensors.index.json || complain 'the shards were not made'
config() { # EXTRA
  cat > published/config.json << END
{"architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 512, "hidden_size": 64, "intermediate_size": 172,
 "num_hidden_layers": 5, "num_attention_heads": 8, "num_key_value_heads": 4, "max_position_embeddings": 512, "rms_norm_eps": 1e-05,
 "tie_word_embeddings": true, "torch_dtype": "float32", "use_cache": true, "bos_token_id": 1, "eos_token_id": [1, 2]$1}
END
}
config ', "hidden_act": "silu", "rope_scaling": null, "rope_parameters": {"rope_theta": 10000.0, "rope_type": "default"}'
for path in published published/model.safetensors.index.json; do
  got=$("$MOIRE" generate --checkpoint "$path" --ids '1 403 407 261 378' --max 12 2> /dev/null) || complain "$path is not read"
  [[ $got == "$want" ]] || complain "$path: $got, wanted $want"
done
generate=("$MOIRE" generate --checkpoint published --ids 1)
config ', "rope_scaling": {"rope_type": "linear", "factor": 2.0}'
refused 1 rope_scaling config.json -- "${generate[@]}"
config ', "hidden_act": "gelu"'
refused 1 hidden_act gelu -- "${generate[@]}"
config ''
rm published/part1.safetensors
refused 1 part1.safetensors index.json -- "${generate[@]}"
rm published/model.safetensors.index.json
refused 1 'neither model.safetensors' -- "${generate[@]}"
finish
