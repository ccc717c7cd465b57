"""Which optimizers a study may name, and which options: those whose state surgery knows how to cut.

A table and not torch's own signatures, so that a study is checked without importing torch; a test holds the
two against each other. Learning rate and weight decay are not options: the study and the method set them.
"""

from collections.abc import Mapping
from typing import Any

from harness.registry import nearest

#: Optimizer -> option -> kind of its value: "number", "flag", or "pair" of numbers.
OPTIMIZERS: dict[str, dict[str, str]] = {
    "SGD": {"momentum": "number", "dampening": "number", "nesterov": "flag"},
    "Adam": {"betas": "pair", "eps": "number", "amsgrad": "flag"},
    "AdamW": {"betas": "pair", "eps": "number", "amsgrad": "flag"},
    "RMSprop": {"alpha": "number", "eps": "number", "momentum": "number", "centered": "flag"},
    "Adagrad": {"lr_decay": "number", "initial_accumulator_value": "number", "eps": "number"},
    "NAdam": {"betas": "pair", "eps": "number", "momentum_decay": "number", "decoupled_weight_decay": "flag"},
}


def check_options(name: str, options: Mapping[str, Any]) -> None:
    """Raise ValueError, in one sentence, if an optimizer does not take an option or its value.

    Numbers must not be negative, and momenta (`betas`, `alpha`, `momentum` but for SGD's) lie below 1, as
    torch itself asks.
    """
    for option, value in options.items():
        if option not in OPTIMIZERS[name]:
            raise ValueError(f"{name} has no option {option!r}{nearest(option, OPTIMIZERS[name])}")
        kind = OPTIMIZERS[name][option]
        if kind == "flag":
            if not isinstance(value, bool):
                raise ValueError(f"{name}: {option} is true or false, found {value!r}")
            continue
        numbers = value if kind == "pair" else [value]
        right = isinstance(numbers, list | tuple) and len(numbers) == (2 if kind == "pair" else 1)
        if not right or not all(_is_number(number) for number in numbers):
            wanted = "two numbers from 0 to below 1" if kind == "pair" else "a number of at least 0"
            raise ValueError(f"{name}: {option} is {wanted}, found {value!r}")
        if option in ("betas", "alpha", "momentum_decay") and max(numbers) >= 1:
            raise ValueError(f"{name}: {option} must lie below 1, found {value!r}")
    if options.get("nesterov") and not (options.get("momentum", 0) > 0 and not options.get("dampening", 0)):
        raise ValueError(f"{name}: nesterov needs a momentum above 0 and no dampening")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < float("inf")
