"""Trains a recorded trial again up to its selected epoch, and holds what comes out against the record."""

import dataclasses
import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, NoReturn

import torch
from torch import nn

from harness.datasets import Split
from harness.extraction.errors import ExtractionError
from harness.records.differences import changes
from harness.records.provenance import cpu_name, provenance
from harness.records.record import Record
from harness.runs.trial_runner import TrialRunner
from harness.sizing.interval import Epoch
from harness.sizing.ledger.size import Size
from harness.sizing.origin import OriginOutcome
from harness.study.plan import Plan, Trial
from harness.training.journal import Journal, TrialEndedError
from harness.training.loop import train
from harness.training.scoring import evaluate

#: Versions that numbers may depend on.
_PACKAGES = ("sizing-harness", "torch", "numpy")


@dataclass(frozen=True, slots=True)
class Retrained:
    """A trial's network at the end of its selected epoch, as training left it: gates and all.

    differences: what is not as the record says, one line a value; none means equal to the last bit.
    circumstances: what about machine and software is not as it was.
    """

    network: nn.Module
    split: Split
    start_size: Size
    epochs: list[Epoch]
    val_score: float
    test_score: float
    differences: tuple[str, ...]
    circumstances: tuple[str, ...]

    def verdict(self) -> str:
        """How the retrained network compares with the record, for the user."""
        last = len(self.epochs)
        if not self.differences:
            return f"Equal to the record, bit for bit: scores, losses and sizes of all {last} epochs."
        count = len(self.differences)
        shown = "; ".join(self.differences[:3]) + ("; ..." if count > 3 else "")
        why = (
            f"Not as it was: {'; '.join(self.circumstances)}."
            if self.circumstances
            else "Processor, versions and code are those of the record, so the record was changed or this "
            "training does not repeat itself."
        )
        return f"DIFFERS from the record in {count} value(s): {shown}. {why}"


class _ReachedError(Exception):
    """The selected epoch is over."""


def on_this_machine(plan: Plan) -> Plan:
    """The plan, on the CPU if it asks for a GPU and this machine has none that torch can use.

    What that changes in the network is found by the comparison with the record.
    """
    if plan.study.resources.gpus == 0 or torch.cuda.is_available():
        return plan
    resources = plan.study.resources.model_copy(update={"gpus": 0})
    return dataclasses.replace(plan, study=plan.study.model_copy(update={"resources": resources}))


def retrain(
    runner: TrialRunner,
    trial: Trial,
    record: Record,
    on_epoch: Callable[[Epoch], None],
    origin: OriginOutcome | None = None,
) -> Retrained:
    """Train up to and including the record's selected epoch, in the settings of a worker.

    Sets the process's number of threads, as a worker does.

    Args:
        runner: of the plan, on this machine.
        trial: to be trained, and the record of it.
        record: see trial.
        on_epoch: is told of every measured interval.
        origin: how the trial's origin ended, if it has one.

    Raises:
        DataError: if the data cannot be loaded.
        ExtractionError: if training ends before that epoch. What a method raises goes through.
    """
    assert record.selected_epoch is not None, "a record without a selected network cannot be retrained"
    last = record.selected_epoch
    runner.prepare_worker()
    split = runner.split(trial)
    job, network, state = runner.start(trial, split, origin)
    # Here a slow machine costs patience; the limit was for the search.
    job = dataclasses.replace(job, limit_seconds=math.inf)
    journal = Journal()

    def stop_when_reached(epoch: Epoch) -> None:
        on_epoch(epoch)
        if epoch.epoch == last:
            raise _ReachedError

    try:
        train(job, network, state, journal, stop_when_reached)
    except _ReachedError:
        pass
    except TrialEndedError as end:
        _refuse(record, f"as {end.status!r} ({end})")
    else:
        _refuse(record, f"after epoch {len(journal.epochs)}")
    val_score = journal.epochs[-1].val_score
    assert val_score is not None, "the loop ends trials whose scores are not finite"
    assert journal.start_size is not None, "the loop measures before it trains"
    _, test_score = evaluate(network, split.test, job.objective)
    return Retrained(
        network=network,
        split=split,
        start_size=journal.start_size,
        epochs=journal.epochs,
        val_score=val_score,
        test_score=test_score,
        differences=tuple(changes(_recorded(record, last), _now(journal, val_score, test_score))),
        circumstances=tuple(changes(_circumstances(record.provenance, record.costs.device), _here(split))),
    )


def _refuse(record: Record, how: str) -> NoReturn:
    raise ExtractionError(
        f"trial {record.trial_id}: training it again ended {how}, before epoch {record.selected_epoch}, "
        "which its record selected; the record, the harness or the machine is another one"
    )


def _recorded(record: Record, last: int) -> dict[str, Any]:
    """What the record says of the epochs up to the selected one."""
    events = [event for event in record.events if event.epoch <= last]
    return _comparable(
        record.selected_epoch,
        record.val_score,
        record.test_score,
        record.start_size,
        record.epochs[:last],
        events,
    )


def _now(journal: Journal, val_score: float, test_score: float) -> dict[str, Any]:
    selected = journal.selected.epoch if journal.selected else None
    return _comparable(selected, val_score, test_score, journal.start_size, journal.epochs, journal.events)


def _without_certificate(event: dict[str, Any]) -> dict[str, Any]:
    """Whether a run asked for certificates changes nothing of its training.

    Nor do edits that changed nothing, of which earlier versions made events.
    """
    account = {what: found for what, found in event["account"].items() if what != "output_change"}
    return event | {"account": account}


def _comparable(
    selected: int | None,
    val_score: Any,
    test_score: Any,
    start_size: Any,
    epochs: list[Epoch],
    events: list[Any],
) -> dict[str, Any]:
    said = {
        "selected epoch": selected,
        "validation score": val_score,
        "test score": test_score,
        "start": asdict(start_size) if start_size else None,
        **{f"epoch {epoch.epoch}": _of_network(epoch) for epoch in epochs},
        "events": [said for event in events if (said := _without_certificate(asdict(event)))["account"]],
    }
    # Through JSON, as the record went: tuples become lists there.
    comparable: dict[str, Any] = json.loads(json.dumps(said))
    return comparable


def _of_network(epoch: Epoch) -> dict[str, Any]:
    """An interval without what old records do not say."""
    fields = epoch.outcome()
    for name in ("train_flops", "step", "phase_index"):
        del fields[name]
    return fields


def _circumstances(came_from: dict[str, Any], device: str) -> dict[str, Any]:
    packages = came_from.get("packages", {})
    about = {package: packages.get(package) for package in _PACKAGES}
    return about | {"commit": came_from.get("commit"), "device": device}


def _here(split: Split) -> dict[str, Any]:
    on_gpu = split.train.x.device.type == "cuda"
    return _circumstances(provenance(), torch.cuda.get_device_name() if on_gpu else cpu_name())
