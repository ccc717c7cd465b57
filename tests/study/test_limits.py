"""Studies that ask for too much are refused at once, by the limit that they pass."""

import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.study.file import load_study
from harness.study.parts import StudyError
from tests.making import plan_of, put


def resnet(**options: object) -> dict[str, Any]:
    return {"name": "resnet", "options": options, "widths": {"low": 4, "high": 16}}


FOLDED = "".join(f"  k{i}: &k{i} [{', '.join([f'*k{i - 1}'] * 9) if i else 'x'}]\n" for i in range(30))

TEXTS = {
    "aliases that unfold": (
        f"options:\n{FOLDED}",
        "holds more than 10,000 values, those that aliases repeat",
    ),
    "20,000 keys": ("".join(f"k{i}: 1\n" for i in range(20_000)), "holds more than 10,000 values"),
    "a value within itself": ("a: &a [*a]", r"has a value that holds itself \(\*a\)"),
    "nested lists": ("a: " + "[" * 5000, "has more than 40 lists or fields inside one another"),
    "nested fields": ("{a: " * 5000, "has more than 40 lists or fields inside one another"),
    "5,000 digits": ("a: " + "9" * 5000, r"cannot be read \(Exceeds the limit \(4300 digits\)"),
    "4,000 digits": ("a: [" + "9" * 4000 + "]", r"of some 400\d digits; they go up to 9223372036854775807"),
    "too many bytes": ("#" * 1_000_001, "is larger than 1,000,000 bytes"),
    "no date": ("a: 2026-99-99", "holds a value that cannot be read"),
}


@pytest.mark.parametrize("what", TEXTS)
def test_a_text_that_holds_too_much_is_refused_at_once(tmp_path: Path, what: str) -> None:
    text, told = TEXTS[what]
    path = tmp_path / "study.yaml"
    path.write_text(text)
    began = time.process_time()
    with pytest.raises(StudyError, match=told) as raised:
        load_study(path)
    assert time.process_time() - began < 1.5
    assert str(raised.value).startswith(str(path))
    assert len(str(raised.value)) < 400


@pytest.mark.parametrize(
    ("place", "value", "told"),
    [
        ("trials", 10**6, "trials.*less than or equal to 200000"),
        ("trials", 150_000, "300,000 are asked for in all arms together; up to 200,000 are planned"),
        ("training.epochs", 10**9, "epochs.*less than or equal to 200000"),
        ("seeds.repeats", 10**9, "repeats.*less than or equal to 200000"),
        ("seeds.study", 10**30, "31 digits; they go up to 9223372036854775807"),
        ("architectures.0.widths.high", 10**12, "less than or equal to 100000000"),
        ("architectures.0.options.hidden_layers", 10**9, "at most 1,000, found 1000000000"),
        (
            "search",
            {"architecture.hidden_layers": {"low": 1, "high": 10**9}},
            "at most 1,000, found 1000000000",
        ),
        (
            "architectures",
            [{"name": "resnet", "options": {"depth": 6 * 10**9 + 2}}],
            "1,000 blocks at the most",
        ),
        ("architectures", [{"name": "resnet", "options": {"blocks": [10**9]}}], "1,000 blocks at the most"),
        ("architectures", [{"name": "resnet", "options": {"blocks": [1] * 99}}], "12 stages at the most"),
    ],
)
def test_a_study_that_asks_for_too_much_is_refused_at_once(
    tmp_path: Path, tiny: dict[str, Any], place: str, value: object, told: str
) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(put(tiny, place, value)))
    began = time.process_time()
    with pytest.raises(ValueError, match=told):
        plan_of(load_study(path).model_dump(mode="json"))
    assert time.process_time() - began < 1.5


@pytest.mark.parametrize("mark", ["\x7f", "\x9b", "\u202e", "\u2066", "\u200b", "\u2028", "\x1b"])
def test_names_have_no_marks_that_steer_a_terminal_or_turn_the_writing_round(
    tiny: dict[str, Any], mark: str
) -> None:
    with pytest.raises(ValueError, match="pattern"):
        plan_of(put(tiny, "methods.1", {"name": f"a{mark}b", "method": "l2"}))


def test_names_may_be_in_any_writing(tiny: dict[str, Any]) -> None:
    plan_of(put(tiny, "methods.1", {"name": "größer 2× «ℓ2» 大きい", "method": "l2"}))
