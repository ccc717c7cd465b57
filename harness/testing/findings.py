"""What the conformance suite finds: a rule, and whether a part keeps it."""

from collections.abc import Callable
from dataclasses import dataclass

from harness.training.surroundings import kept


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule of the contract and how a part kept it. fault: empty if it did, else what was seen."""

    rule: str
    fault: str

    @property
    def kept(self) -> bool:
        return not self.fault


def found(rule: str, check: Callable[[], str]) -> Finding:
    """Hold a part against a rule. What it sets in the process is set back, as after a trial.

    Args:
        check: returns "" if the rule is kept, else what was seen. An exception is a fault too.
    """
    try:
        with kept():
            return Finding(rule, check())
    except Exception as error:  # noqa: BLE001 - strangers' code: whatever it raises is what was seen
        return Finding(rule, f"{type(error).__name__}: {error}")
