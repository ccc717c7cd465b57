"""One line of the calibration's table."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """What was asked and what was measured. A row without bounds is for information."""

    bar: str
    setting: str
    measured: float
    at_least: float | None = None
    at_most: float | None = None

    def holds(self, slack: float = 0.0) -> bool:
        """Whether the bar is met, give or take `slack` (small simulations are noisy)."""
        if self.at_least is not None and self.measured < self.at_least - slack:
            return False
        return self.at_most is None or self.measured <= self.at_most + slack

    def __str__(self) -> str:
        wanted = [f">= {self.at_least:g}"] if self.at_least is not None else []
        wanted += [f"<= {self.at_most:g}"] if self.at_most is not None else []
        verdict = ("ok" if self.holds() else "FAILS") if wanted else ""
        return f"{self.bar:>4}  {self.setting:<58} {self.measured:8.4g}  {' and '.join(wanted):<20} {verdict}"
