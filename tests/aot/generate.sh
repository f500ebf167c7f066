#!/bin/bash
# Libraries of language models: ids are those of `moire generate`, of models that were trained a moment ago and of a
# published one; rows in eight threads, bad arguments, the tokenizer inside, and the example.
# shellcheck source=tests/support/tool.sh
source "$(dirname "$0")/../support/tool.sh"
[[ -z ${MOIRE_SANITIZE:-} ]] || skip 'libraries are built as a user would'
flags=(-O2 -std=c99 -Wall -Wextra -Wpedantic -Werror -I.)
example=$SOURCE_DIR/docs/examples/aot/complete.c

small_tokenizer tokenizer.bin
small_texts texts.txt 200 1
"$MOIRE" tokenize texts.txt --tokenizer tokenizer.bin --length 32 -o tokens.safetensors 2>/dev/null
cat >llama.yaml <<'END'
model: llama
hidden_size: 16
intermediate_size: 24
num_hidden_layers: 2
num_attention_heads: 4
num_key_value_heads: 2
max_position_embeddings: 48
END
cat >indra.yaml <<'END'
model: indra
d_model: 16
n_layers: 2
n_heads: 2
max_positions: 48
END
for model in llama indra; do
  printf 'epochs: 3\nbatch_size: 16\nlr: 0.01\ntokenizer: tokenizer.bin\n' >>$model.yaml
  "$MOIRE" train $model.yaml --data tokens.safetensors --valid tokens.safetensors --out $model --quiet >log.txt 2>&1 ||
    complain "train: $(cat log.txt)"
done

# ids CHECKPOINT MAX TEMPERATURE SEED PROMPT...: what the command says, a line a prompt; then the library's.
same_ids() {
  local checkpoint=$1 most=$2 temperature=$3 seed=$4 prompts=()
  shift 4
  for prompt in "$@"; do prompts+=(--ids "$prompt"); done
  local draw=(--temperature "$temperature")
  draw+=(--precision "${precision:-f32}")
  [[ $temperature == 0 ]] || draw+=(--top-k 20 --top-p 0.95 --repetition-penalty 1.1 --seed "$seed")
  "$MOIRE" generate --checkpoint "$checkpoint" "${prompts[@]}" --max "$most" "${draw[@]}" --json 2>/dev/null | jq -c .ids >want.txt
  ./check ids "$most" "$temperature" "$seed" "$@" >got.txt || complain "$checkpoint: the library fails"
  cmp want.txt got.txt || complain "$checkpoint at $temperature: $(head -c 300 got.txt), wanted $(head -c 300 want.txt)"
}

for model in llama indra; do
  "$MOIRE" compile --checkpoint $model/best.safetensors --cpu host -o story 2>log.txt || complain "compile: $(cat log.txt)"
  gcc "${flags[@]}" "$SOURCE_DIR/tests/aot/generate_check.c" -o check story.a -lm -lpthread
  for most in 1 12 60; do same_ids $model/best.safetensors $most 0 1 '1 260 262 270'; done
  same_ids $model/best.safetensors 40 0 1 '1' '1 262 263 264 265' '1 270'
  for seed in 1 2; do same_ids $model/best.safetensors 20 0.9 $seed '1 262' '1 271 280'; done
  ./check threads || complain "$model: threads"
  ./check borders || complain "$model: borders"
done

# Narrow weights: the command's numbers again.
for precision in bf16 int8; do
  "$MOIRE" compile --checkpoint llama/best.safetensors --precision $precision --cpu host -o story 2>log.txt || complain "compile: $(cat log.txt)"
  gcc "${flags[@]}" "$SOURCE_DIR/tests/aot/generate_check.c" -o check story.a -lm -lpthread
  same_ids llama/best.safetensors 24 0 1 '1 260 262 270'
  same_ids llama/best.safetensors 12 0.9 1 '1 262' '1 271 280'
done
unset precision
"$MOIRE" compile --checkpoint indra/best.safetensors --cpu host -o story 2>log.txt || complain "compile: $(cat log.txt)"
gcc "${flags[@]}" "$SOURCE_DIR/tests/aot/generate_check.c" -o check story.a -lm -lpthread

# Text in and out.
printf 'the cat sat on the mat. \xff\xe2\x82\xac, Zé\n' >line.txt
./check words <line.txt >words.txt || complain 'words'
"$MOIRE" tokenize line.txt --tokenizer tokenizer.bin --length 64 -o line.safetensors 2>/dev/null
ids=$(head -1 words.txt)
[[ $(sed -n 2p words.txt) == $'the cat sat on the mat. \xef\xbf\xbd€, Zé' ]] || complain "text comes back as $(sed -n 2p words.txt)"
[[ $("$MOIRE" generate --checkpoint indra/best.safetensors --prompts line.txt --max 1 --json 2>/dev/null | jq -c '.prompt_ids' | tr -d '[]' | tr , ' ') == "$ids" ]] ||
  complain "the library reads $ids"
gcc -O2 -Wall -Wextra -Werror -I. "$example" -o complete story.a -lm
(($(wc -l <"$example") < 80)) || complain 'complete.c has 80 lines or more'
for temperature in 0 0.8; do
  want=$("$MOIRE" generate --checkpoint indra/best.safetensors --prompt 'the cat' --max 20 --temperature $temperature --top-k 40 2>/dev/null)
  got=$(./complete 'the cat' 20 $temperature) || complain 'complete failed'
  [[ $got == "$want" ]] || complain "complete writes '$got', the command '$want'"
done

# The header, the names, and what it stands on.
strict=(-Wall -Wextra -Wpedantic -Werror -fsyntax-only -include story.h -x)
echo 'int main(void) { return STORY_WORDS != 321; }' >main.c
for std in c89 c99 c11; do gcc -std=$std "${strict[@]}" c main.c || complain "the header is not $std"; done
if command -v g++ >/dev/null; then
  for std in c++98 c++11; do g++ -std=$std "${strict[@]}" c++ main.c || complain "the header is not $std"; done
fi
nm -D --defined-only story.so | awk '$3 !~ /^story_/ { print; bad = 1 } END { exit bad }' || complain 'the names of story.so'
nm -g --defined-only story.a | awk 'NF == 3 && $3 !~ /^story_/ { print; bad = 1 } END { exit bad }' || complain 'the names of story.a'
ldd story.so | grep -vE 'linux-vdso|ld-linux|libc\.so|libm\.so|statically' && complain 'ldd names more than libc and libm'

# Weights in a file; no tokenizer; and what is refused.
"$MOIRE" compile --checkpoint llama/best.safetensors --weights external --cpu host -o story || complain 'external weights'
grep -q story_open story.h || complain 'weights in a file cannot be opened'
head -c -9 tokenizer.bin >short.bin
refused 1 short.bin '320 pieces' -- "$MOIRE" compile --checkpoint llama/best.safetensors --tokenizer short.bin -o bad
refused 1 llama -- "$MOIRE" compile llama.yaml --set data=tokens.safetensors --train -o bad
small_data data.txt
small_config qia.yaml
refused 1 --tokenizer 'reads no text' -- "$MOIRE" compile qia.yaml --train --set item_size=30 --tokenizer tokenizer.bin -o bad

llama=$shared/checkpoints/llama_stories260k.safetensors
if [[ -r $llama ]]; then
  "$MOIRE" compile --checkpoint "$llama" --cpu host -o story 2>log.txt || complain "compile: $(cat log.txt)"
  grep -q story_encode_text story.h && complain 'there is a tokenizer where none was given'
  sed '/^static void print_words/,/^}/d; s/print_words()/fail("")/' "$SOURCE_DIR/tests/aot/generate_check.c" >check.c
  gcc "${flags[@]}" check.c -o check story.a -lm -lpthread
  same_ids "$llama" 100 0 1 '1 403 407 261 378' '1'
  same_ids "$llama" 100 0.8 3 '1 403 407 261 378'
fi
finish
