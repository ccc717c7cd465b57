"""Pruners by replay: what a study may write, and what a plan holds of it.

For trials that learn nothing from each other a pruner only truncates what each would have done. So such a
search is an arm that trains nothing (`replay_of:`): it is computed from another's recorded curves when the
study is judged. One that learns would have drawn other points; it is an arm of its own, which trains its
trials whole and is told of them as its pruner would have stopped them (`harness.records.stopped`).
"""

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from harness.design import ArmDesign, ReplayDesign
from harness.nearest import nearest
from harness.search.pruners import pinned_pruner
from harness.search.samplers import sampling_of
from harness.study.parts import StudyError
from harness.study.schedulers import SCHEDULERS
from harness.study.schema import Method, Pruner, Study

if TYPE_CHECKING:
    from harness.study.plan import Arm

#: What an entry that trains nothing may say.
_SAID = {"name", "replay_of", "pruner"}


def check_replays(study: Study, source: str) -> None:
    """What can be told before any data are touched.

    Raises:
        StudyError: one sentence, for an origin that is none, itself, a replay or a search that learns, for a
            pruner that is none, and for what a replay decides nothing of.
    """
    entries = {method.name: method for method in study.methods}
    replays = {name for name, method in entries.items() if method.replay_of is not None}
    searched = {name for name, method in entries.items() if method.pruner is not None} - replays
    for method in study.methods:
        if method.replay_of is not None or method.pruner is not None:
            _check_one(study, f"{source}: methods.{method.name}", method, entries, replays)
        if method.replay_of is None and method.origin_method in searched:
            raise StudyError(
                f"{source}: methods.{method.name}.of: {method.origin_method} is searched under a pruner, and "
                "a trial that it stops has no end to begin from; begin from an arm without one"
            )
        if method.replay_of is None and method.origin_method in replays:
            raise StudyError(
                f"{source}: methods.{method.name}.of: {method.origin_method} trains nothing, so no trial can "
                "begin from its trials"
            )
    if study.claim.baseline in replays:
        raise StudyError(
            f"{source}: claim.baseline: {study.claim.baseline} replays "
            f"{entries[study.claim.baseline].replay_of} and trains nothing; the baseline is a method that is "
            "trained"
        )


def _check_one(
    study: Study, where: str, method: Method, entries: Mapping[str, Method], replays: Collection[str]
) -> None:
    if method.pruner is not None and method.replay_of is None and _learns(study, method):
        _check_pruner(where, method.pruner)
        return
    if method.replay_of is None or method.pruner is None:
        lacking, there = ("replay_of", "pruner") if method.replay_of is None else ("pruner", "replay_of")
        raise StudyError(
            f"{where}: {there} needs {lacking}: a pruner is replayed on the trials of another arm"
        )
    wanted = method.replay_of
    others = [name for name in entries if name not in replays]
    if wanted == method.name:
        raise StudyError(
            f"{where}.replay_of: it names itself; allowed: {', '.join(others) or 'none is there'}"
        )
    if wanted not in entries:
        raise StudyError(f"{where}.replay_of: {wanted!r} is no method of this study{nearest(wanted, others)}")
    if wanted in replays:
        raise StudyError(
            f"{where}.replay_of: {wanted} is a replay itself and has no trials; "
            f"replay {entries[wanted].replay_of}"
        )
    for field in sorted(method.model_fields_set - _SAID):
        if getattr(method, field) != type(method).model_fields[field].get_default(call_default_factory=True):
            raise StudyError(f"{where}.{field}: it trains nothing, so {field} decides nothing; leave it out")
    _check_pruner(where, method.pruner)
    first = entries[wanted]
    while first.origin_method is not None and first.origin_method in entries:
        following = entries[first.origin_method]
        if following is first or following is entries[wanted]:
            return  # a circle, which is refused by its own name
        first = following
    sampler = first.sampler or study.sampler
    if sampling_of(sampler.name) == "adaptive":
        raise StudyError(
            f"{where}.replay_of: {wanted} is searched by {sampler.name}, which would have drawn other points "
            "had it been told of stopped trials; only arms of samplers that learn nothing can be replayed"
        )


def _check_pruner(where: str, pruner: Pruner) -> None:
    try:
        pinned_pruner(pruner.name, pruner.options)
    except ValueError as error:
        raise StudyError(f"{where}.pruner: {error}") from error


def _learns(study: Study, method: Method) -> bool:
    """Whether a method's arms are searches of their own that learn from results."""
    return method.of is None and sampling_of((method.sampler or study.sampler).name) == "adaptive"


def plan_pruner(pruner: Pruner, begun: ArmDesign | None) -> dict[str, Any]:
    """The pruner of an arm's own search, with all its options.

    Args:
        begun: the arm in the plan of a run begun: its options go before the defaults of the installed Optuna.

    Raises:
        ValueError: if this Optuna no longer has an option that the run was begun with.
    """
    kept = begun.pruner if begun is not None else None
    pinned = kept["options"] if kept is not None and kept["name"] == pruner.name else {}
    return pinned_pruner(pruner.name, {**pinned, **pruner.options})


def plan_replays(study: Study, arms: Mapping[str, "Arm"]) -> dict[str, ReplayDesign]:
    """Key -> what is replayed, for every cell; pruners with all their options."""
    found = {}
    for arm in arms.values():
        for method in study.methods:
            if method.replay_of != arm.method or method.pruner is None:
                continue
            key = f"{arm.dataset}/{arm.architecture}/{method.name}"
            pruner = pinned_pruner(method.pruner.name, method.pruner.options)
            # Optuna's Hyperband deals its brackets by the hash of its study's name.
            pruner["study_name"] = f"{study.name}/{key}"
            found[key] = ReplayDesign(arm.dataset, arm.architecture, method.name, arm.method, pruner)
    return found


def replay_warnings(study: Study) -> tuple[str, ...]:
    """What a plan must say of its pruners: a schedule over all epochs is not that of a shorter trial."""
    schedule = study.training.schedule
    names = ", ".join(method.name for method in study.methods if method.pruner is not None)
    if not names or not schedule.name:
        return ()
    length = SCHEDULERS[schedule.name].length
    if length is None:
        return ()
    return (
        f"{names}: the learning rate follows {schedule.name} over the whole length of a trial, so one that a "
        "pruner stops is stopped before its rate came to its end; a search planned for short trials would "
        "have had another schedule, and what is replayed is counterfactual to that extent",
    )
