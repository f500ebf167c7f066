"""Seconds of linear and cross entropy with the gradients of all operands in PyTorch: median, and the quarters below and
above. Run by bench/head, with the Python of MOIRE_PYTHON.

    head_torch.py ROWS WIDTH WORDS eager|compiled|eager-bf16|compiled-bf16 THREADS

With -bf16 under autocast, as its users train in it.
"""
import statistics
import sys
import time

import torch

rows, width, words, threads = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[5])
how = sys.argv[4]
torch.set_num_threads(threads)
torch.manual_seed(1)
x = (torch.rand(rows, width) * 2 - 1).requires_grad_()
w = (torch.rand(words, width) / 2 - 0.25).requires_grad_()
bias = (torch.rand(words) - 0.5).requires_grad_()
ids = torch.randint(0, words, (rows,))


def loss():
    with torch.autocast("cpu", torch.bfloat16, enabled=how.endswith("bf16")):
        logits = torch.nn.functional.linear(x, w, bias)
    return torch.nn.functional.cross_entropy(logits, ids)


if how.startswith("compiled"):
    loss = torch.compile(loss)


def step():
    return torch.autograd.grad(loss(), [x, w, bias])


for _ in range(2):
    step()
elapsed, began = [], time.perf_counter()
while len(elapsed) < 5 or (len(elapsed) < 41 and time.perf_counter() - began < 8):
    start = time.perf_counter()
    step()
    elapsed.append(time.perf_counter() - start)
quarters = statistics.quantiles(elapsed, n=4)
print(quarters[1], quarters[0], quarters[2])
