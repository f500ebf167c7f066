"""What bench/codes stands beside: for each number of rows on stdin, the seconds of processor time in which PyTorch
(compiled; distances by cdist, and by a product) and FAISS encode so many rows of 256 features with 1,024 / 4,096 /
16,384 codes, on one thread.
"""
import sys
import time

import faiss
import numpy
import torch

torch.set_num_threads(1)
faiss.omp_set_num_threads(1)
WIDTH, BITS = 256, (10, 12, 14)
generator = numpy.random.default_rng(1)
books = [generator.uniform(-0.5, 0.5, (1 << bits, WIDTH)).astype(numpy.float32) for bits in BITS]
tensors = [torch.from_numpy(book) for book in books]
halves = [book.square().sum(1) / 2 for book in tensors]


def by_cdist(x):
    codes = []
    for book in tensors:
        index = torch.cdist(x, book).argmin(-1)
        codes.append(index)
        x = x - book[index]
    return codes


def by_product(x):
    codes = []
    for book, half in zip(tensors, halves):
        index = (half - x @ book.T).argmin(-1)
        codes.append(index)
        x = x - book[index]
    return codes


bits = faiss.UInt64Vector()
for b in BITS:
    bits.push_back(b)
quantizer = faiss.ResidualQuantizer(WIDTH, bits)
quantizer.max_beam_size = 1
faiss.copy_array_to_vector(numpy.concatenate(books).ravel(), quantizer.codebooks)
quantizer.is_trained = True
calls = [torch.compile(by_cdist), torch.compile(by_product)]


def seconds(call, x):
    start = time.process_time()
    call(x)
    return time.process_time() - start


with torch.inference_mode():
    for line in sys.stdin:
        x = generator.uniform(-0.5, 0.5, (int(line), WIDTH)).astype(numpy.float32)
        tensor = torch.from_numpy(x)
        times = [seconds(call, tensor) for call in calls] + [seconds(quantizer.compute_codes, x)]
        print(*times, flush=True)
