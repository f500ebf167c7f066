"""A training step of Indra in PyTorch, answering bench/language line by line. Run by it, with the Python of MOIRE_PYTHON.

    language_torch.py THREADS REFERENCE

REFERENCE is the folder with indra.py, the model as published.

    eager, compiled, bf16    seconds of a step: eager, by torch.compile, the same with autocast to bf16; nan if it fails
    peak                     MiB that the process has taken at most by the end of its first eager steps
"""
import math
import resource
import sys
import time

import torch

threads, reference = int(sys.argv[1]), sys.argv[2]
sys.path.insert(0, reference)
from indra import Indra  # noqa: E402

ROWS, LENGTH, WORDS = 32, 128, 32000
torch.set_num_threads(threads)
torch.manual_seed(1)
ids = (torch.arange(ROWS * LENGTH) * 7919 % WORDS).view(ROWS, LENGTH)
targets = torch.nn.functional.pad(ids[:, 1:], (0, 1), value=-100)
peak = 0


def loss_of(model):
    return torch.nn.functional.cross_entropy(model(ids)["logits"].flatten(0, 1), targets.flatten())


class Trainer:
    def __init__(self, compiled, bf16=False):
        self.model = Indra({"vocab_size": WORDS, "max_positions": LENGTH}).train()
        self.loss = torch.compile(loss_of) if compiled else loss_of
        self.bf16 = bf16
        self.adam = torch.optim.AdamW([p for p in self.model.parameters() if p.requires_grad], lr=1e-4, fused=compiled)

    def step(self):
        start = time.perf_counter()
        self.adam.zero_grad(set_to_none=True)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.bf16):
            loss = self.loss(self.model)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.adam.step()
        return time.perf_counter() - start


made = {}
print("ready", flush=True)
for line in sys.stdin:
    command = line.strip()
    try:
        if command == "peak":
            answer = peak
        else:
            if command not in made:
                made[command] = Trainer(command != "eager", command == "bf16")
            answer = made[command].step()
            if command == "eager" and len(made) == 1:
                peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    except Exception as failure:  # torch.compile may not know an operation
        print(failure, file=sys.stderr)
        answer = math.nan
    print(answer, flush=True)
