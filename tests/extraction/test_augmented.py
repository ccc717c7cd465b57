"""A study with augmented and resized images: run, run where there is no room, taken along."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from harness.datasets import forget_splits, residency
from harness.extraction import load
from harness.records.record import Record
from tests.extraction.runs import LENET, Run, run_inline

STUDY: dict[str, Any] = LENET | {
    "training": LENET["training"]
    | {
        "epochs": 2,
        "resize": 20,
        "augmentation": {
            "random_crop": {"padding": 2},
            "flip": True,
            "cutout": {"size": 5},
            "mixup": {"alpha": 0.3},
        },
    },
    "paired": True,
}


def records(run: Run) -> list[Record]:
    return [run.record(f"best:{method}") for method in ("shrinknets", "fixed")]


@pytest.mark.usefixtures("_no_exports")
def test_a_study_with_augmented_and_resized_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("roomy", "narrow"):
        (tmp_path / name).mkdir()
    roomy = run_inline(STUDY, tmp_path / "roomy")
    forget_splits()
    with monkeypatch.context() as patch:
        patch.setattr(residency, "SHARE", 0.0)
        narrow = run_inline(STUDY, tmp_path / "narrow")
    for one, other in zip(records(roomy), records(narrow), strict=True):
        assert one.outcome() == other.outcome(), "what is kept where changes nothing"
        assert "mapped into memory" in one.provenance["residence"]
        assert "read from the cache as stored" in other.provenance["residence"]

    best = records(roomy)[0]
    folder, told = roomy.extract(best.trial_id)
    assert "Equal to the record, bit for bit" in told
    network = load(folder, raw=True)
    with np.load(roomy.data_root / "digits16.npz") as arrays, torch.no_grad():
        right = network(torch.from_numpy(arrays["x_test"])).argmax(1).numpy() == arrays["y_test"]
    assert right.mean() == pytest.approx(best.test_score)
