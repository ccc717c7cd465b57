"""What lies in a run's directory, and whether it belongs to the plan at hand.

plan.json     the study, its data and its frozen trials; written first, never changed
records/      one file a trial
set-aside/    damaged records, kept for whoever wants to know why
executions/   one log a process: which trials it started and finished
faults/       tracebacks of what kept trials from being run and was not their fault
report/       written at the end of every run
extracted/    networks that `harness extract` took out, a folder a trial
"""

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.records.differences import changes
from harness.records.faults import FaultFolder
from harness.records.log import ExecutionLog
from harness.records.store import RecordStore
from harness.study.plan import Plan

_PARTIAL, _PROBE, _LOCK = "plan.partial", ".writable", ".lock"
#: What a start that was killed may have left before the plan was whole.
_OF_A_START = {_PARTIAL, _PROBE, _LOCK}


#: Parts of a plan that the user decides; all else follows from them.
_WRITTEN = ("study.", "data.", "plugins.")


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

    def open_for(self, plan: Plan) -> None:
        """Make the directory ready for a plan: new, or one that holds the same plan.

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
        if self.plan_file.exists():
            self._check_same(plan)
        elif any(path.name not in _OF_A_START for path in self.path.iterdir()):
            raise DirectoryError(f"{self.path} holds files but no plan.json; choose another with --out")
        else:
            partial = self.path / _PARTIAL
            partial.write_text(json.dumps(plan.to_json(), indent=1), encoding="utf-8")
            partial.replace(self.plan_file)

    def read_plan(self) -> dict[str, Any]:
        """The plan as it was written. Raises DirectoryError if there is none or it is damaged."""
        try:
            plan = json.loads(self.plan_file.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise DirectoryError(f"{self.path} is not a run directory: it holds no plan.json") from error
        except (OSError, ValueError) as error:
            raise DirectoryError(f"{self.plan_file} cannot be read: {error}") from error
        parts = ("study", "arms", "data")
        if not isinstance(plan, dict) or not all(isinstance(plan.get(part), dict) for part in parts):
            raise DirectoryError(f"{self.plan_file} is not a plan")
        return plan

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the directory for one driver; the lock goes with the process, however it ends.

        Raises:
            DirectoryError: if another process holds it.
        """
        with open(self.path / _LOCK, "a+", encoding="utf-8") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise DirectoryError(
                    f"{self.path} is in use by another `harness run`; choose another with --out"
                ) from error
            yield

    def remove_unused(self) -> None:
        """Take a directory away in which nothing was ever begun."""
        with suppress(OSError):
            if not self.log.read() and not any(self.store.folder.glob("*")):
                self.plan_file.unlink()
                (self.path / _LOCK).unlink()
                self.path.rmdir()

    def in_use(self) -> bool:
        """Whether a driver holds the directory now."""
        try:
            with self.locked():
                return False
        except DirectoryError:
            return True
        except OSError:  # it cannot be written here, so no run of ours can be at work
            return False

    def _check_same(self, plan: Plan) -> None:
        before, now = self.read_plan(), json.loads(json.dumps(plan.to_json()))
        if before["study"].get("name") != plan.study.name:
            raise DirectoryError(
                f"{self.path} holds another study: {before['study'].get('name')!r}, not {plan.study.name!r}; "
                "choose another with --out"
            )
        for plan_as_written in (before, now):
            _forget_words(plan_as_written)
        differences = changes(before, now)
        # What the user wrote explains what follows from it.
        differences = [d for d in differences if d.startswith(_WRITTEN)] or differences
        if differences:
            shown = "; ".join(differences[:5]) + ("; ..." if len(differences) > 5 else "")
            raise DirectoryError(
                f"{self.path} holds this study with another plan: {shown}. Run the changed study into a new "
                "directory with --out"
            )


def _forget_words(plan: dict[str, Any]) -> None:
    """Take out what changes nothing that runs: descriptions, warnings, versions of samplers already drawn."""
    plan["study"]["description"] = ""
    plan["warnings"] = []
    for arm in plan["arms"].values():
        if arm["sampling"] != "adaptive":  # its trials are compared themselves
            arm["sampler"] = ""
