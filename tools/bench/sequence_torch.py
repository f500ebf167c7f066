"""Seconds of what bench/sequence runs, in PyTorch. Run by it, with the Python of MOIRE_PYTHON.

    sequence_torch.py        answers lines: WHAT WAY ARGUMENTS

fft N DIRECTION     64 transforms of N complex numbers; forward, or both: with the gradient
lru eager FORM      a step of the linear recurrent unit: `slices`, a loop over x[:, t]; `unbound`, one over x.unbind(1);
                    `fft`, a convolution by transforms of twice the length
gru eager           a step of a gated recurrent unit, a loop over x.unbind(1) in eager code
"""
import sys
import time

import torch
from torch.nn import functional as F

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


def lru(_, form):
    batch, length, d = 32, 1024, 64
    rate, phase = (torch.rand(d) * 4 - 5).requires_grad_(), (torch.rand(d) * 3).requires_grad_()
    w_in, w_out = ((torch.randn(d, d, dtype=torch.complex64) / 10).requires_grad_() for _ in range(2))
    x = torch.rand(batch, length, d) * 2 - 1

    def scan(a, b):
        if form == "fft":
            powers = torch.exp(torch.arange(length)[:, None] * torch.log(a))
            spectrum = torch.fft.fft(b, 2 * length, dim=1) * torch.fft.fft(powers, 2 * length, dim=0)
            return torch.fft.ifft(spectrum, dim=1)[:, :length]
        state, states = torch.zeros(batch, d, dtype=torch.complex64), []
        for row in b.unbind(1) if form == "unbound" else (b[:, t] for t in range(length)):
            state = a * state + row
            states.append(state)
        return torch.stack(states, 1)

    def step():
        a = torch.polar(torch.exp(-torch.exp(rate)), phase)
        y = (scan(a, x.to(torch.complex64) @ w_in) @ w_out).real
        torch.autograd.grad((y * y).mean(), [rate, phase, w_in, w_out])

    return step


def gru(_):
    batch, length, d = 32, 200, 64
    x = torch.rand(batch, length, d) * 2 - 1
    w_x, w_h = ((torch.randn(3 * d, d) / 10).requires_grad_() for _ in range(2))
    b_x, b_h = (torch.zeros(3 * d, requires_grad=True) for _ in range(2))

    def step():
        h = torch.zeros(batch, d)
        for row in F.linear(x, w_x, b_x).unbind(1):
            (xr, xz, xn), (hr, hz, hn) = row.chunk(3, 1), F.linear(h, w_h, b_h).chunk(3, 1)
            z = torch.sigmoid(xz + hz)
            h = (1 - z) * torch.tanh(xn + torch.sigmoid(xr + hr) * hn) + z * h
        torch.autograd.grad((h * h).mean(), [w_x, w_h, b_x, b_h])

    return step


WORK = {"fft": fft, "lru": lru, "gru": gru}


def serve():
    steps = {}
    print("ready", flush=True)
    for line in sys.stdin:
        line = line.strip()
        if line not in steps:
            what, *arguments = line.split()
            steps[line] = WORK[what](*arguments)
            steps[line]()
        start = time.perf_counter()
        steps[line]()
        print(time.perf_counter() - start, flush=True)


serve()
