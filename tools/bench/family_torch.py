"""A step of training in compiled PyTorch of a model that bench/family times: milliseconds of the median step, and the
least CPU time of one. Run by it, with the Python of MOIRE_PYTHON.

    family_torch.py MODEL DATA|- THREADS

The models are written as PyTorch's users would write them: fused operations where there are some
(scaled_dot_product_attention with an additive mask, LayerNorm, fused Adam), torch.compile around forward and loss.
"""
import math
import random
import statistics
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F

ITEMS, LENGTH, WIDTH, HEADS, LAYERS, INNER, BATCH = 3647, 50, 64, 4, 2, 256, 256
KERNELS, DILATIONS, DROPOUT = (3, 7, 15, 31), (1, 2, 4, 8), 0.5
BANDS, STATES = len(KERNELS), 64


class Bank(nn.Module):
    """u and v of every band: the mean over channels of two depthwise causal convolutions."""

    def __init__(self):
        super().__init__()
        make = lambda k, d: nn.Conv1d(WIDTH, WIDTH, k, dilation=d, groups=WIDTH, bias=False)  # noqa: E731
        self.real = nn.ModuleList(make(k, d) for k, d in zip(KERNELS, DILATIONS))
        self.imag = nn.ModuleList(make(k, d) for k, d in zip(KERNELS, DILATIONS))

    def forward(self, x):
        x = x.transpose(1, 2)
        u, v = [], []
        for s, (k, d) in enumerate(zip(KERNELS, DILATIONS)):
            padded = F.pad(x, ((k - 1) * d, 0))
            u.append(self.real[s](padded).mean(1))
            v.append(self.imag[s](padded).mean(1))
        u, v = torch.stack(u, -1), torch.stack(v, -1)
        return torch.sqrt(u * u + v * v + 1e-8), torch.atan2(v, u + 1e-8)


class Base(nn.Module):
    def __init__(self, times=2):
        super().__init__()
        self.items = nn.Embedding(ITEMS, WIDTH, padding_idx=0)
        self.positions = nn.Parameter(torch.randn(LENGTH, WIDTH) * 0.02)
        self.norm, self.times = nn.LayerNorm(WIDTH, eps=1e-12), times

    def embed(self, ids):
        x = self.items(ids) + self.positions
        for _ in range(self.times):
            x = F.dropout(self.norm(x), DROPOUT, self.training)
        return x

    def loss(self, x, answers):
        return F.cross_entropy(x[:, -1] @ self.items.weight.T, answers)


class FeedForward(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.one, self.two, self.norm = nn.Linear(WIDTH, inner), nn.Linear(inner, WIDTH), nn.LayerNorm(WIDTH, eps=1e-12)

    def forward(self, x):
        return self.norm(x + F.dropout(self.two(F.gelu(self.one(x))), DROPOUT, self.training))


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.q, self.k, self.v, self.out = (nn.Linear(WIDTH, WIDTH) for _ in range(4))
        self.gamma = nn.Parameter(torch.full((HEADS, BANDS), -3.0))
        self.beta = nn.Parameter(torch.full((HEADS,), -5.0))
        self.logits = nn.Parameter(torch.zeros(HEADS, BANDS))
        self.norm = nn.LayerNorm(WIDTH, eps=1e-12)

    def forward(self, x, loudness, waves, mask):
        split = lambda y: y.view(-1, LENGTH, HEADS, WIDTH // HEADS).transpose(1, 2)  # noqa: E731
        a = 1 + 0.5 * torch.tanh(loudness @ F.softplus(self.gamma).T)
        a = a.transpose(1, 2).unsqueeze(-1)
        q, k, v = split(self.q(x)) * a, split(self.k(x)) * a, split(self.v(x))
        w = F.softplus(self.beta)[:, None] * (self.logits.softmax(-1) + 1e-8) / math.sqrt(BANDS)
        weighted = waves[:, None] * torch.cat([w, w], -1)[:, None]
        bias = weighted @ waves.transpose(1, 2)[:, None] + mask
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=bias, dropout_p=DROPOUT if self.training else 0.0)
        y = self.out(y.transpose(1, 2).reshape(-1, LENGTH, WIDTH))
        return self.norm(x + F.dropout(y, DROPOUT, self.training))


class PSWRec(Base):
    def __init__(self):
        super().__init__()
        self.bank = Bank()
        self.attention = nn.ModuleList(Attention() for _ in range(LAYERS))
        self.feed_forward = nn.ModuleList(FeedForward(INNER) for _ in range(LAYERS))
        self.register_buffer("causal", torch.tril(torch.ones(LENGTH, LENGTH)))

    def forward(self, ids, answers):
        x = self.embed(ids)
        magnitude, phase = self.bank(x)
        waves = torch.cat([phase.cos(), phase.sin()], -1)
        loudness = magnitude / (magnitude.mean(-1, keepdim=True) + 1e-8)
        mask = (1 - (ids > 0)[:, None, None, :] * self.causal) * -10000.0
        for attention, feed_forward in zip(self.attention, self.feed_forward):
            x = feed_forward(attention(x, loudness, waves, mask))
        turn = waves[:, 1:] - waves[:, :-1]
        return self.loss(x, answers) + 0.05 * 2 * (turn * turn).mean()


class Mixer(nn.Module):
    def __init__(self):
        super().__init__()
        inner, rank = 2 * WIDTH, math.ceil(WIDTH / 16)
        self.rank = rank
        self.inp = nn.Linear(WIDTH, 2 * inner, bias=False)
        self.conv = nn.Conv1d(inner, inner, 4, groups=inner, padding=3)
        self.x, self.dt = nn.Linear(inner, rank + 2 * STATES, bias=False), nn.Linear(rank, inner)
        self.a = nn.Parameter(torch.log(torch.arange(1.0, STATES + 1)).repeat(inner, 1))
        self.d = nn.Parameter(torch.ones(inner))
        self.out, self.phase = nn.Linear(inner, WIDTH, bias=False), nn.Linear(2 * BANDS, STATES, bias=False)
        self.norm = nn.LayerNorm(WIDTH, eps=1e-12)

    def forward(self, e, longer, waves):
        x, z = self.inp(e).chunk(2, -1)
        x = F.silu(self.conv(x.transpose(1, 2))[..., :LENGTH].transpose(1, 2))
        dt, b, c = self.x(x).split([self.rank, STATES, STATES], -1)
        dt, c, a = F.softplus(self.dt(dt)) * longer, c + self.phase(waves), -torch.exp(self.a)
        h, ys = x.new_zeros(x.shape[0], x.shape[2], STATES), []
        for t in range(LENGTH):
            h = torch.exp(dt[:, t, :, None] * a) * h + (dt[:, t] * x[:, t])[:, :, None] * b[:, t, None, :]
            ys.append((h * c[:, t, None, :]).sum(-1))
        y = torch.stack(ys, 1) + x * self.d
        return self.norm(self.out(y * F.silu(z)) + e)


class PMSSD(Base):
    def __init__(self):
        super().__init__()
        self.bank = Bank()
        self.modulator = nn.Sequential(nn.Linear(WIDTH, WIDTH // 2), nn.GELU(), nn.Linear(WIDTH // 2, 2 * BANDS))
        self.gamma = nn.Parameter(torch.full((BANDS,), -3.0))
        self.mixers = nn.ModuleList(Mixer() for _ in range(LAYERS))

    def forward(self, ids, answers):
        x = self.embed(ids)
        magnitude, phase = self.bank(x)
        louder, turn = torch.tanh(self.modulator(x)).chunk(2, -1)
        magnitude, phase = magnitude * (1 + louder), phase + math.pi / 4 * turn
        waves, longer = torch.cat([phase.cos(), phase.sin()], -1), 1 + F.softplus(louder.mean(-1, keepdim=True))
        x = x * (1 + 0.5 * torch.tanh((F.softplus(self.gamma) * magnitude).sum(-1, keepdim=True)))
        for mixer in self.mixers:
            x = mixer(x, longer, waves)
        return self.loss(x, answers)


class Filter(nn.Module):
    def __init__(self, heads=2, alpha=0.3):
        super().__init__()
        self.heads, self.alpha, self.bins = heads, alpha, LENGTH // 2 + 1
        self.base = nn.Parameter(torch.ones(heads, self.bins, 1))
        self.bias = nn.Parameter(torch.full((heads, self.bins, 1), -0.1))
        self.detail = nn.Parameter(torch.randn(1, heads, LENGTH // 2, WIDTH // heads) * 0.02)
        self.adapt = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.GELU(), nn.Linear(WIDTH, heads * self.bins * 2))
        self.norm = nn.LayerNorm(WIDTH, eps=1e-12)

    def forward(self, x):
        y = x.view(-1, LENGTH, self.heads, WIDTH // self.heads).transpose(1, 2)
        scale, bias = self.adapt(x.mean(1)).view(-1, self.heads, self.bins, 2).chunk(2, -1)
        spectrum = torch.fft.rfft(y, dim=2, norm="ortho") * (self.base * (1 + scale)) + (self.bias + bias)
        by_bins = torch.fft.irfft(spectrum, n=LENGTH, dim=2, norm="ortho")
        even, odd = y[:, :, 0::2], y[:, :, 1::2]
        mean, rest = (even + odd) / 2, (even - odd) / 2 * self.detail
        by_pairs = torch.stack([mean + rest, mean - rest], 3).reshape(y.shape)
        y = ((1 - self.alpha) * by_pairs + self.alpha * by_bins).transpose(1, 2).reshape(x.shape)
        return self.norm(x + F.dropout(y, DROPOUT, self.training))


class WEARec(Base):
    def __init__(self):
        super().__init__(times=1)
        self.filters = nn.ModuleList(Filter() for _ in range(LAYERS))
        self.feed_forward = nn.ModuleList(FeedForward(4 * WIDTH) for _ in range(LAYERS))

    def forward(self, ids, answers):
        x = self.embed(ids)
        for filters, feed_forward in zip(self.filters, self.feed_forward):
            x = feed_forward(filters(x))
        return self.loss(x, answers)


def samples(path):
    """Every prefix of every training sequence, left-padded; random histories without a data set."""
    if path == "-":
        lengths = [random.randint(1, LENGTH) for _ in range(4096)]
        return [([0] * (LENGTH - n) + random.choices(range(1, ITEMS), k=n), random.randint(1, ITEMS - 1)) for n in lengths]
    rows = []
    for line in open(path):
        train = [int(item) for item in line.split()[1:]][-(LENGTH + 2) : -2]
        for i in range(1, len(train) + 1):
            rows.append(([0] * (LENGTH - i + 1) + train[: i - 1], train[i - 1]))
    return rows


def main():
    name, path, threads = sys.argv[1], sys.argv[2], int(sys.argv[3])
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    random.seed(1)
    model = {"pswrec_v13": PSWRec, "pm_ssd": PMSSD, "wearec": WEARec}[name]().train()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    step = torch.compile(model, dynamic=False)
    rows, times, work = samples(path), [], []
    for i in range(3 + 11):
        ids, answers = zip(*random.sample(rows, BATCH))
        ids, answers = torch.tensor(ids), torch.tensor(answers)
        start, cpu = time.perf_counter(), time.process_time()
        optimizer.zero_grad()
        step(ids, answers).backward()
        optimizer.step()
        if i >= 3:
            times.append(time.perf_counter() - start)
            work.append(time.process_time() - cpu)
    print(statistics.median(times) * 1e3, min(work) * 1e3)


main()
