"""The best items of every user, by Spark: its workers call the compiled model.

    spark-submit recommend.py MODULE USERS OUT [TOP]

MODULE is what `moire compile --python` or `--wheel` has made of a sequential model: its name, where each worker has
installed the wheel, else its folder, which all of them see. USERS has a user a line, "user item item ...", as `moire
recommend` reads it; OUT becomes a folder of JSON lines, {"user": ..., "items": [...], "scores": [...]}, in the order
of USERS.
"""

import importlib
import os
import sys

import pandas
from pyspark.sql import SparkSession

COLUMNS = "user string, items array<int>, scores array<float>"


def lists_of_best(module, top):
    """What a worker makes of its batches of lines. The model is opened once for each part of the data, and maps its
    file, so that workers of one machine share its memory."""

    def work(batches):
        folder, name = os.path.split(module)
        if folder:
            sys.path.insert(0, folder)
        with importlib.import_module(name).Model() as model:
            for batch in batches:
                words = [line.split() for line in batch["value"]]
                best = model.top([[int(item) for item in items] for user, *items in words], top)
                listed = [[item for item in items if item >= 0] for items in best.items.tolist()]
                yield pandas.DataFrame(
                    {
                        "user": [user for user, *items in words],
                        "items": listed,
                        "scores": [row[: len(items)] for row, items in zip(best.scores.tolist(), listed)],
                    }
                )

    return work


def main():
    module, users, out, *rest = sys.argv[1:]
    spark = SparkSession.builder.appName("recommend").getOrCreate()
    lines = spark.read.text(users)
    best = lines.mapInPandas(lists_of_best(module.rstrip("/"), int(rest[0]) if rest else 10), COLUMNS)
    best.write.mode("overwrite").json(out)
    spark.stop()


if __name__ == "__main__":
    main()
