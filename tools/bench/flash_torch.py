"""Real attention in PyTorch, for bench/flash: reads lines "HEADS LENGTH D CAUSAL BACKWARD THREADS" and answers each
with the seconds of one call of scaled_dot_product_attention, with its gradients if BACKWARD is 1.
"""
import sys
import time

import torch
from torch.nn.functional import scaled_dot_product_attention
from torch.nn.attention import SDPBackend, sdpa_kernel


def prepare(heads, length, d, causal, backward, threads):
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    x = [(torch.rand(heads, 1, length, d) * 2 - 1).requires_grad_(bool(backward)) for _ in range(3)]
    g = torch.rand(heads, 1, length, d)

    def step():
        with sdpa_kernel([SDPBackend.FLASH_ATTENTION]):
            if not backward:
                with torch.no_grad():
                    return scaled_dot_product_attention(*x, is_causal=bool(causal))
            return torch.autograd.grad(scaled_dot_product_attention(*x, is_causal=bool(causal)), x, g)

    for _ in range(2):
        step()
    return step


def serve():
    name, step = None, None
    print("ready", flush=True)
    for line in sys.stdin:
        if line != name:
            name, step = line, prepare(*map(int, line.split()))
        start = time.perf_counter()
        step()
        print(time.perf_counter() - start, flush=True)


serve()
