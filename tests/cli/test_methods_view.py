"""`harness methods`: what there is, the papers it is from, and what would be searched in a cell."""

import inspect
from pathlib import Path
from typing import Any

import pytest

from harness import registry
from harness.cli.views.parts import source_of
from harness.datasets import prepare
from harness.study.file import load_study
from harness.study.parts import StudyError
from harness.study.spaces import spaces_of_cell, spaces_of_study

#: Methods that are nobody's idea in particular.
_OF_NO_PAPER = {"fixed", "l2"}


def _prepared(spec: Any) -> Any:
    return prepare(spec, None)


def test_every_method_but_the_baselines_names_its_paper() -> None:
    parts = {name: registry.load("methods", name) for name in registry.METHODS}
    methods = {name: part for name, part in parts.items() if "controls" not in part.__module__}
    assert {name for name, part in methods.items() if not source_of(part)} == _OF_NO_PAPER
    assert source_of(parts["shrinknets"]) == "ShrinkNets (Leclerc, Castro Fernandez, Madden)"
    assert all(inspect.getdoc(part) for part in parts.values())


def test_what_is_searched_in_a_named_cell() -> None:
    [found] = spaces_of_cell("digits", "mlp", _prepared)
    assert found.cell == "digits/mlp"
    assert set(found.entries) == set(registry.names("methods"))
    assert found.entries["shrinknets"] == "lambda: 1e-05-0.01 (log)"
    assert "hidden1: 1-512" in found.entries["fixed"]
    assert found.entries["obs"].startswith("refused: the network starts with"), "in the words of its check"
    assert found.entries["scratch-e"] == "nothing: its trials begin from those of another arm"


def test_what_a_study_writes_of_a_method_goes_before_its_own() -> None:
    [found] = spaces_of_study(load_study("quickstart"), "quickstart", _prepared)
    assert found.entries["shrinknets"] != "lambda: 1e-05-0.01 (log)"
    assert "top-k" in found.entries


def test_a_cell_that_cannot_be_is_one_sentence(harness_command: Any, tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"^harness methods: --architecture resnet: resnet needs images"):
        spaces_of_cell("sine", "resnet", _prepared)
    ended = harness_command("methods", "--dataset", "digits")
    assert ended.code == 2
    assert ended.err.strip().endswith("name a study, or a cell with both --dataset and --architecture")
