"""The library's interface: what `import harness` gives, used as a notebook would; it prints nothing."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import harness
from harness.records.record import Record
from harness.runs.executors.base import ExecutorError
from harness.watching import Silent, Work

Fields = dict[str, Any]


class Notebook(Silent):
    """Notes what it is told, in order."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def begin(self, work: Work, workers: int) -> None:
        self.told.append(f"begin {sum(work.planned.values())} on {workers}")

    def recorded(self, record: Record) -> None:
        self.told.append(f"recorded {record.index}")

    def trained(self, epoch: int, epochs: int) -> None:
        self.told.append(f"epoch {epoch} of {epochs}")

    def end(self) -> None:
        self.told.append("end")


def test_every_name_is_there_and_documented() -> None:
    for name in harness.__all__:
        value = getattr(harness, name)
        assert isinstance(value, str) or inspect.getdoc(value), name
        assert name in dir(harness)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        harness.nonsense  # noqa: B018


def test_from_study_to_network(
    write_study: Callable[[Fields], Path],
    tiny: Fields,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("harness.extraction.extract.export_all", lambda *_: {})  # seconds
    study = harness.load_study(write_study(tiny))
    plan = harness.plan(study)
    assert plan.planned_trials == 6
    notebook = Notebook()
    result = harness.run(study, tmp_path / "run", executor="inline", watcher=notebook)
    assert result.complete
    assert notebook.told[0] == "begin 6 on 1"
    assert sorted(notebook.told[1:-1]) == [f"recorded {index}" for index in (0, 0, 1, 1, 2, 2)]
    assert notebook.told[-1] == "end"
    trials = harness.load_trials(tmp_path / "run")
    assert set(trials["trial_id"]) == {path.stem for path in (tmp_path / "run" / "records").glob("*.json")}
    report = harness.report(tmp_path / "run")
    assert report.page == tmp_path / "run" / "report" / "report.html"
    assert [arm.trials for arm in report.arms] == [3, 3]
    extracted = harness.extract(tmp_path / "run", "best:l2", tmp_path / "network", watcher=notebook)
    assert notebook.told[-2].startswith("epoch ")
    assert notebook.told[-1] == "end"
    network = harness.load_network(extracted.folder)
    assert not network.training
    assert capfd.readouterr() == ("", "")


def test_a_study_in_python_is_planned_as_its_file_is(
    write_study: Callable[[Fields], Path], tiny: Fields
) -> None:
    written = harness.plan(write_study(tiny))
    made = harness.plan(harness.Study.model_validate(tiny))
    assert made.to_json() == written.to_json()


def test_a_wrong_executor_and_one_pattern(
    write_study: Callable[[Fields], Path], tiny: Fields, tmp_path: Path
) -> None:
    path = write_study(tiny)
    with pytest.raises(ExecutorError, match="executor: 'inlin' found; allowed: ray, inline"):
        harness.run(path, tmp_path / "run", executor="inlin")  # type: ignore[arg-type]
    assert harness.run(path, tmp_path / "run", executor="inline", only="*/fixed").done == 3


def test_an_option_with_keys_that_are_no_texts(tiny: Fields) -> None:
    entry = tiny["architectures"][0] | {"options": {"hidden_layers": 1, "stages": {1: 64}}}
    study = harness.Study.model_validate(tiny | {"architectures": [entry]})
    assert study.identity()["architectures"][0]["options"]["stages"] == {"1": 64}
