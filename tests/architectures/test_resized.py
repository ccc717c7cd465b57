"""Networks that take no widths, in studies: cut to the sizes that trials draw."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import harness
from harness import registry
from harness.datasets import DatasetFacts, DatasetSpec
from harness.plugins import attributes, files
from harness.search.space import Choice, Float, Int
from harness.sizing.multiplier import Multiplier
from harness.study.parts import StudyError
from harness.study.plan import Plan
from tests.making import Fields, plan_of

_FILE = """
import torch
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

class Net(nn.Module):
    def __init__(self, num_classes, width=8, inner=6):
        super().__init__()
        self.conv1, self.norm = nn.Conv2d(3, width, 3, padding=1), nn.GroupNorm(2, width)
        self.inner, self.back = nn.Conv2d(width, inner, 1), nn.Conv2d(inner, width, 1)
        self.fc, self.fixed = nn.Linear(width, 4), nn.Linear(4, 4)
        self.output = nn.Linear(4, num_classes)
        self.gain = nn.Parameter(torch.ones(inner) * 2)
        self.scale = 8**-0.5

    def forward(self, x):
        x = self.norm(self.conv1(x))
        x = x + self.back(self.inner(x).relu() * self.gain[:, None, None])
        return self.output(self.fixed(self.fc(x.mean((2, 3)) * self.scale)).view(-1, 4))

class Normed(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.inner, self.output = weight_norm(nn.Linear(192, 6)), nn.Linear(6, num_classes)

    def forward(self, x):
        return self.output(self.inner(x.flatten(1)).relu())

def halve(network):
    for parameter in network.parameters():
        nn.init.constant_(parameter, 0.5)
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(registry, "_from_files", {kind: {} for kind in registry._from_files})
    monkeypatch.setattr(files, "_by_name", {})
    path = tmp_path / "net.py"
    path.write_text(_FILE, encoding="utf-8")
    return path


def _facts(spec: DatasetSpec) -> DatasetFacts:
    return DatasetFacts(spec.name, (3, 8, 8), 10, 200, 50, "f")


def _width(low: float, high: float) -> Fields:
    return {"low": low, "high": high}


def _plan(file: Path, method: Any = "fixed", plugins: Any = None, **architecture: Any) -> Plan:
    fields = {
        "name": "resized",
        "datasets": ["images"],
        "architectures": [{"name": "net", "family": "net.py:Net"} | architecture],
        "methods": [method],
        "trials": 2,
        "training": {"epochs": 1, "batch_size": 50},
        "claim": {"baseline": method if isinstance(method, str) else method["name"], "n": 1},
        "plugins": [str(file)] if plugins is None else plugins,
    }
    return plan_of(fields, _facts)


def test_one_multiplier_scales_all_widths_that_can_be_changed(file: Path) -> None:
    plan = _plan(file, widths=_width(0.3, 1.0))
    [arm] = plan.arms.values()
    assert arm.space == {"width": Float(0.3, 1.0)}
    # conv1 in steps of its two groups; the output, and what is viewed as four numbers, stay as they are.
    assert arm.reach == {"conv1": (2, 8), "inner": (2, 6), "fc": (1, 4)}
    cell, method = plan.cell(arm, {}), plan.method(arm)
    assert method.start_sizes(cell, {"width": 0.5}) == {"conv1": 4, "inner": 3, "fc": 2}
    assert _plan(file, "l2", widths=_width(0.3, 1.0)).arms["images/net/l2"].space.keys() == {
        "width",
        "weight_decay",
    }


def test_a_multiplier_gives_the_nearest_size_and_never_none() -> None:
    multiplier = Multiplier(Float(0.1, 1), {"a": 10, "b": 12}, {"a": 1, "b": 4})
    assert [multiplier.sizes(number) for number in (0.01, 0.25, 0.5, 1)] == [
        {"a": 1, "b": 4},
        {"a": 3, "b": 4},
        {"a": 5, "b": 8},
        {"a": 10, "b": 12},
    ]


def test_layers_are_chosen_by_name_by_any_that_are_coupled_or_by_pattern(file: Path) -> None:
    plan = _plan(file, widths={"norm": _width(3, 7), "inn*": _width(1, 5)}, start={"back": 6})
    [arm] = plan.arms.values()
    assert arm.space == {"conv1": Choice((4, 6)), "inner": Int(1, 5)}
    cell = plan.cell(arm, {})
    assert (cell.start, cell.steps) == ({"conv1": 6, "inner": 5}, {"conv1": 2, "inner": 1})
    every = _plan(file, widths=_width(2, 4)).arms["images/net/fixed"]
    assert every.reach == {"conv1": (2, 4), "inner": (2, 4), "fc": (2, 4)}
    listed = _plan(file, options={"layers": ["f*", "back"]}, widths=_width(2, 4)).arms["images/net/fixed"]
    assert listed.space.keys() == {"conv1", "fc"}


def test_a_trial_trains_what_its_constructor_would_have_made_at_that_width(file: Path) -> None:
    plan = _plan(file, widths=_width(0.25, 1.0))
    [arm] = plan.arms.values()
    sizes = {"conv1": 4, "inner": 3}
    torch.manual_seed(1)
    network = plan.cell(arm, {}).architecture.build((3, 8, 8), 10, sizes)
    torch.manual_seed(1)
    narrow = attributes.find("net.py:Net")(10, width=4, inner=3)
    wanted = narrow.state_dict()
    assert {path for path, own in network.state_dict().items() if not torch.equal(own, wanted[path])} == set()
    x = torch.randn(2, 3, 8, 8)
    assert torch.equal(network(x), narrow(x))


def test_a_function_of_the_study_may_start_networks_and_is_part_of_what_a_trial_is(file: Path) -> None:
    plan = _plan(file, widths=_width(0.25, 1.0), options={"initialise": "net.py:halve"})
    [arm] = plan.arms.values()
    network = plan.cell(arm, {}).architecture.build((3, 8, 8), 10, {"inner": 3})
    assert all((parameter == 0.5).all() for parameter in network.parameters())
    assert set(plan.sources[arm.key]) == {"net.py"}
    assert not any("gain" in warning for warning in plan.warnings)


def test_what_a_cut_may_get_wrong_is_told_by_name(file: Path) -> None:
    told = [warning for warning in _plan(file, widths=_width(0.25, 1.0)).warnings if "cut" in warning]
    assert told == [
        "net is cut to its widths: scale of a Net is 0.353553 and is read when the network runs; if it "
        "stands for one over the root of the width of conv1, it is wrong after a cut.",
        "net is cut to its widths: gain keeps a part of what it starts with at full width, since no call "
        "made it that can be repeated.",
    ]


@pytest.mark.parametrize(
    ("architecture", "message"),
    [
        ({"widths": {"conv1": _width(4, 9)}}, "widths: conv1 has 8 units as it is built"),
        ({"widths": {"norm": _width(5, 5)}}, "widths: units of conv1 go together by 2, and no mul"),
        ({"widths": {"fixed": _width(1, 2)}}, "widths: the width of fixed cannot be changed: its"),
        ({"widths": {"output": _width(1, 2)}}, "the width of output cannot be changed: belongs"),
        ({"widths": {"iner": _width(1, 2)}}, "widths: there is no layer 'iner'; did you mean 'inner'?"),
        ({"widths": {"x*": _width(1, 2)}}, "widths: 'x*' fits no layer; allowed: conv1,"),
        ({"widths": {"out*": _width(1, 2)}}, "widths: 'out*' fits no width that can be changed"),
        ({"widths": {"conv1": _width(4, 8), "back": _width(2, 4)}}, "widths: conv1 and back have one width"),
        ({"widths": _width(0.5, 1.5)}, "less than or equal to 1"),
        ({"widths": _width(0.5, 1), "start": {"norm": 5}}, "start: conv1 has 1 to 8 units in multiples of 2"),
        ({"widths": _width(0.5, 1), "options": {"initialise": "net.py:halv"}}, "no attribute 'halv'"),
        ({"widths": _width(0.5, 1), "options": {"depth": 3}}, "net.py:Net raised TypeError"),
        ({"widths": {"inner": _width(2, 6)}, "family": "net.py:Normed"}, "the weight of 'inner' is computed"),
    ],
)  # fmt: skip
def test_widths_that_a_network_cannot_be_cut_to_are_refused_when_planned(
    file: Path, architecture: Fields, message: str
) -> None:
    with pytest.raises((StudyError, ValueError)) as raised:
        _plan(file, **architecture)
    assert message in str(raised.value)


def test_a_family_that_is_given_sizes_has_no_multiplier(file: Path) -> None:
    with pytest.raises(StudyError, match="widths: a multiplier needs a network that is only named"):
        _plan(file, widths=_width(0.5, 1), family="mlp", plugins=[])


def test_costs_of_units_are_counted_on_networks_that_can_be_built(file: Path) -> None:
    priced = {"name": "shrinknets", "options": {"penalty_per": "parameter", "position": "norm"}}
    plan = _plan(file, priced, widths=_width(0.5, 1))
    [arm] = plan.arms.values()
    numbers = plan.method(arm).numbers(plan.cell(arm, {}), {"lambda": 1.0})
    # Of conv1: 27 weights and a bias, two of the norm, 6 that read it, 7 of what adds to it, 4 of fc.
    costs = {"conv1": 27 + 1 + 2 + 6 + 7 + 4, "inner": 8 + 1 + 1 + 8, "fc": 8 + 1 + 4}
    mean = (8 * costs["conv1"] + 6 * costs["inner"] + 4 * costs["fc"]) / 18
    prefix = "cost of "
    found = {name.removeprefix(prefix): cost for name, cost in numbers.items() if name.startswith(prefix)}
    assert found == pytest.approx({layer: cost / mean for layer, cost in costs.items()})


def test_a_space_beyond_what_there_is_is_refused(file: Path) -> None:
    beyond = {"name": "fixed", "space": {"inner": {"low": 2, "high": 7}}}
    with pytest.raises(StudyError, match=r"space\.inner: inner has 6 units as it is built"):
        _plan(file, beyond, widths=_width(2, 4))
    with pytest.raises(StudyError, match=r"space\.conv1: units go together by 2; list mult.* found 3"):
        _plan(file, {"name": "fixed", "space": {"conv1": [3, 4]}}, widths=_width(2, 4))
    with pytest.raises(StudyError, match=r"space\.width: a multiplier lies above 0 .*found 0.5 to 2"):
        _plan(file, {"name": "fixed", "space": {"width": [0.5, 2.0]}}, widths=_width(0.5, 1))


def test_heads_are_units_that_carry_gates() -> None:
    fields: Fields = {
        "name": "vit",
        "datasets": ["images"],
        "architectures": [
            {
                "name": "vit",
                "family": "torchvision.models:VisionTransformer",
                "widths": {"*.self_attention": _width(1, 2)},
                "options": {"patch_size": 4, "num_layers": 1, "num_heads": 4, "hidden_dim": 8, "mlp_dim": 8},
            }
        ],
        "methods": ["shrinknets"],
        "trials": 1,
        "training": {"epochs": 1, "batch_size": 50},
        "claim": {"baseline": "shrinknets", "n": 1},
    }
    [arm] = plan_of(fields, _facts).arms.values()
    assert arm.reach == {"encoder.layers.encoder_layer_0.self_attention": (1, 2)}


_STUDY = """
name: resnet18
datasets: [{name: pictures, source: npz, path: pictures.npz}]
architectures: [{name: resnet18, family: "torchvision:resnet18", widths: {low: 0.03, high: 0.06}}]
methods: [fixed, l2, {name: shrinknets, space: {lambda: 0.1}}]
trials: 3
training: {epochs: 2, batch_size: 32, optimizer: {learning_rate: 0.05}}
claim: {baseline: fixed, n: 1}
"""


def test_a_study_of_torchvisions_resnet18_runs_from_a_few_lines(tmp_path: Path) -> None:
    rng, study = np.random.default_rng(0), tmp_path / "study.yaml"
    x, y = rng.integers(0, 256, (80, 32, 32, 3), dtype=np.uint8), np.arange(80) % 10
    np.savez(tmp_path / "pictures.npz", x_train=x, y_train=y, x_test=x[:20], y_test=y[:20])
    study.write_text(_STUDY, encoding="utf-8")
    harness.run(study, tmp_path / "run", executor="inline")
    trials = harness.load_trials(tmp_path / "run")
    assert (trials["status"] == "ok").all()
    assert sorted(trials["method"]) == sorted(["fixed", "l2", "shrinknets"] * 3)
    shrunk = trials[trials["method"] == "shrinknets"]
    assert (shrunk["parameters"] < shrunk["start_parameters"]).all()


def test_planning_looks_at_widths_in_a_process_of_its_own(file: Path) -> None:
    code = """
import sys
from harness.architectures.named import NamedNetwork
from harness.architectures.widths import resized
network = NamedNetwork("net:Net")
print(*{resized(network, (3, 8, 8), 10, ["[if]*"]).layers for _ in "ab"}, "torch" in sys.modules)
"""
    ours = os.environ | {"PYTHONPATH": os.pathsep.join([str(file.parent), *filter(None, sys.path)])}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=ours)
    assert done.stdout == "('inner', 'fc') False\n"
