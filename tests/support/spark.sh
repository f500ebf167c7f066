#!/bin/bash
# ./dev spark: docs/examples/spark/ on local[2], whose lines are those of `moire recommend`. SPARK_PYTHON is a Python with
# pyspark, pandas and pyarrow; MOIRE, SOURCE_DIR and BUILD_DIR are as for other scripts.
# shellcheck source=tests/support/tool.sh
source "$(dirname "$0")/tool.sh"
export PYSPARK_PYTHON=$SPARK_PYTHON PYSPARK_DRIVER_PYTHON=$SPARK_PYTHON SPARK_LOCAL_IP=127.0.0.1
"$MOIRE" synth --users 500 --items 300 --length 20 --out users.txt
small_config config.yaml
"$MOIRE" train config.yaml --data users.txt --out run --quiet >/dev/null 2>log.txt || complain "train: $(cat log.txt)"
"$MOIRE" recommend --checkpoint run/best.safetensors --data users.txt --top 20 --json -o wanted.jsonl
mkdir lib
"$MOIRE" compile --cpu host --python --checkpoint run/best.safetensors -o lib/recommender 2>log.txt || complain "compile: $(cat log.txt)"
# Parts of a few lines, so that several workers take several batches each.
submit=$("$SPARK_PYTHON" -c 'import os, pyspark; print(os.path.join(os.path.dirname(pyspark.__file__), "bin", "spark-submit"))')
"$submit" --master 'local[2]' --conf spark.ui.enabled=false \
  --conf spark.sql.files.maxPartitionBytes=4096 --conf spark.sql.execution.arrow.maxRecordsPerBatch=16 \
  "$SOURCE_DIR/docs/examples/spark/recommend.py" "$work/lib/recommender" users.txt lists 20 >log.txt 2>&1 ||
  complain "spark-submit: $(tail -n 20 log.txt)"
"$SPARK_PYTHON" - <<'PY' || complain 'Spark has other lines than moire recommend'
import glob, json, struct, sys

parts = sorted(glob.glob("lists/part-*.json"))
got = [json.loads(line) for part in parts for line in open(part)]
wanted = [json.loads(line) for line in open("wanted.jsonl")]
wrong = 0
for number, (a, b) in enumerate(zip(got, wanted), 1):
    # as float32: Spark prints a number by fewer digits
    a_scores, b_scores = ([struct.pack("f", score) for score in line["scores"]] for line in (a, b))
    if a["user"] != str(b["user"]) or a["items"] != b["items"] or a_scores != b_scores:
        print("line %d: %s, wanted %s" % (number, a, b))
        wrong += 1
print("%d lines of %d parts by Spark, %d by moire recommend, %d differ" % (len(got), len(parts), len(wanted), wrong))
sys.exit(wrong > 0 or len(got) != len(wanted) or len(parts) < 2)
PY
finish
