"""Exports the published QIA with its loss, in training mode, at the size of LastFM. Run by bench/imported, with the
Python of MOIRE_PYTHON, or by hand:

    imported_torch.py REFERENCE FILE.pt2

REFERENCE is the folder of the published model.
"""
import sys
from types import SimpleNamespace

import torch
from torch import nn

reference, file = sys.argv[1:]
sys.path.insert(0, reference)
from qia import QIARecWOFModel  # noqa: E402


class WithLoss(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids, answers):
        return {"loss": self.model.calculate_loss(input_ids, answers, None, None, None)}


torch.manual_seed(42)
args = SimpleNamespace(item_size=3647, hidden_size=64, num_hidden_layers=2, num_attention_heads=4, inner_size=256,
                       hidden_dropout_prob=0.5, attention_probs_dropout_prob=0.5, max_seq_length=50,
                       initializer_range=0.02, band_kernel_sizes=[3, 7, 15, 31], band_dilations=[1, 2, 4, 8])
batch = torch.export.Dim("B", min=2)
inputs = (torch.ones(4, 50, dtype=torch.int64), torch.ones(4, dtype=torch.int64))
program = torch.export.export(WithLoss(QIARecWOFModel(args)).train(), inputs, dynamic_shapes=({0: batch}, {0: batch}))
torch.export.save(program, file)
