#!/bin/bash
# Parts of a result that are computed apart: joined they are what one run writes, byte by byte; and what is no complete
# set of parts of one call is told in a sentence.
# shellcheck source=tests/support/tool.sh
source "$(dirname "$0")/../support/tool.sh"
small_data data.txt
small_config config.yaml
"$MOIRE" train config.yaml --data data.txt --out run >/dev/null 2>log.txt || complain "$(cat log.txt)"
"$MOIRE" train config.yaml --data data.txt --out other --set seed=8 >/dev/null 2>log.txt || complain "$(cat log.txt)"
model=(--checkpoint run/best.safetensors --data data.txt)

# --- lists and measures
for form in "" --json; do
  "$MOIRE" recommend "${model[@]}" --top 7 $form >lists.txt || complain 'recommend'
  in_parts lists.txt "$MOIRE" recommend "${model[@]}" --top 7 $form
  "$MOIRE" eval "${model[@]}" $form >measures.txt || complain 'eval'
  in_parts measures.txt "$MOIRE" eval "${model[@]}" $form
done
"$MOIRE" recommend "${model[@]}" --top 7 --users 11 -o first.txt || complain 'recommend -o'
in_parts first.txt "$MOIRE" recommend "${model[@]}" --top 7 --users 11
cmp <(head -11 <("$MOIRE" recommend "${model[@]}" --top 7)) first.txt || complain 'the first users'
"$MOIRE" eval "${model[@]}" --split valid --ranks ranks.txt >valid.txt || complain 'eval --ranks'
for i in 1 2; do "$MOIRE" eval "${model[@]}" --split valid --part $i/2 -o v || complain 'eval --part'; done
"$MOIRE" merge v.*-of-2 --samples samples.txt | cmp valid.txt - || complain 'merge to stdout'
cmp ranks.txt samples.txt || complain 'merge --samples'

# --- what is no set of parts
lists=("$MOIRE" recommend "${model[@]}" --top 3)
"${lists[@]}" -o whole || complain 'whole'
for i in 1 2 3; do "${lists[@]}" --part $i/3 -o p || complain "part $i"; done
jq -e '.format == "moire-part/1" and .part == 2 and .parts == 3 and .rows == 20 and .of == 60 and .unit == "user"' p.2-of-3.json >/dev/null ||
  complain "the manifest: $(cat p.2-of-3.json)"
refused 1 'part 2 of 3 is missing' -- "$MOIRE" merge p.1-of-3 p.3-of-3 -o out
refused 1 'parts 1, 3 of 3 are missing' -- "$MOIRE" merge p.2-of-3 -o out
mkdir again
"${lists[@]}" --part 2/3 -o again/p || complain 'a part again'
refused 1 'part 2 of 3 comes twice' again/p.2-of-3 -- "$MOIRE" merge p.*-of-3 again/p.2-of-3 -o out
"$MOIRE" merge p.1-of-3 again/p.2-of-3.json p.3-of-3 p.3-of-3.json -o out || complain 'manifests stand for their parts'
cmp whole out || complain 'with another copy'
rm out
head -c 100 again/p.2-of-3 >p.cut
cp p.cut again/p.2-of-3
refused 1 again/p.2-of-3 '100 bytes' 'half written' -- "$MOIRE" merge p.1-of-3 again/p.2-of-3 p.3-of-3 -o out
tr 1 2 <p.2-of-3 >again/p.2-of-3
refused 1 again/p.2-of-3 checksum -- "$MOIRE" merge p.1-of-3 again/p.2-of-3 p.3-of-3 -o out
rm again/p.2-of-3.json
refused 1 again/p.2-of-3 'no manifest' -- "$MOIRE" merge p.1-of-3 again/p.2-of-3 p.3-of-3 -o out
echo '{"format": "moire-part/1"' >again/p.2-of-3.json
refused 1 again/p.2-of-3.json 'no manifest of a part' -- "$MOIRE" merge p.1-of-3 again/p.2-of-3 p.3-of-3 -o out
"$MOIRE" recommend --checkpoint other/best.safetensors --data data.txt --top 3 --part 2/3 -o again/p || complain 'another model'
refused 1 again/p.2-of-3 'of another model' -- "$MOIRE" merge p.1-of-3 again/p.2-of-3 p.3-of-3 -o out
"$MOIRE" recommend "${model[@]}" --top 4 --part 2/3 -o again/p || complain 'another call'
refused 1 again/p.2-of-3 'of another call' top=4 -- "$MOIRE" merge p.1-of-3 again/p.2-of-3 p.3-of-3 -o out
"$MOIRE" eval "${model[@]}" --part 2/3 -o again/p || complain 'another verb'
refused 1 again/p.2-of-3 'of another verb' -- "$MOIRE" merge p.1-of-3 again/p.2-of-3 p.3-of-3 -o out
head -59 data.txt >fewer.txt
"$MOIRE" recommend --checkpoint run/best.safetensors --data fewer.txt --top 3 --part 2/3 -o again/p || complain 'other data'
refused 1 again/p.2-of-3 'of another data' -- "$MOIRE" merge p.1-of-3 again/p.2-of-3 p.3-of-3 -o out
"${lists[@]}" --part 2/4 -o again/p || complain 'another count'
refused 1 'one of 4 parts' -- "$MOIRE" merge p.1-of-3 again/p.2-of-4 p.3-of-3 -o out
sed -i 's/"program": "/&9/' p.3-of-3.json
refused 1 'version or processor' mixed -- "$MOIRE" merge p.*-of-3 -o out
[[ ! -e out ]] || complain 'a file was made of what was refused'
"$MOIRE" merge p.*-of-3 -o out --mixed || complain '--mixed'
cmp whole out || complain '--mixed, other bytes'
refused 1 --samples -- "$MOIRE" merge p.*-of-3 --mixed --samples x -o out
# A run that fails leaves neither part nor manifest, and one that was killed leaves what no merge takes.
refused 1 -- "$MOIRE" recommend --checkpoint run/best.safetensors --data none.txt --part 1/2 -o q
[[ -z $(ls q.* 2>/dev/null) ]] || complain 'a failure left a part'
refused 1 'no file' -- "$MOIRE" recommend --checkpoint run/best.safetensors --data <(cat data.txt) --part 1/2 -o q
for part in 0/3 4/3 1/0 1 x/3 1/3x; do refused 2 --part -- "${lists[@]}" --part $part -o q; done
refused 2 --part '-o FILE' -- "${lists[@]}" --part 1/3
refused 2 --part --samples -- "$MOIRE" eval "${model[@]}" --part 1/3 -o q --ranks r
finish
