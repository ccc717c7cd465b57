"""Local weights: found, held against the networks when planned, in the trial's identity, and loaded."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from harness.architectures.mlp import MLP
from harness.datasets.base import DataError
from harness.runs.run import plan_study
from harness.runs.trial_runner import TrialRunner
from harness.study.file import load_study
from harness.study.parts import StudyError
from harness.study.plan import Plan

_STUDY = """
name: started
datasets: [digits]
architectures:
  - {{name: mlp, options: {{hidden_layers: 1}}, widths: {{low: {low}, high: 6}}, weights: {weights}}}
methods: [fixed, shrinknets]
trials: 2
training: {{epochs: 1, batch_size: 64}}
claim: {{baseline: fixed, n: 1}}
"""


def _tensors(outputs: int = 10, hidden: int = 6) -> dict[str, Tensor]:
    torch.manual_seed(7)
    return MLP(1).build((1, 8, 8), outputs, {"hidden1": hidden}).state_dict()


def _plan(folder: Path, tensors: dict[str, Tensor], low: int = 6, name: str = "net.safetensors") -> Plan:
    folder.mkdir(exist_ok=True)
    save_file(tensors, folder / name)
    (folder / "study.yaml").write_text(_STUDY.format(low=low, weights=name), encoding="utf-8")
    return plan_study(str(folder / "study.yaml"), None)


def _started(plan: Plan, arm: str) -> dict[str, Tensor]:
    runner = TrialRunner(plan, None)
    trial = plan.frozen[f"digits/mlp/{arm}", 0][0]
    _, network, _ = runner.start(trial, runner.split(trial))
    return network.state_dict()


@pytest.mark.parametrize("arm", ["fixed", "shrinknets"])
def test_networks_start_with_the_weights_of_the_file(tmp_path: Path, arm: str) -> None:
    tensors = _tensors()
    started = _started(_plan(tmp_path, tensors), arm)
    assert all(torch.equal(started[name], tensor) for name, tensor in tensors.items())
    assert ("hidden1.gate" in started) == (arm == "shrinknets")


@pytest.mark.parametrize("classes", [1000, None])
def test_what_depends_on_the_number_of_outputs_starts_anew(tmp_path: Path, classes: int | None) -> None:
    tensors = _tensors(classes or 10)
    if classes is None:
        tensors = {name: tensor for name, tensor in tensors.items() if not name.startswith("output")}
    started = _started(_plan(tmp_path, tensors), "fixed")
    assert torch.equal(started["hidden1.weight"], tensors["hidden1.weight"])
    assert started["output.weight"].shape == (10, 6)


@pytest.mark.parametrize(
    ("low", "changes", "message"),
    [
        (2, {}, "weights, with fixed: net.safetensors does not fit a network with hidden1: "),
        (
            6,
            {"hidden1.weight": torch.zeros(6, 63)},
            "hidden1.weight is [6, 63] there and [6, 64] in",
        ),
        (6, {"hidden1.bias": None}, "hidden1.bias is missing"),
        (6, {f"more{i}": torch.zeros(1) for i in range(5)}, "has no more2, and 2 more"),
    ],
)
def test_weights_that_do_not_fit_are_refused_when_planned(
    tmp_path: Path, low: int, changes: dict[str, Any], message: str
) -> None:
    tensors = {name: tensor for name, tensor in (_tensors() | changes).items() if tensor is not None}
    with pytest.raises(StudyError) as raised:
        _plan(tmp_path, tensors, low)
    assert f"{tmp_path / 'study.yaml'}: architectures.mlp.weights" in str(raised.value)
    assert message in str(raised.value)


def test_a_file_is_looked_for_beside_the_study_and_then_in_the_data_folder(tmp_path: Path) -> None:
    plan, data = _plan(tmp_path / "study", _tensors()), tmp_path / "data"
    data.mkdir()
    file, study = tmp_path / "study" / "net.safetensors", tmp_path / "study" / "study.yaml"
    file.rename(data / file.name)
    moved = plan_study(str(study), data)
    assert moved.to_json() == plan.to_json(), "what it holds decides, not where it lies"
    (data / file.name).write_bytes(b"12345678no")
    with pytest.raises(StudyError, match="cannot be read as safetensors"):
        plan_study(str(study), data)
    (data / file.name).unlink()
    with pytest.raises(StudyError) as raised:
        plan_study(load_study(study), data)
    assert str(raised.value).endswith(f"is not there; looked for {file} or {data / file.name}")


def test_other_weights_are_other_trials_and_none_leave_ids_as_they_are(tmp_path: Path) -> None:
    first = _plan(tmp_path, _tensors())
    ids = {trial.id for trials in first.frozen.values() for trial in trials}
    other = _plan(tmp_path, {name: tensor + 1 for name, tensor in _tensors().items()})
    assert not ids & {trial.id for trials in other.frozen.values() for trial in trials}
    assert "weights" not in load_study("quickstart").architectures[0].identity()
    with pytest.raises(DataError, match="the content changed while the study ran"):
        _started(first, "fixed")
