"""Searching beside sizes: learning rate, batch size, depth and other options of architectures."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest

from harness import registry
from harness.architectures.base import Architecture
from harness.search.space import Choice, Domain, Float, Int
from harness.sizing.base import Cell
from harness.sizing.methods.fixed import Fixed
from harness.study.parts import StudyError
from tests.making import Fields, plan_of, put, trials_of

_L2 = "digits/mlp/l2"


def test_all_arms_search_what_the_study_says_and_some_what_their_method_says(tiny: Fields) -> None:
    tiny["search"] = {"learning_rate": {"low": 1e-4, "high": 0.1, "log": True}, "batch_size": [32, 64]}
    tiny["methods"] = ["fixed", {"name": "l2", "search": {"batch_size": {"low": 16, "high": 128}}}]
    plan = plan_of(tiny)
    rate = Float(1e-4, 0.1, log=True)
    fixed, l2 = plan.arms.values()
    assert fixed.space == {
        "hidden1": Int(4, 16, log=True),
        "learning_rate": rate,
        "batch_size": Choice((32, 64)),
    }
    assert l2.space["batch_size"] == Int(16, 128)
    assert l2.space["learning_rate"] == rate
    for key, trials in trials_of(plan).items():
        for trial in trials:
            arm, params = plan.arms[key], trial.params
            assert plan.schedule(arm, params).learning_rate == params["learning_rate"]
            assert (
                plan.method(arm).phases(params, plan.schedule(arm, params))[0].learning_rate
                == (params["learning_rate"])
            )
            assert plan.batch_size(arm, params) == params["batch_size"]
    assert (
        "digits/mlp: fixed and l2 draw batch_size from different ranges: 32, 64 and 16-128" in plan.warnings
    )


def test_what_one_arm_alone_searches_is_a_warning(tiny: Fields) -> None:
    tiny["methods"] = ["fixed", {"name": "l2", "search": {"learning_rate": [1e-3, 1e-2]}}]
    warnings = plan_of(tiny | {"trials": 6}).warnings
    assert warnings == ("digits/mlp: l2 searches learning_rate, fixed does not",)


def test_a_depth_that_is_searched_decides_which_layers_there_are(tiny: Fields) -> None:
    tiny["search"] = {
        "architecture.hidden_layers": {"low": 1, "high": 3},
        "architecture.activation": ["relu", "tanh"],
    }
    tiny["architectures"][0]["widths"] = {f"hidden{i}": {"low": 4 * i, "high": 8 * i} for i in (1, 2, 3)}
    tiny["architectures"][0]["start"] = {"hidden3": 20}
    plan = plan_of(put(tiny, "methods", ["fixed", "shrinknets"]) | {"trials": 12})
    fixed, shrinking = plan.arms.values()
    assert fixed.space["architecture.hidden_layers"] == Int(1, 3)
    assert fixed.reach == {"hidden1": (4, 8), "hidden2": (0, 16), "hidden3": (0, 24)}
    assert shrinking.reach == {"hidden1": (1, 8), "hidden2": (0, 16), "hidden3": (0, 20)}
    seen = set()
    for trial in trials_of(plan)[fixed.key]:
        cell = plan.cell(fixed, trial.params)
        depth = int(trial.params["architecture.hidden_layers"])
        assert cell.architecture.sized_layers == tuple(f"hidden{i}" for i in range(1, depth + 1))
        assert cell.bounds.keys() == cell.start.keys() == set(cell.architecture.sized_layers)
        assert "hidden3" in trial.params, "a size is drawn for every layer of the deepest network"
        assert cell.architecture.activation == trial.params["architecture.activation"]  # type: ignore[attr-defined]
        seen.add(depth)
    assert seen == {1, 2, 3}


@dataclass(frozen=True)
class Plain(Architecture):
    @property
    def sized_layers(self) -> tuple[str, ...]:
        return ("hidden1",)


@dataclass(frozen=True)
class Forked(Architecture):
    """Two networks of which neither has all layers."""

    side: Literal["left", "right"] = "left"

    @property
    def sized_layers(self) -> tuple[str, ...]:
        return (self.side,)


def test_an_option_is_searched_where_there_is_one(tiny: Fields, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry._from_files["architectures"], "plain", (Plain, Path(__file__)))
    tiny["architectures"] += [{"name": "plain", "widths": {"low": 4, "high": 8}}]
    arms = plan_of(tiny | {"search": {"architecture.hidden_layers": [1, 2]}}).arms
    assert {key for key, arm in arms.items() if "architecture.hidden_layers" in arm.space} == {
        "digits/mlp/fixed",
        _L2,
    }


def test_one_network_must_have_all_layers(tiny: Fields, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry._from_files["architectures"], "forked", (Forked, Path(__file__)))
    put(tiny, "architectures.0", {"name": "forked", "widths": {"low": 4, "high": 8}})
    assert plan_of(tiny).arms["digits/forked/fixed"].reach == {"left": (4, 8)}
    with pytest.raises(
        StudyError, match=r"search\.architecture\.side: of the networks .* \(left, right\), so"
    ):
        plan_of(tiny | {"search": {"architecture.side": ["left", "right"]}})


def test_paired_arms_share_what_all_of_them_search(tiny: Fields) -> None:
    tiny["search"] = {"learning_rate": {"low": 1e-4, "high": 0.1, "log": True}}
    arms = trials_of(plan_of(tiny | {"paired": True, "trials": 6}))
    fixed, l2 = arms["digits/mlp/fixed"], arms[_L2]
    for name in ("learning_rate", "hidden1"):
        assert [trial.params[name] for trial in fixed] == [trial.params[name] for trial in l2]
    alone = trials_of(plan_of({name: v for name, v in tiny.items() if name != "search"} | {"paired": True}))
    assert [t.params["hidden1"] for t in alone[_L2]] == [t.params["hidden1"] for t in l2[:3]]


def test_nothing_searched_is_the_study_as_it_was(tiny: Fields) -> None:
    def ids(fields: Fields) -> set[str]:
        return {trial.id for trials in trials_of(plan_of(fields)).values() for trial in trials}

    before = ids(tiny)
    assert ids(tiny | {"search": {}, "methods": [{"name": "fixed", "search": {}}, "l2"]}) == before
    once = ids(tiny | {"search": {"learning_rate": 0.1}})
    assert not once & before
    assert not once & ids(tiny | {"search": {"learning_rate": 0.2}})


@dataclass(frozen=True)
class DrawsItsRate(Fixed):
    def space(self, cell: Cell) -> dict[str, Domain]:
        return super().space(cell) | {"learning_rate": Float(0.1, 0.2)}


def test_what_a_method_draws_for_itself_is_its_own(tiny: Fields, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry._from_files["methods"], "rates", (DrawsItsRate, Path(__file__)))
    plan = plan_of(tiny | {"methods": ["fixed", "rates"]})
    arm = plan.arms["digits/mlp/rates"]
    assert plan.schedule(arm, {"hidden1": 4, "learning_rate": 0.15}).learning_rate == 1e-3
    tiny |= {"methods": ["fixed", "rates"], "search": {"learning_rate": 0.1}}
    with pytest.raises(StudyError, match=r"search\.learning_rate: rates draws a 'learning_rate' of its own"):
        plan_of(tiny)


@pytest.mark.parametrize(
    ("search", "message"),
    [
        ({"learning_rat": 0.1}, "search: nothing is called 'learning_rat'; did you mean 'learning_rate'?"),
        (
            {"hidden_layers": [1]},
            "search: nothing is called 'hidden_layers'; did you mean 'architecture.hidden_l",
        ),
        ({"architecture.depth": [1]}, "search: nothing is called 'architecture.depth'; "),
        (
            {"learning_rate": {"low": 0, "high": 1}},
            "search.learning_rate: a learning rate lies above 0, found 0",
        ),
        ({"learning_rate": ["a"]}, "search.learning_rate: a number is needed, found 'a'"),
        ({"batch_size": [32, 0]}, "search.batch_size: a batch has at least 1 example, found 0"),
        (
            {"batch_size": {"low": 1.5, "high": 2}},
            "search.batch_size: whole numbers are needed, found low 1.5",
        ),
        (
            {"architecture.hidden_layers": [0, 1]},
            "search.architecture.hidden_layers: mlp: hidden_layers must be at",
        ),
        (
            {"architecture.hidden_layers": {"low": 1, "high": 2.5}},
            "search.architecture.hidden_layers: whole numb",
        ),
        (
            {"architecture.activation": ["relu", "rleu"]},
            "search.architecture.activation: mlp: option activation: in",
        ),
        (
            {"architecture.hidden_layers": {"low": 1, "high": 50}, "architecture.activation": ["relu"] * 50},
            "search: there are 2500 combinations of architecture options; at most 1000 are allowed",
        ),
    ],
)
def test_what_cannot_be_searched_is_refused_in_one_sentence(tiny: Fields, search: Any, message: str) -> None:
    with pytest.raises(StudyError) as raised:
        plan_of(tiny | {"search": search})
    assert str(raised.value).startswith(f"study.yaml: {message}")
    assert "\n" not in str(raised.value)
    method = {"name": "l2", "search": search}
    with pytest.raises(StudyError) as raised:
        plan_of(put(tiny, "methods.1", method))
    assert str(raised.value).startswith(f"study.yaml: methods.l2.{message}")


def test_layers_of_no_network_have_no_range(tiny: Fields) -> None:
    tiny["search"] = {"architecture.hidden_layers": [1, 2]}
    tiny["architectures"][0]["widths"] = {f"hidden{i}": {"low": 4, "high": 8} for i in (1, 2, 3)}
    with pytest.raises(StudyError, match="widths: there is no layer 'hidden3'"):
        plan_of(tiny)
