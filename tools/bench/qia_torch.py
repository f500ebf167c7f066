"""QIA in PyTorch, answering bench/qia line by line. Run by it, with the Python of MOIRE_PYTHON.

    qia_torch.py FOLDER THREADS REFERENCE

FOLDER holds weights.safetensors and, as int32, batches.bin (ids and answers of each batch of 256 by 50) and users.bin
(ids of each test user, history lengths, histories and targets); REFERENCE is the folder of the published model.

    loss           the loss of the first batch by the weights, without dropout
    eager          seconds of a training step on the next batch
    compiled       the same, by torch.compile (the first call compiles)
    bf16           the same with autocast to bf16
    rank           seconds of ranking all users
    hits           how many targets were among the 20 best
"""
import sys
import time
from types import SimpleNamespace

import numpy as np
import torch
from torch import nn

folder, threads, reference = sys.argv[1], int(sys.argv[2]), sys.argv[3]
sys.path.insert(0, reference)
from qia import QIARecWOFModel  # noqa: E402
from safetensors_io import load  # noqa: E402

LENGTH, BATCH = 50, 256
torch.set_num_threads(threads)
torch.manual_seed(1)

weights, _ = load(f"{folder}/weights.safetensors")
items = weights["item_embeddings.weight"].shape[0]
args = SimpleNamespace(item_size=items, hidden_size=64, num_hidden_layers=2, num_attention_heads=4, inner_size=256,
                       hidden_dropout_prob=0.5, attention_probs_dropout_prob=0.5, max_seq_length=LENGTH,
                       initializer_range=0.02, band_kernel_sizes=[3, 7, 15, 31], band_dilations=[1, 2, 4, 8])
raw = np.fromfile(f"{folder}/batches.bin", np.int32).reshape(-1, BATCH * (LENGTH + 1))
batches = [(torch.from_numpy(r[:BATCH * LENGTH].reshape(BATCH, LENGTH).astype(np.int64)),
            torch.from_numpy(r[BATCH * LENGTH:].astype(np.int64))) for r in raw]


def make():
    model = QIARecWOFModel(args)
    model.load_state_dict({k: torch.from_numpy(v.copy()) for k, v in weights.items()})
    return model


def loss_of(model, ids, answers):
    logits = model(ids)[:, -1, :] @ model.item_embeddings.weight.T
    return nn.functional.cross_entropy(logits, answers)


class Trainer:
    def __init__(self, compiled, bf16=False):
        self.model = make().train()
        self.loss = torch.compile(loss_of) if compiled else loss_of
        self.bf16 = bf16
        self.adam = torch.optim.Adam(self.model.parameters(), lr=1e-3, fused=compiled)
        self.at = 0

    def step(self):
        ids, answers = batches[self.at % len(batches)]
        self.at += 1
        start = time.perf_counter()
        self.adam.zero_grad(set_to_none=True)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.bf16):
            loss = self.loss(self.model, ids, answers)
        loss.backward()
        self.adam.step()
        return time.perf_counter() - start


def read_users():
    flat = np.fromfile(f"{folder}/users.bin", np.int32)
    n = flat[0]
    at = 1 + n * LENGTH
    ids = torch.from_numpy(flat[1:at].reshape(n, LENGTH).astype(np.int64))
    lengths, targets = flat[at:at + n], torch.from_numpy(flat[at + n:at + 2 * n].astype(np.int64))
    histories = torch.from_numpy(flat[at + 2 * n:].astype(np.int64))
    rows = torch.from_numpy(np.repeat(np.arange(n), lengths))
    return ids, targets, rows, histories


class Ranker:
    """As the published evaluation: all scores, history set to 0, the 20 best, and where the target is."""

    def __init__(self):
        self.model = make().eval()
        self.ids, self.targets, self.rows, self.histories = read_users()
        self.hits = 0

    @torch.no_grad()
    def run(self):
        start = time.perf_counter()
        self.hits = 0
        for begin in range(0, len(self.ids), BATCH):
            end = min(begin + BATCH, len(self.ids))
            scores = self.model(self.ids[begin:end])[:, -1, :] @ self.model.item_embeddings.weight.T
            mine = (self.rows >= begin) & (self.rows < end)
            scores[self.rows[mine] - begin, self.histories[mine]] = 0
            best = scores.topk(20).indices
            self.hits += int((best == self.targets[begin:end, None]).sum())
        return time.perf_counter() - start


made = {}


def get(name, build):
    if name not in made:
        made[name] = build()
    return made[name]


print("ready", flush=True)
for line in sys.stdin:
    command = line.strip()
    if command == "loss":
        with torch.no_grad():
            answer = loss_of(make().eval(), *batches[0]).item()
    elif command in ("eager", "compiled", "bf16"):
        answer = get(command, lambda: Trainer(command != "eager", command == "bf16")).step()
    elif command == "rank":
        answer = get("rank", Ranker).run()
    else:
        answer = made["rank"].hits
    print(answer, flush=True)
