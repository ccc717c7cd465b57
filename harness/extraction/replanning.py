"""From a run's plan.json and a record back to the plan and the trial, or a sentence on what has changed."""

from collections.abc import Sequence
from pathlib import Path

from harness.datasets import DatasetFacts, DatasetSpec, prepare
from harness.extraction.errors import ExtractionError
from harness.extraction.plugins import matching_plugins
from harness.records.differences import changes
from harness.records.directory import RunDirectory
from harness.records.record import Record
from harness.records.store import DamagedRecordError
from harness.runs.origins import MissingOriginError, origin_outcome
from harness.sizing.origin import OriginOutcome
from harness.study.plan import Plan, Trial
from harness.study.planning import plan_arms
from harness.study.weights import with_weights_found


def replan(
    directory: RunDirectory, record: Record, data_root: Path | None, plugins: Sequence[Path]
) -> tuple[Plan, Trial]:
    """The plan a record's trial belongs to, and the trial.

    A trial's id is the hash of all that defines it, so equal ids prove that study, data, plug-ins, parameters
    and seeds are those of the record. Only the trial's own data set is looked at; the others may be gone.

    Args:
        plugins: the plug-in files of the study; plans know their names and contents, not where they lie.

    Raises:
        DirectoryError, DataError, StudyError: from the parts.
        ExtractionError: if plug-ins, data or study are not those of the run, in one sentence.
    """
    written = directory.read_plan()
    if record.arm not in written.arms:
        raise ExtractionError(
            f"trial {record.trial_id}: its record is of the arm {record.arm!r}, which {directory.plan_file} "
            "has not; it came from another run"
        )
    paths = matching_plugins(written.plugins, plugins, whose="the study of this run", where="--plugin")
    study = written.study.model_copy(update={"plugins": [str(path) for path in paths]}).lying_in(Path.cwd())
    study = with_weights_found(study, str(directory.plan_file), data_root)
    dataset = written.arms[record.arm].dataset

    def facts(spec: DatasetSpec) -> DatasetFacts:
        return prepare(spec, data_root) if spec.name == dataset else written.data[spec.name]

    plan = plan_arms(study, str(directory.plan_file), facts, written.plan_version)
    _check_data(directory, plan.facts[dataset], written.data[dataset])
    used, before = plan.sources.get(record.arm, {}), written.sources.get(record.arm, {})
    if differing := changes(before, dict(used)):
        raise ExtractionError(
            f"trial {record.trial_id}: code that its plug-in uses is not that of the run: {differing[0]}"
        )
    return plan, _trial_of(plan, record, directory)


def _trial_of(plan: Plan, record: Record, directory: RunDirectory) -> Trial:
    trial = plan.make_trial(
        plan.arms[record.arm],
        record.replicate,
        record.index,
        record.params,
        record.origin_trial_id,
        record.repeat,
    )
    if trial.id != record.trial_id:
        raise ExtractionError(
            f"trial {record.trial_id}: study, parameters and seeds now give the id {trial.id}: the record or "
            f"{directory.plan_file} was changed, or another version of the harness wrote them"
        )
    return trial


def origin_replayed(plan: Plan, record: Record, directory: RunDirectory) -> OriginOutcome | None:
    """How the origin of a record's trial ended, by its own record in the run; None if it has none.

    Raises:
        ExtractionError: if that record is not there, damaged, or of another plan.
    """
    if record.origin_trial_id is None:
        return None

    def read(trial_id: str) -> Record | None:
        try:
            found = directory.store.read(trial_id)
        except DamagedRecordError as error:
            raise ExtractionError(
                f"trial {record.trial_id} begins from trial {trial_id}, whose record {error}; `harness run` "
                "runs that again"
            ) from error
        if found is not None:
            _trial_of(plan, found, directory)
        return found

    try:
        return origin_outcome(plan, record.origin_trial_id, read)
    except MissingOriginError as error:
        raise ExtractionError(
            f"trial {record.trial_id}: {error}; put the record back into {directory.store.folder}, or let "
            "`harness run` run that trial again"
        ) from error


def _check_data(directory: RunDirectory, found: DatasetFacts, planned: DatasetFacts) -> None:
    if found != planned:
        raise ExtractionError(
            f"data set {planned.name!r} is not the one of the run: its fingerprint is "
            f"{found.fingerprint[:12]}..., {directory.plan_file} has {planned.fingerprint[:12]}...; name the "
            "folder of the run's data with --data"
        )
