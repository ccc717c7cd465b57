"""What a method comes to beside one of its controls."""

from dataclasses import dataclass

from reports.results.contrast import Contrast
from reports.results.estimate import Estimate


@dataclass(frozen=True, slots=True)
class ControlResult:
    """A method against one of its controls in one cell.

    control: the control's arm. asks: what it tells apart, in words. contrast: the method against it, adjusted
    over all controls of the report. method_gain, control_gain: of the best of n over that of the report's
    baseline, with plain limits; None where there is no baseline, or nothing can be said.
    """

    control: str
    asks: str
    contrast: Contrast
    method_gain: Estimate | None
    control_gain: Estimate | None
    sentence: str
