"""Which learning-rate schedulers a study may name, and which options.

A table and not torch's own signatures, so that a study is checked without importing torch; a test holds the
two against each other. Rates stand as multiples of the phase's own, so a phase's rate is a scheduler's 1.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from harness.nearest import nearest

Kind = Literal["count", "number", "flag", "counts", "word"]


@dataclass(frozen=True, slots=True)
class SchedulerFacts:
    """What the harness knows of a scheduler of torch.optim.lr_scheduler.

    options: name -> kind of its value: a whole number from 1, a number from 0, true or false, a list of whole
    numbers, a word. needed: of them, those without a default. length: the option that is the length of the
    whole schedule; a phase's length unless the study says other. reads_loss: it follows the validation loss.
    """

    options: Mapping[str, Kind]
    needed: tuple[str, ...] = ()
    length: str | None = None
    reads_loss: bool = False


SCHEDULERS = {
    "StepLR": SchedulerFacts({"step_size": "count", "gamma": "number"}, ("step_size",)),
    "MultiStepLR": SchedulerFacts({"milestones": "counts", "gamma": "number"}, ("milestones",)),
    "ConstantLR": SchedulerFacts({"factor": "number", "total_iters": "count"}),
    "LinearLR": SchedulerFacts(
        {"start_factor": "number", "end_factor": "number", "total_iters": "count"}, length="total_iters"
    ),
    "ExponentialLR": SchedulerFacts({"gamma": "number"}, ("gamma",)),
    "PolynomialLR": SchedulerFacts({"total_iters": "count", "power": "number"}, length="total_iters"),
    "CosineAnnealingLR": SchedulerFacts({"T_max": "count", "eta_min": "number"}, length="T_max"),
    "CosineAnnealingWarmRestarts": SchedulerFacts(
        {"T_0": "count", "T_mult": "count", "eta_min": "number"}, ("T_0",)
    ),
    "CyclicLR": SchedulerFacts(
        {
            "base_lr": "number",
            "max_lr": "number",
            "step_size_up": "count",
            "step_size_down": "count",
            "mode": "word",
            "gamma": "number",
        },
        ("base_lr", "max_lr"),
    ),
    "OneCycleLR": SchedulerFacts(
        {
            "max_lr": "number",
            "total_steps": "count",
            "pct_start": "number",
            "anneal_strategy": "word",
            "div_factor": "number",
            "final_div_factor": "number",
            "three_phase": "flag",
        },
        ("max_lr",),
        length="total_steps",
    ),
    "ReduceLROnPlateau": SchedulerFacts(
        {
            "factor": "number",
            "patience": "count",
            "threshold": "number",
            "threshold_mode": "word",
            "cooldown": "number",
            "min_lr": "number",
        },
        reads_loss=True,
    ),
}

#: What torch itself refuses, and only where training has begun.
_LIMITS: Mapping[str, Mapping[str, tuple[str, Callable[[float], bool]]]] = {
    "ConstantLR": {"factor": ("a number from 0 to 1", lambda value: value <= 1)},
    "LinearLR": {
        "start_factor": ("a number above 0, to 1", lambda value: 0 < value <= 1),
        "end_factor": ("a number from 0 to 1", lambda value: value <= 1),
    },
    "OneCycleLR": {
        "pct_start": ("a number from 0 to 1", lambda value: value <= 1),
        "div_factor": ("a number above 0", lambda value: value > 0),
        "final_div_factor": ("a number above 0", lambda value: value > 0),
    },
    "ReduceLROnPlateau": {"factor": ("a number below 1", lambda value: value < 1)},
}
#: They take functions or other schedulers, which a study file cannot hold.
_NOT_IN_A_FILE = ("LambdaLR", "MultiplicativeLR", "ChainedScheduler", "SequentialLR")
_WORDS = {
    "mode": ("triangular", "triangular2", "exp_range"),
    "anneal_strategy": ("cos", "linear"),
    "threshold_mode": ("rel", "abs"),
}


def check_schedule(name: str, options: Mapping[str, Any], every: str) -> None:
    """Raise ValueError, in one sentence, if there is no such scheduler, or one of its options is missing or
    wrong.

    Args:
        every: "epoch" or "step".
    """
    if name in _NOT_IN_A_FILE:
        raise ValueError(f"{name} takes functions or other schedulers, which a study file cannot hold")
    if name not in SCHEDULERS:
        raise ValueError(f"there is no scheduler {name!r}{nearest(name, SCHEDULERS)}")
    facts = SCHEDULERS[name]
    if facts.reads_loss and every == "step":
        raise ValueError(f"{name} follows the validation loss, which there is once an epoch, not each step")
    for option, value in options.items():
        if option not in facts.options:
            raise ValueError(f"{name} has no option {option!r}{nearest(option, facts.options)}")
        wanted = _fault(option, facts.options[option], value)
        if wanted:
            raise ValueError(f"{name}: {option} is {wanted}, found {value!r}")
    for option in facts.needed:
        if option not in options:
            raise ValueError(f"{name} needs the option {option!r}")
    for option, (wanted, is_right) in _LIMITS.get(name, {}).items():
        if option in options and not is_right(options[option]):
            raise ValueError(f"{name}: {option} is {wanted}, found {options[option]!r}")


def _fault(option: str, kind: Kind, value: Any) -> str:
    """What a value ought to be, if it is not."""
    match kind:
        case "count":
            return "" if _is_count(value) else "a whole number from 1"
        case "counts":
            right = isinstance(value, list) and value and all(_is_count(each) for each in value)
            return "" if right and value == sorted(value) else "a rising list of whole numbers from 1"
        case "flag":
            return "" if isinstance(value, bool) else "true or false"
        case "word":
            return "" if value in _WORDS[option] else f"one of {', '.join(_WORDS[option])}"
        case "number":
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            return "" if is_number and 0 <= value < float("inf") else "a number from 0"


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1
