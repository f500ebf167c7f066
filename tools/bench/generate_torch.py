"""Seconds of N tokens that a llama of random weights generates in PyTorch, eager with a cache, one thread: the least of some
runs. Run by bench/generate, with the Python of MOIRE_PYTHON.

    generate_torch.py WORDS WIDTH INNER LAYERS HEADS KEY_HEADS N
"""
import math
import sys
import time

import torch

words, width, inner, layers, heads, key_heads, n = (int(x) for x in sys.argv[1:8])
torch.set_num_threads(1)
torch.manual_seed(1)
head = width // heads
row = key_heads * head
linear, silu = torch.nn.functional.linear, torch.nn.functional.silu


def weight(out, into):
    return torch.randn(out, into) / math.sqrt(into)


table, last = weight(words, width), torch.ones(width)
blocks = [
    dict(a=torch.ones(width), q=weight(width, width), k=weight(row, width), v=weight(row, width), o=weight(width, width),
         f=torch.ones(width), gate=weight(inner, width), up=weight(inner, width), down=weight(width, inner))
    for _ in range(layers)
]
rates = 10000.0 ** (-2 * torch.arange(head // 2) / head)


def norm(x, gain):
    return gain * x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5)


def rotate(x, cos, sin):
    low, high = x.chunk(2, -1)
    return torch.cat([low * cos - high * sin, high * cos + low * sin], -1)


def step(word, at, keys, values):
    x = table[word]
    cos, sin = torch.cos(at * rates), torch.sin(at * rates)
    for block, key, value in zip(blocks, keys, values):
        y = norm(x, block["a"])
        q = rotate(linear(y, block["q"]).view(heads, head), cos, sin)
        key[:, at] = rotate(linear(y, block["k"]).view(key_heads, head), cos, sin)
        value[:, at] = linear(y, block["v"]).view(key_heads, head)
        q = q.view(1, key_heads, heads // key_heads, head)
        context = torch.nn.functional.scaled_dot_product_attention(q, key[None, :, :at + 1], value[None, :, :at + 1])
        x = x + linear(context.reshape(width), block["o"])
        y = norm(x, block["f"])
        x = x + linear(silu(linear(y, block["gate"])) * linear(y, block["up"]), block["down"])
    return int(torch.argmax(linear(norm(x, last), table)))


least = math.inf
with torch.inference_mode():
    for _ in range(5):
        keys = [torch.zeros(key_heads, n + 1, head) for _ in range(layers)]
        values = [torch.zeros(key_heads, n + 1, head) for _ in range(layers)]
        word = step(1, 0, keys, values)
        began = time.process_time()
        for t in range(1, n + 1):
            word = step(word, t, keys, values)
        least = min(least, time.process_time() - began)
print(least)
