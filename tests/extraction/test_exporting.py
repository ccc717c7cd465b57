"""A network that torch cannot trace keeps its weights; why the export failed is said."""

from pathlib import Path

import torch
from torch import Tensor, nn

from harness.extraction.exporting import export_all


class _DependsOnData(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x if float(x.sum()) > 0 else -x


def test_what_cannot_be_traced_is_reported_and_leaves_no_file(tmp_path: Path) -> None:
    failures = export_all(_DependsOnData().eval(), torch.ones(2, 3), tmp_path)
    assert failures.keys() == {"model.onnx", "model.pt2"}
    assert all(": " in reason for reason in failures.values())
    assert list(tmp_path.iterdir()) == []
