"""The network of docs/examples/signals.c in PyTorch: its steps beside ours, or a training of its own.

    signals_torch.py FOLDER THREADS BATCH                answers bench/signals line by line; run by it
    signals_torch.py --train CONFIG TRAIN VALID TEST [KEY=VALUE...]

FOLDER holds weights.safetensors and, as float32 and int32, iq.bin and labels.bin of some batches.
    loss           the loss of the first batch by the weights
    eager          seconds of a training step on the next batch, in PyTorch's complex numbers
    planes         the same in real numbers: planes, a product with [[re, -im], [im, re]], a filter by its taps
    compiled       the same as planes, by torch.compile (the first call compiles)
    cpu            CPU seconds of the last step, of all threads

--train reads a configuration as docs/examples/signals.yaml is one, and three files of `moire synth --kind signals`. It
trains as `moire train` does, from weights of the same distribution, and prints the accuracy of each epoch, then that
of the best one on the test. KEY=VALUE replaces keys, and `threads` (2) and `planes` (1) are two of its own.
"""
import json
import math
import sys
import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

CLASSES = 8
TYPES = {"F32": np.float32, "I32": np.int32, "C64": np.complex64}


def read_tensors(path):
    with open(path, "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        body = file.read()
    return {name: np.frombuffer(body[slice(*t["data_offsets"])], TYPES[t["dtype"]]).reshape(t["shape"])
            for name, t in header.items() if name != "__metadata__"}


def block_matrix(re, im):
    """[[re, -im], [im, re]]: what a complex weight does to planes side by side."""
    return torch.cat([torch.cat([re, -im], 1), torch.cat([im, re], 1)], 0)


class Network(nn.Module):
    """`planes`: complex values are real ones, with a plane of real and one of imaginary parts side by side."""

    def __init__(self, field="complex", width=32, blocks=3, reach=7, window=8, stride=2, hidden=32, planes=True, **_):
        super().__init__()
        self.complex, self.planes, self.width, self.reach = field == "complex", planes, width, reach
        self.window, self.stride, self.n_blocks = window, stride, blocks
        self.states = nn.ParameterDict()
        channels = 1 if self.complex else 2
        self.weight("first", (width, window * channels), window * channels)
        for i in range(blocks):
            self.weight(f"blocks.{i}.filter", (width, 1, reach), reach)
            self.weight(f"blocks.{i}.mix", (width, width), width)
            self.vector(f"blocks.{i}.bias", width, 0)
            if self.complex:
                self.vector(f"blocks.{i}.gain", width, 1)
        features = 2 * width
        self.vector("norm.weight", features, 1)
        self.vector("norm.bias", features, 0)
        self.vector("up.bias", hidden, 0)
        self.vector("down.bias", CLASSES, 0)
        self.states["up_weight"] = torch.randn(hidden, features) / math.sqrt(features)
        self.states["down_weight"] = torch.randn(CLASSES, hidden) / math.sqrt(hidden)

    def weight(self, name, shape, fan):
        deviation = 1 / math.sqrt(2 * fan if self.complex else fan)
        for part in (".real", ".imag") if self.complex else ("",):
            self.states[(name + part).replace(".", "_")] = torch.randn(shape) * deviation

    def vector(self, name, size, value):
        self.states[name.replace(".", "_")] = torch.full((size,), float(value))

    def get(self, name):
        name = name.replace(".", "_")
        if not self.complex or name in self.states:
            return self.states[name]
        re, im = self.states[name + "_real"], self.states[name + "_imag"]
        return (re, im) if self.planes else torch.complex(re, im)

    def linear(self, x, name):
        weight = self.get(name)
        return x @ (block_matrix(*weight) if isinstance(weight, tuple) else weight).T

    def filter(self, x, name):
        """Causal, one filter a channel, over axis 1."""
        weight = self.get(name)
        if not isinstance(weight, tuple):
            y = F.conv1d(F.pad(x.transpose(1, 2), (self.reach - 1, 0)), weight, groups=self.width)
            return y.transpose(1, 2)
        re, im = weight
        same, other = torch.cat([re, re])[:, 0], torch.cat([-im, im])[:, 0]
        length, y = x.shape[1], 0
        x = F.pad(x, (0, 0, self.reach - 1, 0))
        crossed = torch.cat([x[..., self.width:], x[..., :self.width]], -1)
        for j in range(self.reach):
            y = y + x[:, j:j + length] * same[:, j] + crossed[:, j:j + length] * other[:, j]
        return y

    def power(self, x):
        if self.complex and self.planes:
            return x[..., :self.width] ** 2 + x[..., self.width:] ** 2
        return x.real ** 2 + x.imag ** 2 if self.complex else x * x

    def gate(self, x, name):
        bias = self.get(name + ".bias")
        if not self.complex:
            return F.gelu(x + bias)
        open_ = torch.sigmoid(self.power(x) * self.get(name + ".gain") + bias)
        return x * (torch.cat([open_, open_], -1) if self.planes else open_)

    def frames(self, x):
        """[B, length, channels] to [B, length / stride, window channels]."""
        x = F.pad(x, (0, 0, self.window - self.stride, 0))
        return x.unfold(1, self.window, self.stride).transpose(2, 3).flatten(2)

    def forward(self, iq):
        """iq: [B, length, 2], the real and the imaginary part of each sample."""
        if self.complex and not self.planes:
            x = self.frames(torch.view_as_complex(iq)[..., None])
        elif self.complex:
            x = torch.cat([self.frames(iq[..., :1]), self.frames(iq[..., 1:])], -1)
        else:
            x = self.frames(iq)
        x = self.linear(x, "first")
        for i in range(self.n_blocks):
            x = x + self.linear(self.gate(self.filter(x, f"blocks.{i}.filter"), f"blocks.{i}"), f"blocks.{i}.mix")
        power = self.power(x)
        mean, second = power.mean(1), (power * power).mean(1)
        mean = torch.log(mean + 1e-6)
        x = torch.cat([mean, torch.log(second + 1e-12) - 2 * mean], -1)
        x = F.layer_norm(x, x.shape[-1:], self.get("norm.weight"), self.get("norm.bias"), 1e-5)
        x = F.gelu(F.linear(x, self.states["up_weight"], self.states["up_bias"]))
        return F.linear(x, self.states["down_weight"], self.states["down_bias"])


def loss_of(model, iq, labels):
    return F.cross_entropy(model(iq), labels)


# ---- beside bench/signals ----------------------------------------------------------------------------------------


def load_weights(model, folder):
    with torch.no_grad():
        for name, value in read_tensors(f"{folder}/weights.safetensors").items():
            model.states[name.replace(".", "_")].copy_(torch.from_numpy(value.copy()))
    return model


class Trainer:
    def __init__(self, way, folder, batches):
        self.model = load_weights(Network(planes=way != "eager"), folder)
        self.loss = torch.compile(loss_of) if way == "compiled" else loss_of
        self.adam = torch.optim.Adam(self.model.parameters(), lr=1e-3, fused=way == "compiled")
        self.batches, self.at = batches, 0

    def step(self):
        iq, labels = self.batches[self.at % len(self.batches)]
        self.at += 1
        start, work = time.perf_counter(), time.process_time()
        self.adam.zero_grad(set_to_none=True)
        self.loss(self.model, iq, labels).backward()
        self.adam.step()
        return time.perf_counter() - start, time.process_time() - work


def serve(folder, threads, batch):
    torch.set_num_threads(threads)
    labels = np.fromfile(f"{folder}/labels.bin", np.int32).reshape(-1, batch)
    iq = np.fromfile(f"{folder}/iq.bin", np.float32).reshape(len(labels), batch, -1, 2)
    batches = [(torch.from_numpy(x), torch.from_numpy(y.astype(np.int64))) for x, y in zip(iq, labels)]
    trainers, cpu = {}, 0
    print("ready", flush=True)
    for line in sys.stdin:
        way = line.strip()
        if way == "loss":
            with torch.no_grad():
                answers = [loss_of(load_weights(Network(planes=p), folder), *batches[0]).item() for p in (True, False)]
            print(answers[0] if abs(answers[0] - answers[1]) < 1e-4 else math.nan, flush=True)
            continue
        if way == "cpu":
            print(cpu, flush=True)
            continue
        if way not in trainers:
            trainers[way] = Trainer(way, folder, batches)
        seconds, cpu = trainers[way].step()
        print(seconds, flush=True)


# ---- a training --------------------------------------------------------------------------------------------------


def read_config(path, changes):
    config = {"threads": 2, "planes": 1, "epochs": 100, "batch_size": 256, "lr": 1e-3, "seed": 42}
    lines = [line.split("#")[0].partition(":") for line in open(path)]
    for key, _, value in lines + [change.partition("=") for change in changes]:
        value = value.strip()
        if value:
            number = value.replace(".", "").isdigit()
            config[key.strip()] = (float(value) if "." in value else int(value)) if number else value
    return config


def read_data(path):
    tensors = read_tensors(path)
    iq = torch.view_as_real(torch.from_numpy(tensors["iq"].copy()))
    return iq, torch.from_numpy(tensors["label"].astype(np.int64))


@torch.no_grad()
def accuracy(model, data):
    right = sum((model(iq).argmax(1) == labels).sum().item()
                for iq, labels in zip(data[0].split(256), data[1].split(256)))
    return right / len(data[1])


def train(config, train_set, valid_set, test_set):
    torch.set_num_threads(int(config["threads"]))
    torch.manual_seed(config["seed"])
    model = Network(**config)
    adam = torch.optim.Adam(model.parameters(), lr=config["lr"])
    best, tested = -1, 0
    print(sum(p.numel() for p in model.parameters()), "parameters", flush=True)
    for epoch in range(config["epochs"]):
        start, sum_of = time.perf_counter(), 0
        for rows in torch.randperm(len(train_set[1])).split(config["batch_size"]):
            adam.zero_grad(set_to_none=True)
            loss = loss_of(model, train_set[0][rows], train_set[1][rows])
            loss.backward()
            adam.step()
            sum_of += loss.item() * len(rows)
        seconds, now = time.perf_counter() - start, accuracy(model, valid_set)
        if now > best:
            best, tested = now, accuracy(model, test_set)
        print(f"epoch {epoch}: loss {sum_of / len(train_set[1]):.4f} ({seconds:.1f} s), valid {now:.4f}", flush=True)
    print(f"test accuracy of the best epoch: {tested:.4f}")


if sys.argv[1] == "--train":
    train(read_config(sys.argv[2], sys.argv[6:]), *(read_data(path) for path in sys.argv[3:6]))
else:
    serve(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
