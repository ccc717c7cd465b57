"""Networks that a study only names: found, given what they ask for, and looked at before anything runs."""

import dataclasses
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from harness import registry
from harness.architectures.constructors import arguments_for
from harness.architectures.named import NamedNetwork
from harness.datasets import DatasetFacts, DatasetSpec
from harness.plugins import files
from harness.registry import make_architecture
from harness.study.file import load_study
from harness.study.parts import StudyError
from harness.study.plan import Plan
from tests.making import Fields, plan_of

_FILE = """
from torch import nn

class Net(nn.Module):
    def __init__(self, widths, num_classes, in_channels=3):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, widths["conv"], 3, padding=1)
        self.inner = nn.Module()
        self.inner.fc = nn.Linear(widths["conv"], widths["inner.fc"])
        self.output = nn.Linear(widths["inner.fc"], num_classes)

    def forward(self, x):
        return self.output(self.inner.fc(self.conv(x).mean((2, 3))).relu())

def by_keyword(hidden, outputs, inputs):
    names = ("flatten", "hidden", "relu", "output")
    net = nn.Sequential()
    for name, layer in zip(names, (nn.Flatten(), nn.Linear(inputs, hidden), nn.ReLU(),
                                   nn.Linear(hidden, outputs))):
        net.add_module(name, layer)
    return net

def fixed(num_classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 5), nn.ReLU(), nn.Linear(5, num_classes))

def images(num_classes): return nn.Conv2d(3, num_classes, 1)
def raises(num_classes): raise RuntimeError("no such\\nluck")
def text(num_classes): return "a network"
class Pair(nn.Module):
    def __init__(self, num_classes): super().__init__(); self.fc = nn.Linear(192, num_classes)
    def forward(self, x): return (self.fc(x.flatten(1)),) * 2 if self.training else self.fc(x.flatten(1))
number = 3
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


def _fields(architecture: Fields) -> Fields:
    return {
        "name": "named",
        "datasets": ["images"],
        "architectures": [{"name": "net"} | architecture],
        "methods": ["fixed"],
        "trials": 2,
        "training": {"epochs": 1, "batch_size": 50},
        "claim": {"baseline": "fixed", "n": 1},
    }


def _plan(file: Path, **architecture: Any) -> Plan:
    return plan_of(_fields({"widths": {}} | architecture) | {"plugins": [str(file)]}, _facts)


def _width(low: int, high: int) -> Fields:
    return {"low": low, "high": high}


@pytest.mark.parametrize(
    ("name", "layers"),
    [
        ("Net", {"conv": 4, "inner.fc": 6}),  # one mapping for all
        ("by_keyword", {"hidden": 7}),  # an argument a layer
    ],
)
def test_a_constructor_that_takes_widths_is_given_them(file: Path, name: str, layers: dict[str, int]) -> None:
    plan = _plan(file, family=f"net.py:{name}", widths={layer: _width(n, n) for layer, n in layers.items()})
    [arm] = plan.arms.values()
    cell = plan.cell(arm, {})
    network = cell.architecture.build((3, 8, 8), 10, layers)
    assert {layer: len(network.get_parameter(f"{layer}.weight")) for layer in layers} == layers
    assert network(torch.zeros(2, 3, 8, 8)).shape == (2, 10)
    assert set(plan.sources[arm.key]) == {"net.py"}


def test_a_layer_may_be_sized_by_an_argument_of_another_name(file: Path) -> None:
    registry.load_file(file, named=True)
    network = make_architecture("net.py:by_keyword", {"layers": {"output": "outputs"}, "hidden": 3})
    assert network.sized_layers == ("output",)
    assert network.build((3, 8, 8), 10, {"output": 4})(torch.zeros(1, 3, 8, 8)).shape == (1, 4)


def test_known_arguments_are_found_by_name_and_what_is_written_goes_first() -> None:
    def build(n_classes: int, in_chans: int, img_size: int, *, depth: int = 3) -> None: ...
    def any_keyword(**kwargs: Any) -> None: ...
    def own(outputs: int, inputs: int, example_shape: tuple[int, ...]) -> None: ...

    images = (3, 32, 32)
    assert arguments_for(build, images, 7, {}) == {"n_classes": 7, "in_chans": 3, "img_size": 32}
    assert arguments_for(build, (1, 4, 8), 7, {"n_classes": 9}) == {"n_classes": 9, "in_chans": 1}
    assert arguments_for(any_keyword, images, 7, {"depth": 2}) == {"num_classes": 7, "depth": 2}
    assert arguments_for(any_keyword, images, 7, {"num_outputs": 2}) == {"num_outputs": 2}
    assert arguments_for(own, images, 7, {}) == {"outputs": 7, "inputs": 3072, "example_shape": images}
    assert arguments_for(any_keyword, images, 7, {"weights": [1, 2]})["weights"] == [1, 2]


def test_weights_are_not_downloaded() -> None:
    with pytest.raises(ValueError, match=r"torchvision:resnet18: weights: 'DEFAULT' would be downloaded"):
        make_architecture("torchvision:resnet18", {"weights": "DEFAULT"})
    make_architecture("torchvision:resnet18", {"weights": None})


@pytest.mark.parametrize(
    ("name", "widths", "message"),
    [
        ("fixed", {"1": _width(2, 6)}, "widths: 1 has 5 units as it is built, and a network can only be cut"),
        ("fixed", {"0": _width(2, 5)}, "widths: there is no layer '0'"),
        ("fixed", {"3": _width(2, 5)}, "widths: the width of 3 cannot be changed: belongs to the network's"),
        ("Net", {"low": 0.5, "high": 1}, "net.py:Net takes widths itself; name its layers, found '*'"),
        ("fixd", {}, "net.py has no attribute 'fixd'; did you mean 'fixed'?"),
        ("number", {}, "net.py:number is a int, which builds no network"),
        ("raises", {}, "net.py:raises raised RuntimeError: no such luck"),
        ("text", {}, "net.py:text gives a str, which is no network"),
        ("Net", {}, "net.py:Net raised TypeError: Net.__init__() missing 1 required positional argument"),
        ("Pair", {}, "net.py:Pair gives a tuple in training, and no tensor"),
        ("images", {}, "net.py:images maps [batch, 3, 8, 8] to [batch, 10, 8, 8], [batch, 10] is needed"),
    ],
)
def test_a_network_that_does_not_fit_is_refused_when_planned(
    file: Path, name: str, widths: Fields, message: str
) -> None:
    with pytest.raises(StudyError) as raised:
        _plan(file, family=f"net.py:{name}", widths=widths)
    said = str(raised.value)
    assert message in said
    assert said.startswith("study.yaml: architectures.net: ")
    assert "\n" not in said


@pytest.mark.parametrize(
    ("family", "message"),
    [
        ("torchvision:resnt18", "torchvision has no network 'resnt18'; did you mean 'resnet18'?"),
        ("no.such.module:Net", "there is no module 'no'"),
        ("json:Net", "json:Net: json has no attribute 'Net'"),
        ("other.py:Net", "other.py is not among the study's files; name it under `plugins`"),
    ],
)
@pytest.mark.usefixtures("file")
def test_a_name_that_nothing_has(family: str, message: str) -> None:
    with pytest.raises(StudyError) as raised:
        plan_of(_fields({"family": family, "widths": {}}), _facts)
    assert str(raised.value).startswith("study.yaml: architectures.net: ")
    assert message in str(raised.value)


def test_torchvision_is_known_by_its_own_names() -> None:
    architecture = make_architecture("torchvision:squeezenet1_1", {"dropout": 0.25})
    assert isinstance(architecture, NamedNetwork)
    architecture.examine((3, 64, 64), 7, [{}], [(7,)])
    with torch.device("meta"):
        network = architecture.build_full((3, 64, 64), 7)
    assert [module.p for module in network.modules() if isinstance(module, nn.Dropout)] == [0.25]
    with pytest.raises(ValueError, match=r"does not take examples of shape \[batch, 1, 8, 8\]: RuntimeError"):
        architecture.examine((1, 8, 8), 7, [{}], [(7,)])


def test_a_network_may_give_a_score_for_each_place_if_places_have_classes(file: Path) -> None:
    def places(spec: DatasetSpec) -> DatasetFacts:
        return dataclasses.replace(_facts(spec), target_shape=(8, 8))

    plan_of(_fields({"family": "net.py:images", "widths": {}}) | {"plugins": [str(file)]}, places)
    with pytest.raises(StudyError, match=r"to \[batch, 10\], \[batch, 10, 8, 8\] is needed"):
        plan_of(_fields({"family": "net.py:fixed", "widths": {}}) | {"plugins": [str(file)]}, places)


def test_an_option_given_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="option depth is given twice"):
        make_architecture("m:f", {"depth": 2, "arguments": {"depth": 3}})


def test_a_file_beside_the_study_need_not_be_a_plugin_of_it(file: Path) -> None:
    study = file.parent / "study.yaml"
    text = (
        "name: s\ndatasets: [digits]\narchitectures: [{name: n, family: 'net.py:fixed', widths: {}}]\n"
        "methods: [fixed]\ntrials: 1\ntraining: {epochs: 1, batch_size: 8}\nclaim: {baseline: fixed}\n"
    )
    study.write_text(text, encoding="utf-8")
    assert load_study(study).plugins == [str(file)]
    study.write_text(text.replace("net.py:fixed", "gone.py:fixed"), encoding="utf-8")
    with pytest.raises(StudyError, match=r"plug-in file .*gone\.py is not there"):
        load_study(study)


def test_planning_looks_at_networks_in_a_process_of_its_own(file: Path) -> None:
    # A module that is not there is found out about without torch, which would take seconds to load.
    code = (
        "import sys; from harness.registry import make_architecture\n"
        "try: make_architecture('json:Net', {}).examine((3, 8, 8), 10, [{}], [(10,)])\n"
        "except ValueError as error: print(error)\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "json:Net: json has no attribute 'Net'\nFalse\n"
