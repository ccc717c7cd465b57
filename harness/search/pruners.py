"""Pruners: Optuna's, by name: checked, every option written out, and made for the searches that learn.

What they would have stopped of a search that learns nothing is computed from recorded curves, by whoever
judges it.
"""

import inspect
import warnings
from collections.abc import Mapping
from typing import Any

import optuna
from optuna.pruners import BasePruner

from harness.nearest import nearest

PRUNERS = (
    "HyperbandPruner",
    "MedianPruner",
    "NopPruner",
    "PatientPruner",
    "PercentilePruner",
    "SuccessiveHalvingPruner",
    "ThresholdPruner",
)
#: Options that are no whole numbers; all others are.
_NUMBERS = {"percentile", "min_delta", "lower", "upper"}
_WORDS = {("SuccessiveHalvingPruner", "min_resource"), ("HyperbandPruner", "max_resource")}
_WRAPPED = "wrapped_pruner"


def pinned_pruner(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """A pruner with every option written out, defaults of the installed Optuna included: plain data.

    Args:
        options: by Optuna's names; a pruner that PatientPruner wraps as {name: ..., options: ...} or by name.

    Raises:
        ValueError: if there is no such pruner, or it does not take these options: one sentence.
    """
    if name not in PRUNERS:
        raise ValueError(f"there is no pruner {name!r:.80}{nearest(str(name), PRUNERS)}")
    taken = inspect.signature(getattr(optuna.pruners, name)).parameters
    for option in options:
        if option not in taken:
            raise ValueError(f"{name} has no option {option!r}{nearest(option, taken)}")
    needed = [option for option, p in taken.items() if p.default is p.empty and option not in options]
    if needed and needed != [_WRAPPED]:
        raise ValueError(f"{name} needs the option {next(o for o in needed if o != _WRAPPED)!r}")
    written = {option: options.get(option, None if p.default is p.empty else p.default)
               for option, p in taken.items()}  # fmt: skip
    for option, value in written.items():
        if option == _WRAPPED:
            written[option] = None if value is None else _pinned_within(value)
        else:
            _check_value(name, option, value)
    pinned = {"name": name, "options": written}
    _check_made(name, pinned)
    return pinned


def make_pruner(pinned: Mapping[str, Any]) -> BasePruner:
    """The pruner itself, of what `pinned_pruner` wrote."""
    options = dict(pinned["options"])
    if options.get(_WRAPPED) is not None:
        options[_WRAPPED] = make_pruner(options[_WRAPPED])
    with warnings.catch_warnings():
        # The study names the pruner: that it is experimental is the user's choice.
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        made: BasePruner = getattr(optuna.pruners, pinned["name"])(**options)
    return made


def of_search(pruner: Mapping[str, Any], study: str, arm: str, replicate: int) -> dict[str, Any]:
    """An arm's pruner as one of its searches has it: with the name of an Optuna study of its own, by the hash
    of which Hyperband deals its brackets."""
    return {**pruner, "study_name": f"{study}/{arm}/{replicate}"}


def _pinned_within(value: Any) -> dict[str, Any]:
    if isinstance(value, str):
        value = {"name": value}
    if not isinstance(value, Mapping) or not {"name"} <= value.keys() <= {"name", "options"}:
        raise ValueError(f"{_WRAPPED} is a pruner, as {{name: ..., options: ...}}; found {value!r:.80}")
    options = value.get("options", {})
    if not isinstance(options, Mapping):
        raise ValueError(f"{_WRAPPED}: options are names with values; found {options!r:.80}")
    try:
        return pinned_pruner(value["name"], options)
    except ValueError as error:
        raise ValueError(f"{_WRAPPED}: {error}") from error


def _check_value(name: str, option: str, value: Any) -> None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if (name, option) in _WORDS and value == "auto":
        return
    if option in _NUMBERS:
        if not is_number and not (value is None and name == "ThresholdPruner"):
            raise ValueError(f"{name}: {option} is a number, found {value!r:.80}")
    elif not is_number or value != int(value):
        words = "a whole number or auto" if (name, option) in _WORDS else "a whole number"
        raise ValueError(f"{name}: {option} is {words}, found {value!r:.80}")
    elif isinstance(value, float):
        raise ValueError(f"{name}: {option} is a whole number, found {value!r}; write {int(value)}")


def _check_made(name: str, pinned: Mapping[str, Any]) -> None:
    options = pinned["options"]
    if name == "HyperbandPruner":
        # Optuna itself looks at these when it prunes, and then with an assertion or not at all.
        least, most, factor = options["min_resource"], options["max_resource"], options["reduction_factor"]
        if least < 1 or factor < 2 or options["bootstrap_count"] < 0:
            raise ValueError(
                f"{name}: min_resource is 1 or more, reduction_factor 2 or more, bootstrap_count 0 or more; "
                f"found {least}, {factor} and {options['bootstrap_count']}"
            )
        if most != "auto" and most < least:
            raise ValueError(f"{name}: max_resource {most} is below min_resource {least}")
    try:
        make_pruner(pinned)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}: {' '.join(str(error).split()).rstrip('.')}") from error
