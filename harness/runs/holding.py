"""Controls that wait: a trial that they begin from has no record yet."""

from collections.abc import Collection, Mapping

from harness.study.plan import Trial


class Held:
    """Trials by the trial that they wait for."""

    def __init__(self) -> None:
        self._by_awaited: dict[str, list[Trial]] = {}

    def hold(self, trial: Trial, awaited: str) -> None:
        """Keep a trial until another has a record: its origin, or what that began from."""
        self._by_awaited.setdefault(awaited, []).append(trial)

    def release(self, awaited: str) -> list[Trial]:
        """The trials that waited for this one, which has its record now."""
        return self._by_awaited.pop(awaited, [])

    def are_any_to_come(self, arms: Collection[str], trials: Mapping[str, Trial]) -> bool:
        """Whether any of them can still be dealt.

        Args:
            arms: that are dealt. What waits for a trial of another arm waits for good.
            trials: of the plan, by id.
        """
        awaits = {trial.id: awaited for awaited, held in self._by_awaited.items() for trial in held}

        def will_come(trial: Trial) -> bool:
            if trial.arm not in arms:
                return False
            return trial.id not in awaits or will_come(trials[awaits[trial.id]])

        return any(will_come(trials[trial_id]) for trial_id in awaits)
