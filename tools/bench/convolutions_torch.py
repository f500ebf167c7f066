"""Seconds of a convolution in PyTorch, the least CPU time of many runs on one thread. Run by bench/convolutions, with the
Python of MOIRE_PYTHON.

    convolutions_torch.py conv1d|conv2d BACKWARD compiled|eager
"""
import sys
import time

import torch

name, backward, how = sys.argv[1], int(sys.argv[2]), sys.argv[3]
torch.set_num_threads(1)
torch.manual_seed(1)
if name == "conv1d":
    x, w = torch.randn(64, 64, 1024, dtype=torch.complex64), torch.randn(64, 64, 9, dtype=torch.complex64)
    apply = lambda x, w: torch.nn.functional.conv1d(x, w, padding=4)
else:
    x, w = torch.randn(16, 64, 56, 56), torch.randn(64, 64, 3, 3)
    apply = lambda x, w: torch.nn.functional.conv2d(x, w, padding=1)
slope = torch.randn_like(apply(x, w))
if how == "compiled":
    apply = torch.compile(apply)
if backward:
    x.requires_grad_()
    w.requires_grad_()


def step():
    if backward:
        return torch.autograd.grad(apply(x, w), [x, w], slope)
    with torch.no_grad():
        return apply(x, w)


step()
best, end, runs = float("inf"), time.process_time() + 6, 0
while runs < 4 or time.process_time() < end:
    start = time.process_time()
    step()
    best, runs = min(best, time.process_time() - start), runs + 1
print(best)
