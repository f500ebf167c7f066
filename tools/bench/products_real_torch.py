"""Real products in PyTorch, for bench/products_real: reads lines "M K N TRANSPOSE_A TRANSPOSE_B TIMES" and answers each
with the seconds of the processor's time that one of TIMES products takes on one thread, into memory that is there.
"""
import sys
import time

import torch


def prepare(m, k, n, transpose_a, transpose_b):
    torch.manual_seed(1)
    a = torch.rand(k, m).t() if transpose_a else torch.rand(m, k)
    b = torch.rand(n, k).t() if transpose_b else torch.rand(k, n)
    c = torch.empty(m, n)
    torch.matmul(a, b, out=c)
    return a, b, c


def serve():
    name, operands = None, None
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    print("ready", flush=True)
    for line in sys.stdin:
        *shape, times = map(int, line.split())
        if shape != name:
            name, operands = shape, prepare(*shape)
        a, b, c = operands
        start = time.process_time()
        for _ in range(times):
            torch.matmul(a, b, out=c)
        took = time.process_time() - start
        print(took / times if took > 0 else float("inf"), flush=True)


serve()
