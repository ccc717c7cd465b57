"""How many weights to delete: a share of those there are, from 0 to below 1, or a whole number of them."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from harness.architectures.imagined import imagined
from harness.search.space import Choice, Domain, Float, Scalar
from harness.sizing.base import Cell
from harness.sizing.deletion import Deleting

if TYPE_CHECKING:
    from torch import Tensor


def ends_of(domain: Domain) -> list[float]:
    """The options of a choice, or both ends of a range.

    Raises:
        ValueError: if an option is no number.
    """
    if not isinstance(domain, Choice):
        return [domain.low, domain.high]
    for option in domain.options:
        if isinstance(option, bool | str):
            raise ValueError(f"only numbers can be chosen from here, found {option!r}")
    return [float(option) for option in domain.options]


def check_amount(method: Deleting, cell: Cell, name: str, domain: Domain) -> None:
    """Refuse amounts that networks of the cell cannot lose.

    Raises:
        ValueError: in one sentence.
    """
    amounts = ends_of(domain)
    for amount in amounts:
        _check_one(f"space.{name}", amount)
    most = max(amounts)
    if isinstance(domain, Float) and most >= 1:
        raise ValueError(
            f"space.{name}: a range of real numbers is one of shares, below 1; for numbers of weights write "
            "whole ones"
        )
    if most >= 1 and most >= (count := weights_at_start(method, cell)):
        raise ValueError(
            f"space.{name}: {most:g} weights cannot be deleted, because there are {count} and one has to stay"
        )


def check_per_step(per_step: float, *amounts: tuple[str, Domain]) -> None:
    """Refuse a step that is none, or, of the amounts that a study searches, one of the other kind.

    Raises:
        ValueError: in one sentence.
    """
    _check_one("per_step", per_step)
    if not per_step:
        raise ValueError("per_step must be above 0")
    for name, domain in amounts:
        if any(amount and (amount < 1) != (per_step < 1) for amount in ends_of(domain)):
            found = "a share" if per_step < 1 else "a number of weights"
            raise ValueError(
                f"per_step is {found}, {per_step:g}, and space.{name} is not; how many steps there are is "
                "known beforehand only if both are of one kind"
            )


def _check_one(where: str, amount: float) -> None:
    if not (0 <= amount < 1 or (math.isfinite(amount) and amount == int(amount) >= 1)):
        raise ValueError(
            f"{where}: an amount is a share from 0 to below 1, or a whole number of weights, found {amount:g}"
        )


def weights_at_start(method: Deleting, cell: Cell) -> int:
    """How many weights a method may delete from of a network as it starts; looked at without memory."""

    def count() -> int:
        from harness.sizing.criteria.candidates import candidates

        network, _ = method.build(cell, {})
        found = candidates(network, biases=method.biases, norms=method.norms)
        return sum(own.numel() for own in found.values())

    return imagined(count)


def number_of(amount: Scalar, start: int) -> int:
    """An amount as a number of weights, of which there were `start`."""
    return round(float(amount) * start) if float(amount) < 1 else int(amount)


def steps_to(amount: float, per_step: float) -> int:
    """Steps until an amount of the same kind has gone: 1 or more."""
    return max(1, math.ceil(amount / per_step - 1e-9))


def gone_after(steps: int, amount: float, per_step: float, start: int) -> int:
    """How many of `start` weights should have gone after so many steps."""
    gone = round(min(1.0, per_step * steps) * start) if per_step < 1 else int(per_step) * steps
    return min(gone, number_of(amount, start))


def due(target: int, start: int, live: "Mapping[str, Tensor]") -> int:
    """How many of the live weights have still to go until `target` of `start` have, whatever took them."""
    from harness.sizing.criteria.candidates import count_of

    return max(0, target - (start - count_of(live)))
