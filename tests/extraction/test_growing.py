"""A method that grows by blocks: from a study file to the network rebuilt elsewhere."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from harness.architectures.base import Architecture
from harness.extraction import ExtractionError, load
from harness.extraction.alterations import alter, reshape
from harness.extraction.description import SCHEMA_VERSION, read_description
from harness.extraction.extract import extract
from harness.extraction.modules import describe, make
from harness.extraction.plain import make_plain
from harness.surgery import InsertBlock, Remove, Residual, apply
from tests.extraction.growing import Block, TinyResNet
from tests.extraction.runs import MLP, Extracted, run_inline

PLUGIN = Path(__file__).with_name("growing.py")


_STUDY: dict[str, Any] = MLP | {
    "name": "growing",
    "plugins": [str(PLUGIN)],
    "datasets": ["digits"],
    "architectures": [{"name": "tiny-resnet", "widths": {"low": 4, "high": 6}}],
    "methods": ["fixed", "growing"],
    "trials": 1,
    "training": MLP["training"] | {"epochs": 4, "batch_size": 256},
}


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Extracted:
    """The trial of the growing method; what takes seconds and shows nothing of blocks is left out."""
    run = run_inline(_STUDY, tmp_path_factory.mktemp("growing"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("harness.extraction.extract.export_all", lambda *_: {})
        patch.setattr("harness.extraction.extract.measure_speed", lambda *_: [])
        folder = extract(run.directory.path, "best:growing", data=run.data_root, plugins=[PLUGIN]).folder
    return Extracted(run, run.record("best:growing"), folder, "")


def test_a_grown_network_is_rebuilt_from_its_description(grown: Extracted) -> None:
    record, folder = grown.record, grown.folder
    assert (record.status, record.selected_epoch) == ("ok", 4)
    accounts = [event.account for event in record.events]
    assert [sorted(account) for account in accounts] == [
        ["inserted"],
        ["blocks", "inserted", "masked", "removed"],
        ["blocks", "removed"],
    ]
    assert accounts[0]["inserted"] == ["stage.0_1", "stage.1_1"]
    units = [epoch.size.units for epoch in record.epochs]
    assert [own["stage.1.conv1"] for own in units] == [units[0]["stage.1.conv1"], 0, 0, 0]
    assert units[3]["stage.0.conv1"] == 0
    assert record.epochs[0].size.parameters > record.start_size.parameters  # type: ignore[union-attr]
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["agreement"]["equal_to_record"] is True
    about = read_description(folder)
    assert [(step.path, step.behind) for step in about.alterations] == [
        ("stage.0", None),
        ("stage.0_1", "0"),
        ("stage.1", None),
        ("stage.1_1", "1"),
    ]
    assert about.shapes == {
        "stage.1_1.conv1.weight": (2, *about.shapes["stage.1_1.conv1.weight"][1:]),
        "stage.1_1.conv1.bias": (2,),
        "stage.1_1.conv2.weight": about.shapes["stage.1_1.conv2.weight"],
    }
    assert about.packages.keys() >= {"torch"}
    state = torch.random.get_rng_state()
    network = load(folder, plugins=[PLUGIN])
    assert torch.equal(torch.random.get_rng_state(), state)
    assert sum(own.numel() for own in network.parameters()) == record.epochs[3].size.parameters
    x = torch.randn(5, 1, 8, 8)
    assert network(x).shape == (5, 10)


def test_what_cannot_be_rebuilt_is_refused_in_a_sentence(grown: Extracted, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    shutil.copytree(grown.folder, folder)
    file = folder / "architecture.json"
    written = json.loads(file.read_text())

    def refused(change: dict[str, Any], words: str) -> None:
        file.write_text(json.dumps(written | change))
        with pytest.raises(ExtractionError) as error:
            load(folder, plugins=[PLUGIN])
        assert words in str(error.value)
        assert "\n" not in str(error.value)

    first, *rest = written["alterations"]
    refused({"schema_version": SCHEMA_VERSION + 1}, "newer version of the harness")
    refused({"alterations": [first | {"path": "stage.7"}, *rest]}, "no place 'stage.7'")
    refused(
        {"alterations": [first | {"module": {"make": "os:system", "arguments": {"command": "false"}}}]},
        "os:system is no class of modules",
    )
    refused({"alterations": [first | {"module": {"make": "torch.nn:Linea"}}]}, "did you mean 'Linear'?")
    refused(
        {"alterations": [first | {"module": {"make": "torch.nn:Linear"}}]},
        "made by torch.nn:Linear",
    )
    refused({"shapes": {"stage.1_1.conv9.weight": [1]}}, "no tensor 'stage.1_1.conv9.weight'")
    refused({"alterations": [], "packages": {"torch": "0.1"}}, "versions are installed: torch was '0.1'")


def test_a_block_that_nobody_can_describe_is_refused_by_name() -> None:
    architecture, sizes = TinyResNet(), {"conv1": 4, "stage.0.conv1": 3, "stage.1.conv1": 3}
    network, x = architecture.build((1, 8, 8), 10, sizes), torch.randn(4, 1, 8, 8)
    apply(network, None, [InsertBlock("stage.1", Block(4, 2))], x)
    with pytest.raises(ExtractionError, match=r"the block 'stage.1_1' that the method put in holds a Block"):
        make_plain(network, architecture, (1, 8, 8), 10, sizes, x)


@dataclass(frozen=True)
class _OneSized(Architecture):
    """Two hidden layers, of which one can be sized; the output has no bias."""

    @property
    def sized_layers(self) -> tuple[str, ...]:
        return ("0",)

    def build(self, example_shape: tuple[int, ...], outputs: int, sizes: Mapping[str, int]) -> nn.Module:
        first, last = nn.Linear(3, sizes["0"]), nn.Linear(8, outputs, bias=False)
        return nn.Sequential(first, nn.Tanh(), nn.Linear(sizes["0"], 8), nn.Tanh(), last)


def test_layers_that_have_no_size_of_their_own_are_cut_again() -> None:
    architecture, x = _OneSized(), torch.randn(6, 3)
    network = architecture.build((3,), 2, {"0": 5})
    with torch.no_grad():
        network.get_parameter("2.weight")[3] = 0
    apply(network, None, [Remove("0", (1,)), Remove("2", (3,), exact=True)], x)
    plain = make_plain(network, architecture, (3,), 2, {"0": 4}, x)
    assert plain.difference <= 1e-6
    assert plain.shapes == {"2.weight": (7, 4), "2.bias": (7,), "4.weight": (2, 7), "4.bias": (2,)}
    assert repr(plain.network) == repr(network)
    again = architecture.build((3,), 2, {"0": 4})
    alter(again, plain.alterations)
    reshape(again, plain.shapes)
    again.load_state_dict(plain.network.state_dict())
    assert torch.equal(again(x), plain.network(x))


def test_layers_of_torch_are_described_by_their_arguments() -> None:
    layers = nn.Sequential(
        nn.Conv2d(4, 6, (3, 1), 2, padding="valid", groups=2, bias=False, padding_mode="reflect"),
        nn.GroupNorm(2, 6, eps=0.1),
        nn.PReLU(6),
        nn.LeakyReLU(0.3, inplace=True),
        nn.BatchNorm2d(6, momentum=None, affine=False),
        nn.AdaptiveAvgPool2d((2, None)),
        nn.Flatten(),
        Residual(nn.Linear(5, 5, bias=False), nn.GELU("tanh")),
        nn.LayerNorm((5,), elementwise_affine=False),
    )
    described = describe(layers, "block")
    assert repr(make(json.loads(json.dumps(described)))) == repr(layers)


def test_a_description_of_version_1_is_read(grown: Extracted, tmp_path: Path) -> None:
    written = json.loads((grown.folder / "architecture.json").read_text())
    old = {name: said for name, said in written.items() if name not in ("alterations", "shapes", "packages")}
    (tmp_path / "architecture.json").write_text(json.dumps(old | {"schema_version": 1}))
    about = read_description(tmp_path)
    assert (about.alterations, about.shapes, about.packages) == ((), {}, {})
