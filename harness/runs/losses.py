"""Whose fault it is that a worker died: a trial's that it dies in, if it always dies at the same place.

Workers die of much that is no trial's doing: nodes are lost, somebody ends processes, memory runs out for
all. None of it keeps to an epoch of one trial. So a trial answers for the deaths of its workers if there were
three in a row in the same epoch, the last of them with nothing beside it.
"""

from dataclasses import dataclass, field

from harness.runs.attempts import MAX_LOSSES

#: A trial that lost so many workers, and answers for none, will not be done: something outside ends them.
MAX_LOSSES_IN_ALL = 12


@dataclass(slots=True)
class Losses:
    """The epochs, from 1, in which the workers of each trial died since the run was begun or taken up."""

    _epochs: dict[str, list[int]] = field(default_factory=dict)

    def add(self, trial_id: str, epoch: int) -> None:
        """One more worker has died in a trial."""
        self._epochs.setdefault(trial_id, []).append(epoch)

    def must_be_alone(self, trial_id: str) -> bool:
        """Whether one more death in the same epoch would be its own doing: then nothing may run beside it."""
        return self._in_a_row(trial_id) >= MAX_LOSSES - 1

    def are_its_own(self, trial_id: str, was_alone: bool) -> bool:
        """Whether the trial answers for the deaths. was_alone: at the last of them."""
        return was_alone and self._in_a_row(trial_id) >= MAX_LOSSES

    def are_too_many(self, trial_id: str) -> bool:
        """Whether the trial has lost so many workers that to begin it again is no use."""
        return len(self._epochs.get(trial_id, ())) >= MAX_LOSSES_IN_ALL

    def _in_a_row(self, trial_id: str) -> int:
        """How many of the last deaths were in the same epoch."""
        epochs = self._epochs.get(trial_id, [])
        count = 0
        while count < len(epochs) and epochs[-1 - count] == epochs[-1]:
            count += 1
        return count
