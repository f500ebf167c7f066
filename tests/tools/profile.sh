#!/bin/bash
# moire profile: tables, the document and its sums, lines of the model, and what is refused.
# shellcheck source=tests/support/tool.sh
source "$SOURCE_DIR/tests/support/tool.sh"
export XDG_CACHE_HOME=$work/cache

small_data data.txt
small_config config.yaml
"$MOIRE" profile config.yaml --data data.txt --steps 5 -o out/a --all >table.txt 2>log.txt || complain "$(cat log.txt)"
for word in 'qia, training: 5 steps' 'complex_linear backward' 'q_proj: complex_linear' 'adam optimizer' 'of roofline' \
  'line of the model' 'operation' 'models/qia.c:'; do
  grep -qF -- "$word" table.txt || complain "no \"$word\" in the table"
done
[[ -s out/a/profile.json ]] || complain 'no profile was written'
for member in '"format": "moire-profile"' '"flop"' '"roofline"' '"apart"' '"assembly"' '"spans"' '"machine"'; do
  grep -qF -- "$member" out/a/profile.json || complain "no $member in the profile"
done

# Every line of the model that calls the language appears, forward; those of layers backward, too.
while IFS=: read -r line _; do
  grep -qE "models/qia\.c:$line\$" table.txt || complain "line $line of models/qia.c is not in the table"
done < <(grep -nE 'moire_(parameter|complex|linear|filter_bank|reshape|permute|attention|dropout|gelu|add|sqrt|less)\(' \
  "$SOURCE_DIR/models/qia.c")
for call in 'moire_linear(x, moire_complex' 'moire_attention(q, k, v' 'moire_sqrt(moire_add' 'moire_filter_bank(x'; do
  line=$(grep -nF "$call" "$SOURCE_DIR/models/qia.c" | cut -d: -f1 | head -n 1)
  awk -v want="$line" '{ gsub(/[",]/, "") } $1 == "file:" { file = $2 } $1 == "line:" { line = $2 }
    $1 == "forward_ns:" && $2 > 0 { forward[file ":" line] } $1 == "backward_ns:" && $2 > 0 { backward[file ":" line] }
    END { at = "models/qia.c:" want; exit !(at in forward && at in backward) }' out/a/profile.json ||
    complain "line $line takes no time forward or backward"
done

# Shares of a kernel's lines add up to 1, and kernels to nearly all of the steps.
"$MOIRE" profile config.yaml --data data.txt --infer --steps 3 --threads 1 --json >infer.json 2>log.txt ||
  complain "$(cat log.txt)"
awk '/"share":/ && inside { gsub(/[",]/, ""); sum += $2 }
  /^   "lines": \[/ { inside = 1; sum = 0; next }
  /^   \]/ && inside { inside = 0; n++; if (sum < 0.999 || sum > 1.001) bad++ }
  END { exit !(n > 5 && !bad) }' infer.json || complain 'the shares of some kernel do not add up to 1'
grep -qF '"mode": "inference"' infer.json || complain 'it is no inference'
grep -q backward <(grep '"direction"' infer.json) && complain 'inference has a backward pass'

# A profile of a checkpoint, and a profile that is shown again.
"$MOIRE" train config.yaml --data data.txt --out run --set epochs=1 >/dev/null 2>&1
"$MOIRE" profile --checkpoint run/best.safetensors --data data.txt --infer --steps 2 >again.txt 2>log.txt ||
  complain "$(cat log.txt)"
grep -qF 'qia, inference: 2 steps' again.txt || complain "of a checkpoint: $(head -n 1 again.txt)"

"$MOIRE" profile out/a/profile.json >shown.txt || complain 'a profile is not shown again'
[[ $(head -n 1 shown.txt) == $(head -n 1 table.txt) ]] || complain 'it is shown as another'

# A window of a training; the result of the training is that without it.
"$MOIRE" train config.yaml --data data.txt --out run2 --set epochs=1 --profile out/t --profile-steps 1:2 \
  >/dev/null 2>log.txt || complain "$(cat log.txt)"
cmp run/best.safetensors run2/best.safetensors || complain 'with a profile the training gives something else'
[[ $("$MOIRE" profile out/t/profile.json | head -n 1) == 'qia, training: 2 steps'* ]] || complain 'the window is not 2 steps'
refused 1 'ended before step 1000' -- "$MOIRE" train config.yaml --data data.txt --out run3 --set epochs=1 \
  --profile out/u --profile-steps 1000:5
refused 2 '--profile-steps' -- "$MOIRE" train config.yaml --data data.txt --profile out/u --profile-steps 5

# A profile differs from itself by nothing, and from one whose times are doubled in every kernel that takes long.
"$MOIRE" profile --compare out/a/profile.json out/a/profile.json >same.txt || complain 'no comparison with itself'
grep -qE '^([0-9]+) of \1 kernels differ by no more than noise' same.txt || complain "$(tail -n 1 same.txt)"
mkdir b
awk '/"(median|min)_ns":/ { n = $2 + 0; sub(/[0-9]+/, 2 * n + 5000) } { print }' out/a/profile.json >b/profile.json
"$MOIRE" profile --compare out/a/profile.json b/profile.json >slower.txt || complain 'no comparison'
grep -qE ' slower +layers.0.attn: complex_attention' slower.txt || complain "$(head -n 5 slower.txt)"
"$MOIRE" profile --compare b/profile.json out/a/profile.json --json >faster.json || complain 'no comparison as JSON'
grep -q '"faster"' faster.json || complain 'nothing is faster'
grep -q '"slower"' faster.json && complain 'something is slower'

# What is no profile, or another version's.
echo '{"format": "something"}' >other.json
sed 's/"version": 1,/"version": 99,/' out/a/profile.json >new.json
head -c 5000 out/a/profile.json >cut.json
echo '{"format": "moire-profile", "version": 1}' >empty.json
refused 1 'is no profile' -- "$MOIRE" profile --compare out/a/profile.json other.json
refused 1 'version 99' -- "$MOIRE" profile new.json
refused 1 'cut.json' 'JSON' -- "$MOIRE" profile cut.json
refused 1 'without kernels' -- "$MOIRE" profile empty.json
refused 1 'nowhere.json' -- "$MOIRE" profile nowhere.json
refused 2 'two profiles' -- "$MOIRE" profile --compare out/a/profile.json

refused 2 'wanted a configuration' -- "$MOIRE" profile
refused 2 '--steps' -- "$MOIRE" profile config.yaml --data data.txt --steps 0
refused 1 'names no data' -- "$MOIRE" profile config.yaml
refused 1 'nowhere.yaml' -- "$MOIRE" profile nowhere.yaml --data data.txt
mkdir closed
chmod a-w closed
if [[ ! -w closed ]]; then
  refused 1 'closed' -- "$MOIRE" profile config.yaml --data data.txt --steps 1 -o closed/sub
fi
printf 'model: qia\nhidden_size: 63\nnum_attention_heads: 4\n' >odd.yaml
refused 1 'hidden_size' -- "$MOIRE" profile odd.yaml --data data.txt
finish
