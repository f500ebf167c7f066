"""Seconds of what bench/sequence runs, in PyTorch. Run by it, with the Python of MOIRE_PYTHON.

    sequence_torch.py        answers lines: WHAT WAY ARGUMENTS

fft N DIRECTION              64 transforms of N complex numbers; forward, or both: with the gradient
"""
import sys
import time

import torch

torch.set_num_threads(1)
torch.manual_seed(1)


def fft(way, n, direction):
    x = torch.randn(64, int(n), dtype=torch.complex64, requires_grad=direction == "both")
    slope = torch.randn_like(x)
    run = torch.compile(torch.fft.fft) if way == "compiled" else torch.fft.fft

    def forward():
        with torch.no_grad():
            run(x)

    return forward if direction == "forward" else lambda: torch.autograd.grad(run(x), x, slope)


WORK = {"fft": fft}


def serve():
    steps = {}
    print("ready", flush=True)
    for line in sys.stdin:
        line = line.strip()
        if line not in steps:
            what, *arguments = line.split()
            steps[line] = WORK[what](*arguments)
            for _ in range(3):
                steps[line]()
        start = time.perf_counter()
        steps[line]()
        print(time.perf_counter() - start, flush=True)


serve()
