#!/bin/bash
# StableHLO's own test files and small models of JAX, which judge themselves: by the interpreter and as compiled code.
# None is wrong; those of Moire's types and operations are equal; the others are refused, each with a sentence.
# shellcheck source=tests/support/tool.sh
source "$SOURCE_DIR/tests/support/tool.sh"
need_shared stablehlo/MANIFEST.tsv
files=$shared/stablehlo
judge=$BUILD_DIR/tests/import/stablehlo_main

# at_least FILE "WORDS BEFORE" NUMBER: the line that begins so has at least as many equal.
at_least() {
  local there
  there=$(sed -n "s/^$2\([0-9]*\) .*equal.*/\1/p" "$1")
  ((${there:-0} >= $3)) || complain "$1: $2${there:-nothing}, wanted at least $3 equal"
}

for engine in interpreter jit; do
  "$judge" "$engine" "$files/testdata" >"$engine.txt" || complain "$engine: $(grep '^wrong' "$engine.txt")"
  "$judge" "$engine" --largest "$files/models" >"$engine.models.txt" || complain "$(grep '^wrong' "$engine.models.txt")"
  at_least "$engine.models.txt" '' 6
done
"$judge" interpreter "$files/interpret" >interpret.txt || complain "$(grep '^wrong' interpret.txt)"
at_least interpret.txt '' 100
at_least interpreter.txt 'class A, tier 0: ' 137
at_least interpreter.txt 'class A, tier 1: ' 167
at_least interpreter.txt 'class B, tier 0: ' 19
at_least interpreter.txt 'class B, tier 1: ' 17
at_least jit.txt 'class A, tier 0: ' 137
at_least jit.txt 'class A, tier 1: ' 167

# A refusal says which operation, where, and why.
while read -r line; do
  [[ $line =~ ^refused\ [^:]+:\ .{20,} ]] || complain "says too little: $line"
done < <(grep -h '^refused' interpreter.txt jit.txt)

# The function that the files call is a model: it goes wherever the name of one does.
"$MOIRE" import "$files/models/lru_scan.mlir" >said.txt 2>&1 && complain 'what compares values is imported'
grep -q 'compares values' said.txt || complain "import says: $(cat said.txt)"
sed 's/func.func public @main/func.func private @judge/; s/func.func private @model/func.func public @main/
  /check.expect/d' "$files/models/lru_scan.mlir" >lru.mlir
"$MOIRE" import lru.mlir >said.txt 2>&1 || complain "import: $(cat said.txt)"
grep -q '^input    p.B: c64\[8, 16\]$' said.txt || complain "import says: $(cat said.txt)"
grep -q '^output   output: f32\[3, 8, 16\]$' said.txt || complain "import says: $(cat said.txt)"
"$MOIRE" graph lru.mlir >said.txt || complain 'graph fails'
grep -q '"<string>":39' said.txt || complain 'the graph does not name the lines of Python'
refused 1 'nowhere.mlir' -- "$MOIRE" import nowhere.mlir
((failures == 0))
