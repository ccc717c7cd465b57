"""Data sets that a Python object gives example by example, named as an attribute of a module or file."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.datasets import DatasetSpec, prepare
from harness.datasets.preparation import decoded
from harness.plugins import files
from tests.datasets.kinds import Refusal

CODE = """
import random
import torch
from PIL import Image

class Points(torch.utils.data.Dataset):
    def __init__(self, train, scale=1.0, root=None):
        self.count = 12 if train else 3
        self.scale = scale if root is None else float(open(root).read())
    def __len__(self):
        return self.count
    def __getitem__(self, number):
        return torch.full((2,), number * self.scale), torch.tensor(number % 3)

class Measured(Points):
    def __getitem__(self, number):
        return [0.5 * number, 1.0], number / 2

class Pictures(Points):
    def __getitem__(self, number):
        return Image.new("RGB", (4 + number % 2, 4), (number, 0, 0)), number % 3

class Bad(Points):
    def __getitem__(self, number):
        if number == 7:
            raise OSError("disk\\non fire")
        return super().__getitem__(number)

class Odd(Points):
    def __getitem__(self, number):
        return torch.zeros(2 + number // 5), 1

class Random(Points):
    def __getitem__(self, number):
        return torch.rand(2), number % 3

class Single(Points):
    def __getitem__(self, number):
        return torch.zeros(2)

one, other, none = Points(True), Points(False), []
"""


@pytest.fixture
def points(tmp_path: Path) -> Callable[..., DatasetSpec]:
    file = tmp_path / "points.py"
    file.write_text(CODE)
    files.load_file(file)

    def spec(attribute: str, path: str | None = None, **settings: Any) -> DatasetSpec:
        return DatasetSpec("mine", f"points.py:{attribute}", path, settings)

    return spec


Spec = Callable[..., DatasetSpec]


def test_a_class_is_asked_for_both_parts(points: Spec, cache: Path, tmp_path: Path) -> None:
    entry = decoded(points("Points", options={"scale": 2.0}), tmp_path, cache)
    assert entry.array("x_train")[:, 0].tolist() == [2.0 * number for number in range(12)]
    assert entry.array("y_test").tolist() == [0, 1, 2]


def test_an_object_has_its_test_part_named_or_drawn(points: Spec, cache: Path, tmp_path: Path) -> None:
    named = prepare(points("one", test="points.py:other"), tmp_path, cache)
    assert (named.train_examples, named.test_examples) == (12, 3)
    assert named.fingerprint == prepare(points("Points"), tmp_path, cache).fingerprint
    drawn = decoded(points("one", test_fraction=0.25), tmp_path, cache)
    assert sorted(drawn.array("y_test")) == [0, 1, 2]


def test_numbers_as_targets_and_images_of_pillow(points: Spec, cache: Path, tmp_path: Path) -> None:
    measured = prepare(points("Measured"), tmp_path, cache)
    assert (measured.target, measured.example_shape, measured.outputs) == ("numbers", (2,), 1)
    pictures = prepare(points("Pictures", resize=[4, 4]), tmp_path, cache)
    assert pictures.example_shape == (3, 4, 4)


def test_what_is_read_is_handed_over_and_looked_at(points: Spec, cache: Path, tmp_path: Path) -> None:
    spec = points("Points", "scale.txt")
    for scale in (3.0, 4.0):
        (tmp_path / "scale.txt").write_text(str(scale))
        assert decoded(spec, tmp_path, cache).array("x_train")[1, 0] == np.float32(scale)


@pytest.mark.parametrize(
    ("attribute", "settings", "sentence"),
    [
        ("Pointz", {}, "points.py:Pointz: points.py has no attribute 'Pointz'; did you mean 'Points'?"),
        ("Bad", {}, "points.py:Bad: example 7 raised OSError: disk on fire"),
        (
            "Odd",
            {},
            "points.py:Odd: example 5: x of shape (3,) and type float32 found, (2,) and float32",
        ),
        ("Random", {}, "points.py:Random: example 0 is another each time that it is asked for"),
        ("Single", {}, "points.py:Single: example 0: tensor([0., 0.]) found, a pair (x, y) is needed"),
        ("Pictures", {}, "points.py:Pictures: example 1: x of shape (3, 4, 5) and type uint8 found"),
        (
            "one",
            {},
            "data set 'mine': points.py:one is one object; `test: module:attribute` or `test",
        ),
        (
            "one",
            {"options": {"a": 1}, "test_fraction": 0.5},
            "points.py:one is an object and is not called",
        ),
        ("none", {"test_fraction": 0.5}, "points.py:none: no examples found, at least one is needed"),
        (
            "Points",
            {"options": {"size": 1}},
            "points.py:Points: calling it with (size=1, train=True) raised",
        ),
        (
            "Points",
            {"channels": "last"},
            "data set 'mine': points.py:Points has no option 'channels'",
        ),
    ],
)
def test_bad_examples(
    points: Spec, refusal: Refusal, tmp_path: Path, attribute: str, settings: dict[str, Any], sentence: str
) -> None:
    assert sentence in refusal(points(attribute, **settings), tmp_path)


def test_a_module_that_is_not_there(refusal: Refusal) -> None:
    message = refusal(DatasetSpec("mine", "no_such_module:Points"), None)
    assert message == "data set 'mine': no_such_module:Points: there is no module 'no_such_module'"
