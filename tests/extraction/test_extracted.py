"""What lies in the folder: a plain network equal to the trained one, in every form it is written in."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from harness.datasets.preparation import decoded
from harness.extraction import load
from harness.extraction.description import read_description
from harness.extraction.plain import relative_difference
from harness.extraction.replanning import replan
from harness.extraction.retraining import Retrained, retrain
from harness.objectives.classification import Classification
from harness.registry import make_architecture
from harness.runs.trial_runner import TrialRunner
from harness.sizing.gates.units import gates
from harness.training.scoring import evaluate
from tests.extraction.runs import Extracted


@pytest.fixture(scope="module")
def trained(extracted: Extracted) -> Retrained:
    """The same network as training leaves it, gates and all."""
    run = extracted.run
    plan, trial = replan(run.directory, extracted.record, run.data_root, ())
    return retrain(TrialRunner(plan, run.data_root), trial, extracted.record, lambda epoch: None)


def _summary(extracted: Extracted) -> dict[str, Any]:
    summary: dict[str, Any] = json.loads((extracted.folder / "summary.json").read_text())
    return summary


def test_the_folder_holds_all_forms_and_nothing_else(extracted: Extracted) -> None:
    names = {path.name for path in extracted.folder.iterdir()}
    assert names == {"model.safetensors", "architecture.json", "model.onnx", "model.pt2", "summary.json"}
    assert [path.name for path in extracted.folder.parent.iterdir()] == [extracted.record.trial_id]
    modes = {path.stat().st_mode for path in extracted.folder.iterdir()}
    assert len(modes) == 1, "who may read one file may read all"


def test_training_again_gives_the_record_bit_for_bit(extracted: Extracted, trained: Retrained) -> None:
    record = extracted.record
    assert trained.differences == ()
    again, recorded = (
        [epoch.outcome() for epoch in epochs]
        for epochs in (trained.epochs, record.epochs[: record.selected_epoch])
    )
    assert again == recorded
    assert (trained.val_score, trained.test_score) == (record.val_score, record.test_score)
    assert _summary(extracted)["agreement"]["equal_to_record"] is True
    assert "Equal to the record, bit for bit" in extracted.told


def test_the_loaded_network_is_plain_and_computes_what_the_trained_one_does(
    extracted: Extracted, trained: Retrained
) -> None:
    assert gates(trained.network), "there were gates to be folded"
    network = load(extracted.folder)
    assert {type(module) for module in network.modules()} <= {
        nn.Sequential, nn.Flatten, nn.Linear, nn.ReLU, nn.Conv2d, nn.MaxPool2d
    }  # fmt: skip
    assert not any("gate" in name for name in network.state_dict())
    assert not network.training
    x = trained.split.test.x
    with torch.no_grad():
        assert relative_difference(trained.network.eval()(x), network(x)) <= 1e-5
    assert evaluate(network, trained.split.test, Classification())[1] == extracted.record.test_score
    assert evaluate(network, trained.split.validation, Classification())[1] == extracted.record.val_score


def test_the_description_rebuilds_it_with_the_sizes_that_were_left(extracted: Extracted) -> None:
    about, record = read_description(extracted.folder), extracted.record
    assert record.start_size is not None
    assert record.selected_size is not None
    assert about.sizes == record.selected_size.units
    assert sum(about.sizes.values()) < sum(record.start_size.units.values()), "units were removed"
    assert (about.trial_id, about.arm, about.selected_epoch) == (
        record.trial_id,
        record.arm,
        record.selected_epoch,
    )
    assert about.classes == about.outputs == 10
    fresh = make_architecture(about.family, about.options).build(
        about.example_shape, about.outputs, about.sizes
    )
    network = load(extracted.folder)
    fresh.load_state_dict(network.state_dict())
    x = torch.randn(5, *about.example_shape)
    with torch.no_grad():
        assert torch.equal(fresh.eval()(x), network(x))


def test_raw_input_is_normalised_as_the_data_were(extracted: Extracted, trained: Retrained) -> None:
    plan, _ = replan(extracted.run.directory, extracted.record, extracted.run.data_root, ())
    spec = plan.dataset(plan.arms[extracted.record.arm])
    raw = torch.from_numpy(np.array(decoded(spec, extracted.run.data_root).array("x_test")))
    network = load(extracted.folder, raw=True)
    assert torch.equal(network.get_submodule("0")(raw), trained.split.test.x[:])
    with torch.no_grad():
        score = (network(raw).argmax(1) == trained.split.test.y).double().mean()
    assert float(score) == pytest.approx(extracted.record.test_score)


@pytest.mark.parametrize("batch", [1, 7])
def test_onnx_and_torch_export_agree_for_any_batch(extracted: Extracted, batch: int) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    network = load(extracted.folder)
    x = torch.randn(batch, *read_description(extracted.folder).example_shape)
    with torch.no_grad():
        wanted = network(x)
        program = torch.export.load(extracted.folder / "model.pt2").module()(x)
    session = onnxruntime.InferenceSession(extracted.folder / "model.onnx")
    assert [axis.name for axis in (*session.get_inputs(), *session.get_outputs())] == ["input", "output"]
    (onnx,) = session.run(None, {"input": x.numpy()})
    assert relative_difference(wanted, program) <= 1e-5
    assert relative_difference(wanted, torch.from_numpy(onnx)) <= 1e-5


_FRESH = """
import sys, pickle, torch
def refuse(*_, **__): raise SystemExit("pickle was used")
class Unpickler(pickle.Unpickler):
    def __init__(self, *_, **__): refuse()
pickle.load = pickle.loads = torch.load = refuse
pickle.Unpickler = Unpickler
from harness.extraction import load
network = load(sys.argv[1])
shape = tuple(map(int, sys.argv[2].split(",")))
x = torch.linspace(-1, 1, 3 * torch.Size(shape).numel()).view(3, *shape)
print(network(x).double().sum().item(), *sorted(name for name in ("ray", "optuna") if name in sys.modules))
"""


def test_a_fresh_process_rebuilds_it_without_pickle(extracted: Extracted) -> None:
    shape = read_description(extracted.folder).example_shape
    command = [sys.executable, "-c", _FRESH, str(extracted.folder), ",".join(map(str, shape))]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path.cwd())
    assert done.returncode == 0, done.stderr
    x = torch.linspace(-1, 1, 3 * torch.Size(shape).numel()).view(3, *shape)
    with torch.no_grad():
        wanted = load(extracted.folder)(x).double().sum().item()
    total, *heavy = done.stdout.split()
    assert float(total) == pytest.approx(wanted, rel=1e-5)
    assert heavy == []


def test_loading_leaves_the_callers_random_numbers_alone(extracted: Extracted) -> None:
    torch.manual_seed(3)
    wanted = torch.rand(2)
    torch.manual_seed(3)
    load(extracted.folder)
    assert torch.equal(torch.rand(2), wanted)


def test_the_summary_says_how_fast_and_how_small(extracted: Extracted) -> None:
    summary, record = _summary(extracted), extracted.record
    assert record.start_size is not None
    assert record.selected_size is not None
    assert summary["size"]["start"]["units"] == record.start_size.units
    assert summary["size"]["start"]["parameters"] == record.start_size.parameters
    assert summary["size"]["start"]["macs"] == record.start_size.macs
    assert summary["size"]["extracted"]["parameters"] == record.selected_size.parameters
    assert summary["size"]["extracted"]["macs"] == record.selected_size.macs
    timed = [(speed["network"], speed["device"], speed["batch_size"]) for speed in summary["speed"]]
    assert timed == [(name, "cpu", batch) for batch in (1, 256) for name in ("extracted", "start")]
    for speed in summary["speed"]:
        low, high = speed["latency_quartiles_ms"]
        assert 0 < low <= speed["latency_ms"] <= high
        assert speed["throughput"] == pytest.approx(1e3 * speed["batch_size"] / speed["latency_ms"])
        assert (speed["threads"], speed["repeats"]) == (1, 31)
    assert summary["failed_exports"] == {}
    assert len(summary["epochs"]) == record.selected_epoch
