"""`controls: all`: what is added, and what a plan says where claims lack their controls."""

from typing import Any

from tests.making import plan_of, put, warnings_of

Fields = dict[str, Any]


def test_all_adds_what_each_method_names_but_what_is_written(tiny: Fields) -> None:
    shrinking = {"name": "shrinknets", "options": {"gate": "debounced", "min_units": 2}}
    mine = {"name": "mine", "method": "scratch-e", "of": "shrinknets"}
    put(tiny, "methods", ["fixed", shrinking, mine])
    put(tiny, "controls", "all")
    plan = plan_of(tiny)
    assert list(plan.arms) == [
        "digits/mlp/fixed",
        "digits/mlp/shrinknets",
        "digits/mlp/shrinknets-gates-only",
        "digits/mlp/shrinknets-oversized-l2",
        "digits/mlp/shrinknets-random-removal",
        "digits/mlp/mine",
    ]
    entries = {method.name: method for method in plan.study.methods}
    assert entries["shrinknets-gates-only"].options == {"gate": "debounced"}, "what both have"
    assert {arm.origin for arm in plan.arms.values()} == {None, "digits/mlp/shrinknets"}


def test_claims_without_their_controls_are_warned_of_once(tiny: Fields) -> None:
    put(tiny, "methods", ["fixed", "shrinknets"])
    put(tiny, "datasets", ["digits", {"name": "again", "source": "digits"}])
    [warning] = warnings_of(tiny)
    assert "shrinknets has no controls (gates-only, oversized-l2, random-removal, scratch-e)" in warning
    put(tiny, "controls", "all")
    assert warnings_of(tiny) == ()


def test_a_control_is_told_what_its_method_does_by_default(tiny: Fields) -> None:
    put(
        tiny,
        "methods",
        ["fixed", "top-k", {"name": "kept", "method": "top-k", "options": {"remove_idle_units": False}}],
    )
    put(tiny, "controls", "all")
    entries = {method.name: method for method in plan_of(tiny).study.methods}
    assert entries["top-k-random-removal"].options == {"remove_idle_units": True}
    assert entries["kept-random-removal"].options == {"remove_idle_units": False}
