#!/bin/bash
# A folder of programs of torch.export with their results, NAME.pt2 beside NAME.safetensors of format golden/pt2/1:
# how many are equal, how many are refused with a sentence, and how many are wrong. Prints
#
#   N equal, N refused, N wrong
#
# and before it a line for each that is not equal. One that ends in any other way is wrong. Called as a test it looks
# at the programs of ../shared/pt2; MOIRE_SUITE names another folder: ../shared/reference/opinfo_suite.py writes one.
set -euo pipefail
folder=${1:-${MOIRE_SUITE:-$SOURCE_DIR/../shared/pt2}}
moire=${MOIRE:-build/release/moire}
equal=0 refused=0 wrong=0
shopt -s nullglob
programs=("$folder"/*.pt2)
if ((${#programs[@]} == 0)); then
  echo "skipped: there are no programs in $folder"
  exit 77
fi
errors=$(mktemp)
trap 'rm -f "$errors"' EXIT
for program in "${programs[@]}"; do
  golden=${program%.pt2}.safetensors
  [[ -r $golden ]] || continue # a program that is judged by another one's
  status=0
  said=$("$moire" verify --json --threads 1 --model "$program" "$golden" 2>"$errors") || status=$?
  name=${program##*/}
  if [[ $status == 0 && $said == *'"passed":true'* ]]; then
    equal=$((equal + 1))
  elif [[ $status == 1 && -z $said && $(<"$errors") == "moire verify: "* ]]; then
    refused=$((refused + 1))
    echo "refused ${name%.pt2}: $(head -n 1 "$errors" | cut -d: -f3-)"
  else
    wrong=$((wrong + 1))
    echo "wrong ${name%.pt2} (exit status $status): $said $(head -n 1 "$errors")"
  fi
done
echo "$equal equal, $refused refused, $wrong wrong"
((wrong == 0 && equal > 0))
