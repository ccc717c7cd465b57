"""Trial tables from Optuna storages (a database URL, or the file of a journal storage)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from reports.errors import TableError
from reports.table.checks import STATES, nearest
from reports.table.importers.common import (
    ForeignTrial,
    Imported,
    ImportOptions,
    missing_score,
    score,
    to_table,
)

if TYPE_CHECKING:
    import optuna

_SQLITE = re.compile(r"(sqlite(?:\+\w+)?):///([^?]*)(?:\?(.*))?")


@dataclass(frozen=True, slots=True)
class _Study:
    """A study with its trials, read from its storage."""

    name: str
    directions: list[str]
    attributes: dict[str, Any]
    trials: "list[optuna.trial.FrozenTrial]"


def import_optuna(
    storage: str, options: ImportOptions, studies: tuple[str, ...] = (), *, one_method: bool = False
) -> Imported:
    """Reads the studies of a storage, each as one whole search.

    The objective (or `options.validation`, a user attribute) is the validation score, the user attribute
    `options.test` the test score; other user attributes with the name of a column are taken as that column.
    A study is a replicate of its arm. Optuna does not store the sampler, and its default learns from earlier
    trials, so `sampling` is `adaptive` unless the options or the trials say otherwise.

    Args:
        storage: a URL such as `sqlite:///runs.db`, or a path of a journal file or SQLite file.
        options: names of what Optuna does not know.
        studies: names of the studies to read; empty for all.
        one_method: the studies without a method of their own are replicates of `options.method`; otherwise
            the study's name is the method's.

    Raises:
        TableError: the storage cannot be opened, a study is not in it, has several objectives, or runs the
            other way than the options say; or no trial has the test score.
    """
    found = _read(storage, studies)
    trials: list[ForeignTrial] = []
    waiting = 0
    replicates: dict[str, int] = {}
    attributes: set[str] = set()
    for study in found:
        _check_direction(storage, study, options)
        method = options.method if one_method and options.method else study.name
        replicate = replicates[method] = replicates.get(method, -1) + 1
        facts = {"method": method, "replicate": replicate, "study": study.name, **study.attributes}
        for trial in study.trials:
            attributes |= set(trial.user_attrs)
            waiting += trial.state.name == "WAITING"
        trials += list(_trials(study, facts, options))
    if trials and not any(trial.test is not None for trial in trials):
        raise missing_score(storage, options.test, sorted(attributes))
    table = to_table(storage, trials, options)
    notes = ["train_seconds is a trial's whole duration, as Optuna recorded it."]
    if not options.sampling and (table["sampling"] == "adaptive").any():
        notes.append(
            "Optuna does not store the sampler; trials are taken as adaptive. If all came from RandomSampler "
            "without a pruner, say so (sampling iid)."
        )
    if waiting:
        notes.append(f"{waiting} waiting trials had not started and are left out.")
    return Imported(table, tuple(notes))


def _read(storage: str, names: tuple[str, ...]) -> list[_Study]:
    """The studies of these names, or all in the order of their names."""
    import optuna  # half a second to import, and nothing else needs it

    try:
        opened = _open(storage)
        there = optuna.get_all_study_names(opened)
        for name in names:
            if name not in there:
                raise TableError(
                    f"{storage}: no study {name!r}{nearest(name, there)}; there are: {', '.join(there)}"
                )
        found = []
        for name in names or sorted(there):
            study = optuna.load_study(study_name=name, storage=opened)
            directions = [direction.name.lower() for direction in study.directions]
            found.append(_Study(name, directions, study.user_attrs, study.get_trials(deepcopy=False)))
        return found
    except TableError:
        raise
    except Exception as error:  # every driver, and every damaged field, has errors of its own
        reason = str(error).strip().split("\n")[0]
        raise TableError(
            f"{storage}: cannot be read as an Optuna storage ({type(error).__name__}: {reason:.200})"
        ) from error


def _open(storage: str) -> "optuna.storages.BaseStorage":
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    if "://" in storage:
        return optuna.storages.RDBStorage(_read_only(storage), skip_table_creation=True)
    path = Path(storage)
    if not path.is_file():
        raise TableError(f"{storage}: there is no such file; allowed is an Optuna storage")
    with path.open("rb") as file:
        is_sqlite = file.read(15) == b"SQLite format 3"
    if is_sqlite:
        url = f"sqlite:///{quote(str(path.resolve()))}"
        return optuna.storages.RDBStorage(_read_only(url), skip_table_creation=True)
    return JournalStorage(JournalFileBackend(str(path)))


def _read_only(url: str) -> str:
    """The URL of a database that is only read: a misspelt path makes no new one, an old one is not changed.

    Of SQLite alone, whose databases are files; to others one is let in by their own rights.
    """
    sqlite = _SQLITE.fullmatch(url)
    if sqlite is None:
        return url
    driver, place, query = sqlite.groups()
    if place.startswith("file:"):  # who writes so says himself how it is opened
        return url
    path = Path(unquote(place))
    if not path.is_file():
        raise TableError(f"{url}: there is no such file; allowed is an Optuna storage")
    more = f"&{query}" if query else ""
    return f"{driver}:///file:{quote(str(path.resolve()))}?mode=ro&uri=true{more}"


def _check_direction(storage: str, study: _Study, options: ImportOptions) -> None:
    directions = study.directions
    if len(directions) > 1 and options.validation is None:
        raise TableError(
            f"{storage}: study {study.name!r} has {len(directions)} objectives; allowed is one, or a "
            "user "
            "attribute named as the validation score"
        )
    wanted = "minimize" if options.lower_is_better else "maximize"
    if options.validation is None and directions != [wanted]:
        raise TableError(
            f"{storage}: study {study.name!r} is set to {directions[0]} its objective, but the score "
            "was said "
            f"to be {'lower' if options.lower_is_better else 'higher'}-is-better; allowed is the same "
            "direction"
        )


def _trials(study: _Study, facts: dict[str, Any], options: ImportOptions) -> Iterator[ForeignTrial]:
    for trial in study.trials:
        if trial.state.name == "WAITING":
            continue  # counted by the caller
        status = STATES[trial.state.name]
        attributes = dict(trial.user_attrs)
        is_grid = "grid_id" in trial.system_attrs
        own = {
            **facts,
            "train_seconds": trial.duration.total_seconds() if trial.duration else None,
            "sampling": "design" if is_grid else "adaptive",
            **attributes,
            "index": trial.number,
        }
        objective = {"objective": trial.values[0] if trial.values else None}
        name = options.validation
        yield ForeignTrial(
            trial_id=f"{study.name}/{trial.number}",
            status=status,
            validation=score(objective, "objective") if name is None else score(attributes, name),
            test=score(attributes, options.test),
            values=trial.params,
            facts=own,
        )
