"""The median time of PyTorch, and of ONNX Runtime if its export works, for what bench/aot_latency measures: one history
to its top 20 by QIA, on one thread. Run by it, with the Python of MOIRE_PYTHON, where ../shared is.

    aot_latency.py SHARED CHECKPOINT
"""
import json
import statistics
import struct
import sys
import time
import types

import numpy
import torch

shared, checkpoint = sys.argv[1], sys.argv[2]
sys.path.insert(0, shared + "/reference")
from qia import QIARecWOFModel  # noqa: E402

torch.set_num_threads(1)


def load():
    with open(checkpoint, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        data = file.read()
    config = json.loads(header.pop("__metadata__")["config"])
    model = QIARecWOFModel(types.SimpleNamespace(**config))
    state = {}
    for name, tensor in header.items():
        begin, end = tensor["data_offsets"]
        array = numpy.frombuffer(data[begin:end], dtype=numpy.float32).reshape(tensor["shape"])
        state[name] = torch.from_numpy(array.copy())
    model.load_state_dict(state)
    return model.eval(), config


class Top(torch.nn.Module):
    """From padded ids to the 20 best items that are not in the history."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, ids):
        hidden = self.model(ids)
        hidden = hidden[-1] if isinstance(hidden, (list, tuple)) else hidden
        scores = hidden[:, -1, :] @ self.model.item_embeddings.weight.T
        return scores.scatter(1, ids, float("-inf")).topk(20, dim=1).indices


def median(call, rows, seconds=3.0):
    for row in rows[:30]:
        call(row)
    times, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end:
        for row in rows:
            start = time.perf_counter()
            call(row)
            times.append(time.perf_counter() - start)
    return 1e6 * statistics.median(times)


model, config = load()
generator = numpy.random.default_rng(1)
rows = [torch.from_numpy(generator.integers(1, config["item_size"], (1, config["max_seq_length"]))) for _ in range(100)]
top = Top(model)
with torch.inference_mode():
    print(f"PyTorch {torch.__version__}, eager: {median(top, rows):.0f} us", flush=True)
    try:
        compiled = torch.compile(top, mode="max-autotune-no-cudagraphs")
        print(f"PyTorch {torch.__version__}, compiled: {median(compiled, rows):.0f} us", flush=True)
    except Exception as error:
        print(f"PyTorch, compiled: {type(error).__name__}: {str(error).splitlines()[0]}", flush=True)
try:
    import io

    import onnxruntime

    exported = io.BytesIO()
    torch.onnx.export(top, (rows[0],), exported, input_names=["ids"], dynamo=False)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(exported.getvalue(), options, providers=["CPUExecutionProvider"])
    arrays = [row.numpy() for row in rows]
    print(f"ONNX Runtime {onnxruntime.__version__}: {median(lambda x: session.run(None, {'ids': x}), arrays):.0f} us")
except Exception as error:
    print(f"ONNX Runtime: {type(error).__name__}: {str(error).splitlines()[0]}")
