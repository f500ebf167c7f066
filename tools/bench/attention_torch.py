"""The median time of interference attention in compiled PyTorch, in seconds: elapsed, and of the processor. Run by
bench/attention, with the Python of MOIRE_PYTHON.

    attention_torch.py HEADS LENGTH D CAUSAL BACKWARD THREADS

PyTorch has no fused attention with this score, so it is written as its users would: products of planes (faster than
complex tensors, which torch.compile leaves to eager code), softmax, products.
"""
import statistics
import sys
import time

import torch

heads, length, d, causal, backward, threads = map(int, sys.argv[1:])
torch.set_num_threads(threads)
torch.manual_seed(1)
planes = [(torch.rand(heads, length, d) * 2 - 1).requires_grad_(bool(backward)) for _ in range(6)]
slopes = [torch.rand(heads, length, d) for _ in range(2)]
mask = (1 - torch.tril(torch.ones(length, length))) * -10000.0 if causal else None


@torch.compile
def attend(qr, qi, kr, ki, vr, vi):
    kr, ki = kr.transpose(-1, -2), ki.transpose(-1, -2)
    re, im = qr @ kr + qi @ ki, qi @ kr - qr @ ki
    score = (re * re + im * im) / d
    p = (score if mask is None else score + mask).softmax(-1)
    return p @ vr, p @ vi


def step():
    if not backward:
        with torch.no_grad():
            return attend(*planes)
    return torch.autograd.grad(attend(*planes), planes, slopes)


for _ in range(2):
    step()
elapsed, worked, began = [], [], time.perf_counter()
while len(elapsed) < 5 or (len(elapsed) < 41 and time.perf_counter() - began < 5):
    start, start_work = time.perf_counter(), time.process_time()
    step()
    elapsed.append(time.perf_counter() - start)
    worked.append(time.process_time() - start_work)
print(statistics.median(elapsed), statistics.median(worked))
