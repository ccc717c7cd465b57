"""The axes beside the score: how large a trial's network is, how slow, and what memory the trial held.

None of them is a unit of cost. A search pays for all of its trials, and neither the peak memory of trials nor
the latency of their networks adds up over them; a network is chosen by them, as by its parameters.
"""

from dataclasses import dataclass

from harness.trial_table import TIMED_BATCH_SIZES


@dataclass(frozen=True, slots=True)
class SizeAxis:
    """A column of the trial table that a network is better for having less of.

    name: in a sentence. symbol: of the unit on the page; "" where things are counted. in_unit: how much of
    the column makes one such unit. reading: what a reader must know of how it was measured.
    """

    column: str
    name: str
    symbol: str = ""
    in_unit: float = 1.0
    reading: str = ""

    @property
    def label(self) -> str:
        """The axis of a figure: latency at batch 1 (ms)."""
        return f"{self.name} ({self.symbol})" if self.symbol else self.name


#: The axis that is always told, where it is known.
PARAMETERS = "parameters"

#: All axes, in the order in which they are told.
SIZE_AXES = {
    axis.column: axis
    for axis in (
        SizeAxis(PARAMETERS, "parameters"),
        SizeAxis("nonzeros", "parameters that are not zero"),
        SizeAxis("macs", "multiply-accumulates"),
        *(
            SizeAxis(
                f"latency_ms_{batch_size}",
                f"latency at batch {batch_size}",
                "ms",
                reading="Latency was measured once a trial, on its device as busy as that was then.",
            )
            for batch_size in TIMED_BATCH_SIZES
        ),
        SizeAxis(
            "peak_memory_bytes",
            "peak memory",
            "MiB",
            2.0**20,
            "Memory is what the whole trial held at most: of a GPU's allocator, or of the process.",
        ),
    )
}
