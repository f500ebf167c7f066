#!/bin/bash
# docs/language_models.md, followed to the letter on a small model: from texts to one that is trained, distilled and compiled,
# and writes. The page's commands are run as they stand there; configs/indra.yaml is a smaller one here.
# shellcheck source=tests/support/tool.sh
source "$(dirname "$0")/../support/tool.sh"
[[ -z ${MOIRE_SANITIZE:-} ]] || skip 'libraries are built as a user would'
mkdir bin configs
ln -s "$MOIRE" bin/moire
cp "$SOURCE_DIR/docs/examples/aot/complete.c" .
small_tokenizer tokenizer.model
small_texts text.txt 120 1
small_texts held_out.txt 20 2
# One of few words and layers, as the page's is of many.
sed -E 's/^d_model:.*/d_model: 32/; s/^n_layers:.*/n_layers: 1/; s/^epochs:.*/epochs: 3/; s/^batch_size:.*/batch_size: 8/; s/^lr:.*/lr: 0.003/' \
  "$SOURCE_DIR/configs/indra.yaml" >configs/indra.yaml

awk '/^```sh/ { name = sprintf("block.%02d.sh", ++n); next } /^```/ { name = ""; next } name { print > name }' \
  "$SOURCE_DIR/docs/language_models.md"
[[ $(find . -name 'block.*.sh' | wc -l) == 3 ]] || complain 'the page has another number of blocks'
for block in block.*.sh; do
  PATH=$PWD/bin:$PATH bash -e "$block" >"$block.out" 2>&1 || complain "$block: $(tail -c 1000 "$block.out")"
done
grep -q perplexity block.01.sh.out || complain 'nothing is measured'
grep -q teacher_kl block.02.sh.out || complain 'the teacher is not compared'
for file in run/loss.svg taught/ce_kd.svg logits.safetensors story.so; do [[ -s $file ]] || complain "$file is not there"; done
# What the library writes is what the command writes.
want=$("$MOIRE" generate --checkpoint run/best.safetensors --prompt 'the cat' --max 30 2>/dev/null)
[[ -n $want && $(./complete 'the cat' 30) == "$want" ]] || complain "the library writes '$(./complete 'the cat' 30)', the command '$want'"
finish
