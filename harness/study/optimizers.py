"""Which optimizers a study may name, and which options: those whose state surgery knows how to cut.

A table and not torch's own signatures, so that a study is checked without importing torch; a test holds the
two against each other. Learning rate and weight decay are not options: the study and the method set them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from harness.nearest import nearest

Kind = Literal["number", "flag", "pair"]


@dataclass(frozen=True, slots=True)
class OptimizerFacts:
    """What the harness knows of an optimizer of torch.optim.

    options: name -> kind of its value, a pair being two numbers. state_tensors: how many it keeps of a
    parameter, in its shape. is_fused: torch has a fused step on CPU and GPU, the same arithmetic in one call
    instead of one a tensor.
    """

    options: Mapping[str, Kind]
    state_tensors: int
    is_fused: bool = False


_SGD: dict[str, Kind] = {"momentum": "number", "dampening": "number", "nesterov": "flag"}
_ADAM: dict[str, Kind] = {"betas": "pair", "eps": "number", "amsgrad": "flag"}

OPTIMIZERS = {
    "SGD": OptimizerFacts(_SGD, 1, is_fused=True),
    "Adam": OptimizerFacts(_ADAM, 2, is_fused=True),
    "AdamW": OptimizerFacts(_ADAM, 2, is_fused=True),
    "RMSprop": OptimizerFacts(
        {"alpha": "number", "eps": "number", "momentum": "number", "centered": "flag"}, 1
    ),
    "Adagrad": OptimizerFacts(
        {"lr_decay": "number", "initial_accumulator_value": "number", "eps": "number"}, 1
    ),
    "NAdam": OptimizerFacts(
        {"betas": "pair", "eps": "number", "momentum_decay": "number", "decoupled_weight_decay": "flag"}, 2
    ),
}


def check_options(name: str, options: Mapping[str, Any]) -> None:
    """Raise ValueError, in one sentence, if an optimizer does not take an option or its value.

    Numbers must not be negative, and momenta (`betas`, `alpha`, `momentum` but for SGD's) lie below 1, as
    torch itself asks.
    """
    known = OPTIMIZERS[name].options
    for option, value in options.items():
        if option not in known:
            raise ValueError(f"{name} has no option {option!r}{nearest(option, known)}")
        kind = known[option]
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
