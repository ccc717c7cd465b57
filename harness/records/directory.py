"""What lies in a run's directory, and whether it belongs to the plan at hand.

plan.json     the study, its data and its frozen trials; written first, never changed
records/      one file a trial
set-aside/    damaged records and those of other plans, kept for whoever wants to know why
executions/   one log a process: which trials it started and finished
faults/       tracebacks of what kept trials from being run and was not their fault
report/       written at the end of every run
extracted/    networks that `harness extract` took out, a folder a trial
"""

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from harness import __version__
from harness.records.differences import changes
from harness.records.faults import FaultFolder
from harness.records.files import NoFileError, read_file, write_whole
from harness.records.lock import LOCK, LockedError, exclusive, is_held
from harness.records.log import ExecutionLog
from harness.records.provenance import provenance
from harness.records.record import Record
from harness.records.store import RecordStore
from harness.records.strangers import Planned, is_made_by
from harness.study.plan import Plan
from harness.study.versions import VersionError
from harness.study.written import DamagedPlanError, Software, WrittenPlan, read_written

_PARTIAL, _PROBE = "plan.partial", ".writable"
#: What a start that was killed may have left before the plan was whole.
_OF_A_START = {_PARTIAL, _PROBE, LOCK}


#: Parts of a plan that the user decides; all else follows from them.
_WRITTEN = ("study.", "data.", "plugins.", "sources.")

_WRITTEN_AGAIN = "Moved away, it is written again by `harness run` if the records fit the study"


class DirectoryError(ValueError):
    """A run directory cannot be used; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class RunDirectory:
    """The paths of a run."""

    path: Path

    @property
    def plan_file(self) -> Path:
        return self.path / "plan.json"

    @property
    def report(self) -> Path:
        return self.path / "report"

    @property
    def store(self) -> RecordStore:
        return RecordStore(self.path)

    @property
    def log(self) -> ExecutionLog:
        return ExecutionLog(self.path)

    @property
    def faults(self) -> FaultFolder:
        return FaultFolder(self.path)

    def open_for(self, plan: Plan) -> bool:
        """Make the directory ready for a plan: new, or one that holds the same plan.

        Returns:
            True if the plan was lost and is written again, as the records there are fit it.

        Raises:
            DirectoryError: if it cannot be written, or holds another study or a changed plan.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            probe = self.path / _PROBE
            probe.write_text("")
            probe.unlink(missing_ok=True)  # two starts at once share it
        except OSError as error:
            raise DirectoryError(
                f"{self.path} cannot be written ({error.strerror}); choose another with --out"
            ) from error
        if os.path.lexists(self.plan_file):
            self._check_same(plan)
            return False
        is_lost = any(path.name not in _OF_A_START for path in self.path.iterdir())
        if is_lost and not self._fits(plan):
            raise DirectoryError(f"{self.path} holds files but no plan.json; choose another with --out")
        fields = plan.to_json() | {"begun_by": asdict(_this_software())}
        try:
            write_whole(self.plan_file, self.path / _PARTIAL, json.dumps(fields, indent=1))
        except OSError as error:
            raise DirectoryError(
                f"{self.plan_file} cannot be written ({error.strerror}); choose another directory with --out"
            ) from error
        return is_lost

    def read_records(self, plan: WrittenPlan) -> tuple[dict[str, Record], dict[str, str]]:
        """All sound records of the plan's trials by id, and for each other one why it is none.

        Raises:
            DirectoryError: if they cannot be read.
            VersionError: if a newer version of the harness wrote one.
        """
        return self._held_against(Planned(plan.arms, {trial.id: trial for trial in plan.trials}))

    def read_records_for(self, plan: Plan) -> tuple[dict[str, Record], dict[str, str]]:
        """The same for a plan that is about to run, which knows the trials of searches that learn, too."""
        planned = Planned.of(plan)
        records, others = self._held_against(planned)
        for trial_id in records.keys() - planned.trials.keys():
            if not is_made_by(plan, records[trial_id]):
                del records[trial_id]
                others[trial_id] = "is of no trial of this plan"
        return records, others

    def _held_against(self, planned: Planned) -> tuple[dict[str, Record], dict[str, str]]:
        try:
            records, others = self.store.read_all()
        except OSError as error:
            raise DirectoryError(f"{error.filename}: cannot be read ({error.strerror})") from error
        for record in list(records.values()):
            if misfit := planned.misfit(record):
                del records[record.trial_id]
                others[record.trial_id] = misfit
        return records, others

    def _fits(self, plan: Plan) -> bool:
        """Whether what lies here is of this plan: it has records, and all sound ones are of its trials."""
        records, _ = self.read_records_for(plan)
        return bool(records) and records.keys() == self.store.read_all()[0].keys()

    def read_plan(self) -> WrittenPlan:
        """The plan as it was written.

        Raises:
            DirectoryError: if there is none, or it is damaged.
            VersionError: if a newer version of the harness wrote it.
        """
        try:
            fields = json.loads(read_file(self.plan_file))
            json.dumps(
                fields, ensure_ascii=False
            ).encode()  # half a character can be written in JSON, no more
            return read_written(fields, self.plan_file)
        except FileNotFoundError as error:
            raise DirectoryError(f"{self.path} is not a run directory: it holds no plan.json") from error
        except VersionError:
            raise
        except DamagedPlanError as error:
            raise DirectoryError(f"{error}. {_WRITTEN_AGAIN}") from error
        except NoFileError as error:
            raise DirectoryError(f"{self.plan_file} {error}. {_WRITTEN_AGAIN}") from error
        except OSError as error:
            raise DirectoryError(f"{self.plan_file} cannot be read ({error.strerror})") from error
        except (ValueError, RecursionError) as error:
            raise DirectoryError(f"{self.plan_file} cannot be read: {error}. {_WRITTEN_AGAIN}") from error

    def begun_otherwise(self) -> str | None:
        """A sentence for a run that other software began; None if it was this."""
        now, written = _this_software(), self.read_plan()
        began = written.begun_by
        if began == now:
            return None
        blind = (
            "; what its plug-ins import was not noted then, so that a change of it is not noticed"
            if written.plan_version == 1 and written.plugins
            else ""
        )
        by = "an earlier version" if began is None else _named(began)
        return (
            f"{by} of the harness began this run, and it goes on with {_named(now)}; records tell what each "
            f"trial ran under{blind}"
        )

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the directory for one driver; the lock goes with the process, however it ends.

        Raises:
            DirectoryError: if another process holds it, or it cannot be locked.
        """
        with ExitStack() as held:
            try:
                held.enter_context(exclusive(self.path))
            except LockedError as error:
                raise DirectoryError(
                    f"{self.path} is in use by another `harness run`{error}; choose another with --out"
                ) from error
            except OSError as error:
                raise DirectoryError(
                    f"{self.path} cannot be locked ({error.strerror or error}); choose a directory on "
                    "another file system with --out"
                ) from error
            yield

    def remove_unused(self) -> None:
        """Take a directory away in which nothing was ever begun."""
        with suppress(OSError):
            if not self.log.read() and not any(self.store.folder.glob("*")):
                self.plan_file.unlink()
                (self.path / LOCK).unlink()
                self.path.rmdir()

    def in_use(self) -> bool:
        """Whether a driver holds the directory now."""
        return is_held(self.path)

    def _check_same(self, plan: Plan) -> None:
        before = self.read_plan()
        now = read_written(json.loads(json.dumps(plan.to_json())), "the study")
        if before.study.name != plan.study.name:
            raise DirectoryError(
                f"{self.path} holds another study: {before.study.name!r}, not {plan.study.name!r}; "
                "choose another with --out"
            )
        differences = changes(before.comparable(), now.comparable())
        # What the user wrote explains what follows from it.
        differences = [d for d in differences if d.startswith(_WRITTEN)] or differences
        if differences:
            shown = "; ".join(differences[:5]) + ("; ..." if len(differences) > 5 else "")
            raise DirectoryError(
                f"{self.path} holds this study with another plan: {shown}. Run the changed study into a new "
                "directory with --out"
            )


def _this_software() -> Software:
    return Software(__version__, provenance()["commit"])


def _named(software: Software) -> str:
    commit = f" at commit {software.commit[:10]}" if software.commit else ""
    return f"version {software.version}{commit}"
