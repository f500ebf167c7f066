"""The peers of tools/bench/items.c: the best 20 by inner product of random rows, one thread, milliseconds of the
processor a query, the least of some rounds: one at a time, and in batches of 16.

FAISS's IndexFlatIP, and NumPy: a product, argpartition and a sort.
"""
import sys
import time

import numpy

TOP, ROUNDS, BATCH = 20, 15, 16


def least(search, queries, batch):
    best = float("inf")
    for r in range(ROUNDS):
        x = queries[r * batch:(r + 1) * batch]
        begun = time.process_time()
        search(x)
        best = min(best, (time.process_time() - begun) / batch)
    return best * 1e3


def report(name, search, queries):
    search(queries[:1])
    print(f"{name:20s} {least(search, queries, 1):9.3f} alone {least(search, queries, BATCH):9.3f} of 16", flush=True)


def main():
    n, width = int(sys.argv[1]), int(sys.argv[2])
    random = numpy.random.default_rng(1)
    rows = random.standard_normal((n, width), dtype=numpy.float32)
    queries = random.standard_normal((ROUNDS * BATCH, width), dtype=numpy.float32)

    def by_numpy(x):
        scores = x @ rows.T
        found = numpy.argpartition(scores, n - TOP, axis=1)[:, n - TOP:]
        of_found = numpy.take_along_axis(scores, found, 1)
        return numpy.take_along_axis(found, numpy.argsort(-of_found, axis=1), 1)

    report(f"NumPy {numpy.__version__}", by_numpy, queries)
    try:
        import faiss
    except ImportError:
        print("faiss is not there")
        return
    faiss.omp_set_num_threads(1)
    index = faiss.IndexFlatIP(width)
    index.add(rows)
    report(f"FAISS {faiss.__version__}", lambda x: index.search(x, TOP), queries)


main()
