#!/bin/bash
# Wheels of libraries: the same bytes for the same model, and installed where there is nothing of Moire, by pip into a fresh
# virtual environment, they give what the command gives. The checks are in python_check.py.
# shellcheck source=tests/support/tool.sh
source "$(dirname "$0")/../support/tool.sh"
[[ -z ${MOIRE_SANITIZE:-} ]] || skip 'libraries are built as a user would'
python=${MOIRE_PYTHON:-python3}
"$python" -c 'import sys, ctypes; sys.exit(sys.version_info < (3, 8))' 2>/dev/null || skip "$python is no Python 3.8 with ctypes"
check=$SOURCE_DIR/tests/aot/python_check.py

# A Python that has no NumPy, whatever is installed.
mkdir none
echo 'raise ImportError("there is none here")' >none/numpy.py

small_data data.txt
small_config config.yaml
"$MOIRE" train config.yaml --data data.txt --out run >/dev/null 2>log.txt || complain "train: $(cat log.txt)"
"$MOIRE" recommend --checkpoint run/best.safetensors --data data.txt --top 12 --json >wanted.json || complain recommend
simple=(--checkpoint run/best.safetensors)

"$MOIRE" compile --cpu host "${simple[@]}" --wheel -o tried 2>log.txt || true
! grep -q 'without libzip' log.txt || skip "$(tail -n 1 log.txt)"
refused 1 small_ 'a letter or a digit' -- "$MOIRE" compile "${simple[@]}" --wheel -o small_
refused 1 1.x 'such as 1.2' -- "$MOIRE" compile "${simple[@]}" --wheel --wheel-version 1.x -o small

mkdir first second
for folder in first second; do
  "$MOIRE" compile --cpu host "${simple[@]}" --wheel --wheel-version 1.2.post3 -o $folder/Small 2>log.txt || complain "compile: $(cat log.txt)"
  (cd $folder && "$MOIRE" compile --cpu host --checkpoint ../run/best.safetensors --weights external --wheel -o apart 2>log.txt) ||
    complain "compile: $(cat $folder/log.txt)"
done
machine=$(uname -m) version=$("$MOIRE" --version | sed -n '1s/^moire \([0-9.]*\).*/\1/p')
wheel=first/small-1.2.post3-py3-none-linux_$machine.whl apart=first/apart-$version-py3-none-linux_$machine.whl
[[ -s $wheel && -s $apart ]] || complain "wheels: $(ls first)"
for file in first/*.whl; do cmp "$file" "second/${file#first/}" || complain "$file depends on more than the model"; done
(cd first && "$python" -c 'import Small, apart; Small.Model(), apart.Model()') || complain 'beside the libraries, Python imports them'
"$python" - "$wheel" "$apart" <<'PY' >said.txt 2>&1 || complain "the archive: $(tail -n 3 said.txt)"
import base64, hashlib, sys, zipfile
for path in sys.argv[1:]:
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        record = next(name for name in names if name.endswith(".dist-info/RECORD"))
        rows = [line.split(",") for line in archive.read(record).decode().splitlines()]
        assert [row[0] for row in rows] == names, names
        for name, digest, size in rows[:-1]:
            data = archive.read(name)
            wanted = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            assert digest == "sha256=" + wanted and int(size) == len(data), name
        assert rows[-1][1:] == ["", ""], rows[-1]
PY

# install FOLDER WHEEL...: by pip into a virtual environment; or into a folder, or unpacked, where that cannot be made.
install() {
  local folder=$1 wheel
  shift
  if "$python" -m venv "$folder" >log.txt 2>&1 && "$folder/bin/python" -m pip install --no-index -q "$@" >log.txt 2>&1; then
    installed=("$folder/bin/python")
    return
  fi
  echo "$python makes no virtual environment with pip: wheels are unpacked"
  for wheel in "$@"; do "$python" -m zipfile -e "$wheel" "$folder" || complain "$wheel cannot be unpacked"; done
  installed=(env "PYTHONPATH=none:$folder" "$python")
}
install fresh "$wheel" "$apart"
"${installed[@]}" "$check" recommend Small data.txt wanted.json >said.txt 2>&1 || complain "the wheel: $(tail -n 3 said.txt)"
"${installed[@]}" "$check" external apart second/apart.weights >said.txt 2>&1 || complain "the wheel with weights: $(tail -n 3 said.txt)"
if [[ ${installed[0]} == fresh/* ]]; then
  "${installed[@]}" -m pip show small >said.txt 2>&1 || true
  grep -q '^Version: 1.2.post3$' said.txt || complain "pip show: $(head -n 3 said.txt)"
fi
if "$python" -c 'import numpy' 2>/dev/null && "$python" -m venv --system-site-packages other >log.txt 2>&1; then
  other/bin/python -m pip install --no-index -q "$wheel" >log.txt 2>&1 || complain "pip: $(tail -n 3 log.txt)"
  other/bin/python "$check" recommend Small data.txt wanted.json >said.txt 2>&1 || complain "the wheel, with NumPy: $(tail -n 3 said.txt)"
fi

# The items' names come along.
awk '{ for (i = 2; i <= NF; i++) print "u" $1 "\tx" $i "\t5\t" i }' data.txt >named.txt
"$MOIRE" train config.yaml --data named.txt --out named --quiet >log.txt 2>&1 || complain "train: $(cat log.txt)"
"$MOIRE" compile --cpu host --checkpoint named/best.safetensors --wheel -o named/films 2>log.txt || complain "compile: $(cat log.txt)"
"$python" -m zipfile -l named/films-*.whl >list.txt
grep -q '^films/items.txt ' list.txt || complain "the wheel lacks the names: $(cat list.txt)"
if command -v aarch64-linux-gnu-gcc >/dev/null; then
  mkdir arm
  "$MOIRE" compile "${simple[@]}" --target aarch64-linux-gnu --wheel -o arm/small 2>log.txt || complain "compile: $(cat log.txt)"
  [[ -s arm/small-$version-py3-none-linux_aarch64.whl ]] || complain "the wheel for aarch64: $(ls arm)"
fi
finish
