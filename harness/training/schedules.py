"""The learning rate over a phase: the phase's own rate times what a scheduler of torch and a warm-up say."""

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from harness.study.schedulers import SCHEDULERS


@dataclass(frozen=True, slots=True)
class RateSchedule:
    """What the study asks of the rate. Each phase begins its schedule anew; the warm-up comes once a trial.

    scheduler: a class name of torch.optim.lr_scheduler, "" for a constant rate; options: its own, rates as
    multiples of the phase's. every: whether it moves on by "epoch" or by "step". warm_up_epochs: over so many
    epochs at the start of the trial, every step, the rate rises in equal steps from the first part to all.
    """

    scheduler: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    every: str = "epoch"
    warm_up_epochs: int = 0

    @property
    def is_constant(self) -> bool:
        """Whether a phase keeps its rate."""
        return not self.scheduler and not self.warm_up_epochs


class PhaseRate:
    """The factor of a phase's rate, from its first step to its last.

    A scheduler of torch's moves the rate of a stand-in for the optimizer, from 1: so every scheduler counts
    as it does anywhere, and whatever else it would do to an optimizer is left alone.
    """

    def __init__(self, schedule: RateSchedule, epochs: int, steps_per_epoch: int) -> None:
        """epochs, steps_per_epoch: of the phase."""
        self._schedule = schedule
        self._warm_up_steps = schedule.warm_up_epochs * steps_per_epoch
        self._scheduler: Any = None
        if not schedule.scheduler:
            return
        facts = SCHEDULERS[schedule.scheduler]
        options = dict(schedule.options)
        if facts.length is not None:
            # Nothing is stepped where an epoch has no step; a schedule needs a length all the same.
            length = epochs * steps_per_epoch if schedule.every == "step" else epochs
            options.setdefault(facts.length, max(1, length))
        if schedule.scheduler in ("CyclicLR", "OneCycleLR"):
            options["cycle_momentum"] = False
        self._optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(()))], lr=1.0)
        self._scheduler = getattr(torch.optim.lr_scheduler, schedule.scheduler)(self._optimizer, **options)
        self._reads_loss = facts.reads_loss
        # Torch refuses to take this one beyond its end.
        self._steps = options["total_steps"] - 1 if schedule.scheduler == "OneCycleLR" else math.inf

    def factor(self, steps_done: int) -> float:
        """What the phase's rate is multiplied by in the next step.

        Args:
            steps_done: of the trial, for the warm-up.
        """
        rate = 1.0 if self._scheduler is None else float(self._optimizer.param_groups[0]["lr"])
        if steps_done < self._warm_up_steps:
            rate *= (steps_done + 1) / self._warm_up_steps
        return rate

    def step_ended(self) -> None:
        """One more step was made."""
        if self._scheduler is not None and self._schedule.every == "step":
            self._advance()

    def epoch_ended(self, val_loss: float) -> None:
        """One more interval was measured."""
        if self._scheduler is None or self._schedule.every == "step":
            return
        if self._reads_loss:
            self._scheduler.step(val_loss)
        else:
            self._advance()

    def _advance(self) -> None:
        if self._scheduler.last_epoch >= self._steps:
            return  # shorter than the phase, as the study says: the last rate stays
        with warnings.catch_warnings():
            # Of the order of steps: the stand-in makes none.
            warnings.simplefilter("ignore", UserWarning)
            self._scheduler.step()
