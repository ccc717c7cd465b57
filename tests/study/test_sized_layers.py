"""What may be sized: units, blocks that are there or not, or nothing; and who is refused where."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from harness import registry
from harness.architectures.base import Architecture
from harness.search.space import Domain, Int
from harness.sizing.base import Cell
from harness.sizing.methods.fixed import Fixed
from harness.study.parts import StudyError
from tests.making import Fields, plan_of, trials_of


@dataclass(frozen=True)
class Blocks(Architecture):
    """A layer with units and a block; only planned here, never built."""

    @property
    def sized_layers(self) -> tuple[str, ...]:
        return ("stem", "block")

    @property
    def sized_blocks(self) -> tuple[str, ...]:
        return ("block",)


@dataclass(frozen=True)
class OneSize(Architecture):
    @property
    def sized_layers(self) -> tuple[str, ...]:
        return ()


@dataclass(frozen=True)
class LosesBlocks(Fixed):
    def reach(self, cell: Cell, space: Mapping[str, Domain]) -> dict[str, tuple[int, int]]:
        return super().reach(cell, space) | {"block": (0, 1)}


@dataclass(frozen=True)
class ChecksSpaceAlone(Fixed):
    def check(self, space: Mapping[str, Domain]) -> None:  # type: ignore[override]
        return


@pytest.fixture
def offered(monkeypatch: pytest.MonkeyPatch) -> None:
    offers: dict[str, dict[str, type]] = {
        "architectures": {"blocks": Blocks, "one-size": OneSize},
        "methods": {"loses-blocks": LosesBlocks, "checks-space": ChecksSpaceAlone},
    }
    for kind, parts in offers.items():
        for name, part in parts.items():
            monkeypatch.setitem(registry._from_files[kind], name, (part, Path(__file__)))


def of(tiny: Fields, family: str, methods: list[Any], **entry: Any) -> Fields:
    claim = {"baseline": methods[0], "n": 1}
    return tiny | {"architectures": [{"name": family, **entry}], "methods": methods, "claim": claim}


_ALL = {"low": 4, "high": 16}


@pytest.mark.usefixtures("offered")
def test_a_block_is_there_unless_it_has_a_range_of_its_own(tiny: Fields) -> None:
    [arm] = plan_of(of(tiny, "blocks", ["fixed"], widths=_ALL, start=8)).arms.values()
    assert arm.space["block"] == Int(1, 1)
    searched = of(tiny, "blocks", ["fixed"], widths={"stem": _ALL, "block": {"low": 0, "high": 1}})
    plan = plan_of(searched | {"trials": 20})
    [arm] = plan.arms.values()
    assert arm.reach == {"stem": (4, 16), "block": (0, 1)}
    assert {trial.params["block"] for trial in trials_of(plan)[arm.key]} == {0, 1}


@pytest.mark.usefixtures("offered")
def test_a_block_may_be_lost_in_training(tiny: Fields) -> None:
    [arm] = plan_of(of(tiny, "blocks", ["loses-blocks"], widths=_ALL)).arms.values()
    assert arm.reach["block"] == (0, 1)


@pytest.mark.usefixtures("offered")
def test_what_needs_no_sized_layers_is_trained_without(tiny: Fields) -> None:
    plan = plan_of(of(tiny, "one-size", ["fixed", "l2"]))
    assert {arm.method: set(arm.space) for arm in plan.arms.values()} == {
        "fixed": set(),
        "l2": {"weight_decay"},
    }
    ids = [trial.id for trials in trials_of(plan).values() for trial in trials]
    assert len(set(ids)) == 6, "trials of nothing searched differ by their seeds"


@pytest.mark.usefixtures("offered")
@pytest.mark.parametrize(
    ("family", "methods", "entry", "message"),
    [
        (
            "one-size",
            ["shrinknets"],
            {},
            "methods.shrinknets: it takes units out of sized layers, and this arch",
        ),
        ("blocks", ["checks-space"], {"widths": _ALL}, "methods.checks-space: its check takes (space: "),
        (
            "blocks",
            ["fixed"],
            {"widths": {"stem": {"low": 0, "high": 2}}},
            "architectures.blocks: widths: stem: a",
        ),
        (
            "blocks",
            ["fixed"],
            {"widths": {"stem": _ALL, "block": {"low": 0, "high": 2}}},
            "architectures.blocks: widths: block: a block is there (1) or left out (0), found 2",
        ),
        ("blocks", ["fixed"], {}, "architectures.blocks: widths: the layer 'stem' has no range"),
        (
            "blocks",
            [{"name": "fixed", "space": {"block": [0, 3]}}],
            {"widths": _ALL},
            "methods.fixed: space.block: a block is there (1) or left out (0), found 3",
        ),
    ],
)
def test_sizes_that_cannot_be_are_refused_in_one_sentence(
    tiny: Fields, family: str, methods: list[Any], entry: Fields, message: str
) -> None:
    fields = of(tiny, family, methods, **entry)
    fields["claim"] = {"baseline": "fixed" if isinstance(methods[0], dict) else methods[0], "n": 1}
    with pytest.raises(StudyError) as raised:
        plan_of(fields)
    assert str(raised.value).startswith(f"study.yaml: {message}")
    assert "\n" not in str(raised.value)


def test_an_architecture_that_knows_no_blocks_needs_none(
    tiny: Fields, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The contract's protocol need not be subclassed."""

    @dataclasses.dataclass(frozen=True)
    class Plain:
        sized_layers: tuple[str, ...] = ("hidden1",)

        def check(self, example_shape: tuple[int, ...]) -> None: ...

    monkeypatch.setitem(registry._from_files["architectures"], "plain", (Plain, Path(__file__)))
    [arm] = plan_of(of(tiny, "plain", ["fixed"], widths=_ALL)).arms.values()
    assert arm.reach == {"hidden1": (4, 16)}
