"""The store of records: one file a trial, atomic, with a checksum, never changed."""

import hashlib
import json
import os
import socket
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from harness.records.files import NoFileError, naming, read_file
from harness.records.plain_text import plain_values
from harness.records.record import RECORD_VERSION, Record
from harness.study.versions import check_version

_RECORDS = TypeAdapter(Record)


_IDENTITY = {"trial_id", "arm", "replicate", "index", "pair_id", "params", "seeds", "origin_trial_id"}


class DamagedRecordError(ValueError):
    """A record's file is cut short or was changed after it was written."""


@dataclass(frozen=True, slots=True)
class RecordStore:
    """The records of a run, in the folder `records` of its directory."""

    run: Path

    @property
    def folder(self) -> Path:
        return self.run / "records"

    def path(self, trial_id: str) -> Path:
        """Where a trial's record lies, or would."""
        return self.folder / f"{trial_id}.json"

    def write(self, record: Record) -> bool:
        """Write a record, whole or not at all, its texts as they can be read back.

        Returns:
            False if the trial has a record already: it is never changed.

        Raises:
            OSError: if it cannot be written, or not be read back.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        fields = asdict(record)
        # What names the trial is the plan's and stays as it is; the rest may come from a stranger's code.
        fields |= {name: plain_values(fields[name]) for name in fields.keys() - _IDENTITY}
        body = json.dumps(fields, allow_nan=False, separators=(",", ":"))
        text = f'{{"sha256": "{hashlib.sha256(body.encode()).hexdigest()}", "record":\n{body}\n}}\n'
        partial = self.folder / f".{record.trial_id}.{socket.gethostname()}.{os.getpid()}.partial"
        path = self.path(record.trial_id)
        try:
            with open(partial, "w", encoding="utf-8") as file, naming(partial):
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            _parse(partial.read_text(encoding="utf-8"), record.trial_id)
            return _link(partial, path)
        except DamagedRecordError as error:
            raise OSError(f"{path} would not be read back: it {error}") from error
        finally:
            partial.unlink(missing_ok=True)  # of a full disk, too

    def read(self, trial_id: str) -> Record | None:
        """A trial's record; None if it has none.

        Raises:
            DamagedRecordError: if it was cut short or changed, or is no file.
            VersionError: if a newer version of the harness wrote it.
        """
        try:
            text = read_file(self.path(trial_id)).decode("utf-8")
        except FileNotFoundError:
            return None
        except NoFileError as error:
            raise DamagedRecordError(str(error)) from error
        except UnicodeDecodeError as error:
            raise DamagedRecordError("is not text") from error
        return _parse(text, trial_id)

    def read_all(self) -> tuple[dict[str, Record], dict[str, str]]:
        """All sound records by trial id, and for each damaged one what is wrong with it."""
        records, damaged = {}, {}
        for path in sorted(self.folder.glob("*.json")):
            try:
                record = self.read(path.stem)
            except DamagedRecordError as error:
                damaged[path.stem] = str(error)
            else:
                if record is not None:
                    records[path.stem] = record
        return records, damaged

    def set_aside(self, trial_id: str) -> Path:
        """Move a damaged record out of the way, so that its trial runs again; returns where it lies now."""
        aside = self.run / "set-aside"
        aside.mkdir(exist_ok=True)
        target = aside / f"{trial_id}.{time.time_ns()}.json"
        self.path(trial_id).replace(target)
        return target


def _link(partial: Path, path: Path) -> bool:
    """Give a written file its name; False if that is taken."""
    try:
        # A link fails where the name exists; a rename would replace the first record.
        os.link(partial, path)
    except FileExistsError:
        return False
    except OSError:
        if os.path.lexists(path):
            return False
        partial.replace(path)  # a file system without links: two writers are kept apart by dealing alone
    return True


def _parse(text: str, trial_id: str) -> Record:
    """A record from its file's text. Raises DamagedRecordError, VersionError."""
    lines = text.split("\n")
    if len(lines) != 4 or lines[2:] != ["}", ""]:
        raise DamagedRecordError("is cut short or not a record")
    if lines[0] != f'{{"sha256": "{hashlib.sha256(lines[1].encode()).hexdigest()}", "record":':
        raise DamagedRecordError("does not match its checksum: it was changed after it was written")
    try:
        record = _RECORDS.validate_json(lines[1])
    except ValidationError as error:
        check_version(_version_in(lines[1]), RECORD_VERSION, f"record {trial_id}")
        raise DamagedRecordError(f"is not a record: {error.errors()[0]['msg']}") from error
    check_version(record.version, RECORD_VERSION, f"record {trial_id}")
    if record.trial_id != trial_id:
        raise DamagedRecordError(f"is the record of another trial, {record.trial_id}")
    return record


def _version_in(body: str) -> object:
    """The version that a record which does not fit carries; the oldest where it cannot be told."""
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        return 1
    return fields.get("version", 1) if isinstance(fields, dict) else 1
