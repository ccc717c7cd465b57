"""A description of a network that asks for too much, or is none, is refused before anything is made of it."""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_model

from harness.architectures.mlp import MLP
from harness.datasets.base import Normalisation
from harness.extraction import ExtractionError, load
from harness.extraction.description import FILE, WEIGHTS, Description, write_description
from tests.making import put

Fields = dict[str, Any]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    sizes = {"hidden1": 3}
    about = Description(
        *("study", "trial", "arm", "mlp", {"hidden_layers": 1}, {}, (1, 2, 2), 2, 2, sizes),
        Normalisation((0.0,), (1.0,)),
        *(1, 0.5, 0.5),
    )
    write_description(tmp_path, about)
    save_model(MLP(hidden_layers=1).build((1, 2, 2), 2, sizes), str(tmp_path / WEIGHTS))
    return tmp_path


def test_a_sound_one_is_loaded(folder: Path) -> None:
    assert load(folder)(torch.zeros(5, 1, 2, 2)).shape == (5, 2)


LINEAR = {"make": "torch.nn:Linear", "arguments": {"in_features": 10**7, "out_features": 10**7}}


@pytest.mark.parametrize(
    ("place", "value", "told"),
    [
        ("options.hidden_layers", 10**9, "hidden_layers must be at least 1 and at most 1,000"),
        ("sizes.hidden1", 10**12, r"would take \d+,[0,]+.* bytes, more than the"),
        ("outputs", 10**12, "would take"),
        ("example_shape", [1, 10**6, 10**6], "would take"),
        ("alterations", [{"path": "relu1", "module": LINEAR}], "would take 400,000,040,000,000 bytes"),
        ("shapes", {"hidden1.weight": [10**7, 10**7]}, "would take more than this machine's memory"),
    ],
)
def test_what_it_declares_must_fit_into_memory(folder: Path, place: str, value: object, told: str) -> None:
    fields = json.loads((folder / FILE).read_text())
    (folder / FILE).write_text(json.dumps(put(fields, place, value)))
    began = time.process_time()
    with pytest.raises(ExtractionError, match=told):
        load(folder)
    assert time.process_time() - began < 2


TEXTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "digits": (
        lambda file: file.write_text('{"outputs": ' + "9" * 5000 + "}"),
        "is not JSON: Exceeds the limit",
    ),
    "nesting": (lambda file: file.write_text("[" * 100_000), "is not JSON"),
    "bytes": (lambda file: file.write_bytes(b"\xff"), "is not JSON"),
    "size": (
        lambda file: file.write_text(" " * 10_000_001),
        "has 10,000,001 bytes; up to",
    ),
    "a pipe": (os.mkfifo, "is a pipe and no file"),
}


@pytest.mark.parametrize("what", TEXTS)
def test_what_is_no_description_is_refused(folder: Path, what: str) -> None:
    make, told = TEXTS[what]
    (folder / FILE).unlink()
    make(folder / FILE)
    with pytest.raises(ExtractionError, match=told):
        load(folder)
