"""What cannot be extracted or loaded: one clear sentence, exit code 2, nothing written."""

import contextlib
import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.extraction import ExtractionError, load
from harness.extraction.folder import whole_or_nothing
from harness.records.directory import RunDirectory
from tests.extraction.runs import MLP, Run, run_inline

Command = Callable[..., Any]


@pytest.fixture
def copied(lenet_run: Run, tmp_path: Path) -> Run:
    """A copy of the LeNet-5's run and of its data, to be spoilt."""
    folder = tmp_path / "copy"
    shutil.copytree(lenet_run.data_root, folder, ignore=shutil.ignore_patterns("extracted"))
    return Run(RunDirectory(folder / "run"), folder)


def _refused(command: Command, run: Run, trial: str, *more: object) -> str:
    """The one sentence with which a command is refused; nothing is left behind."""
    path = run.directory.path
    before = sorted(path.rglob("*")) if path.exists() else []
    ended = command("extract", path, trial, "--data", run.data_root, *more)
    assert ended.code == 2
    assert sorted(path.rglob("*") if path.exists() else []) == before
    (sentence,) = ended.err.strip().splitlines()
    return str(sentence)


def test_trials_that_are_not_there(copied: Run, harness_command: Command) -> None:
    record = copied.record("best")
    assert "has no trial 'zzz'; allowed: an id" in _refused(harness_command, copied, "zzz")
    assert "has no trial ''" in _refused(harness_command, copied, "")
    sentence = _refused(harness_command, copied, "best:shrinknet")
    assert "no method or arm 'shrinknet'; did you mean 'shrinknets'?" in sentence
    copied.directory.store.path(record.trial_id).unlink()
    assert "has not run yet" in _refused(harness_command, copied, record.trial_id)


def test_an_ambiguous_beginning(copied: Run, harness_command: Command) -> None:
    record = copied.record("best")
    twin = record.trial_id[:4] + "f" * 12
    assert copied.directory.store.write(dataclasses.replace(record, trial_id=twin))
    sentence = _refused(harness_command, copied, record.trial_id[:4])
    assert "is the beginning of 2 trials" in sentence
    assert twin in sentence


def test_a_trial_that_selected_no_network(copied: Run, harness_command: Command) -> None:
    record = copied.record("best")
    copied.directory.store.path(record.trial_id).unlink()
    failed = dataclasses.replace(
        record, status="diverged", message="the loss was nan", selected_epoch=None, val_score=None
    )
    copied.directory.store.write(failed)
    assert "ended as 'diverged': the loss was nan; it selected no network" in _refused(
        harness_command, copied, record.trial_id
    )


def test_a_damaged_record(copied: Run, harness_command: Command) -> None:
    path = copied.directory.store.path(copied.record("best").trial_id)
    path.write_text(path.read_text().replace("val_score", "val_scorn"))
    assert "does not match its checksum" in _refused(harness_command, copied, path.stem)


def test_no_trial_that_ended_well(copied: Run, harness_command: Command) -> None:
    for path in copied.directory.store.folder.iterdir():
        path.unlink()
    assert "no trial that ended well" in _refused(harness_command, copied, "best")
    assert "no trial of fixed that ended well" in _refused(harness_command, copied, "best:fixed")


def test_a_directory_that_is_no_run(tmp_path: Path, harness_command: Command) -> None:
    for path in (tmp_path, tmp_path / "nowhere"):
        run = Run(RunDirectory(path), tmp_path)
        assert "is not a run directory" in _refused(harness_command, run, "best")


def test_a_record_of_another_run(copied: Run, harness_command: Command) -> None:
    stray = dataclasses.replace(copied.record("best"), trial_id="f" * 16, arm="digits/mlp/fixed")
    assert copied.directory.store.write(stray)
    sentence = _refused(harness_command, copied, "ffff")
    assert "its record is of no arm of this plan (digits/mlp/fixed)" in sentence


def test_changed_and_missing_data(copied: Run, harness_command: Command) -> None:
    file = copied.data_root / "digits16.npz"
    arrays = dict(np.load(file))
    arrays["x_train"][0, 0, 0, 0] += 1
    np.savez(file, **arrays)
    sentence = _refused(harness_command, copied, "best")
    assert "data set 'large-digits' is not the one of the run: its fingerprint is" in sentence
    file.unlink()
    assert "digits16.npz" in _refused(harness_command, copied, "best")


def test_a_plan_of_another_version(copied: Run, harness_command: Command) -> None:
    plan = json.loads(copied.directory.plan_file.read_text())
    plan["study"]["training"]["warm_up"] = 3
    copied.directory.plan_file.write_text(json.dumps(plan))
    assert "study.training.warm_up" in _refused(harness_command, copied, "best")


def test_an_occupied_folder_is_refused_and_left_alone(copied: Run, harness_command: Command) -> None:
    out = copied.data_root / "occupied"
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    sentence = _refused(harness_command, copied, "best", "--out", out)
    assert sentence == f"{out} exists and is not an empty folder; choose another with --out"
    assert [path.name for path in out.iterdir()] == ["mine.txt"]
    sentence = _refused(harness_command, copied, "best", "--out", out / "mine.txt" / "below")
    assert "cannot be written" in sentence


def test_nothing_is_left_of_a_folder_that_was_not_finished(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with contextlib.suppress(RuntimeError), whole_or_nothing(out) as folder:
        (folder / "half").write_text("half")
        assert not out.exists()
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
    out.mkdir()
    with whole_or_nothing(out) as folder:
        (folder / "whole").write_text("whole")
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")] == ["out", "out/whole"]


_PLUGIN = """
from dataclasses import dataclass
from harness.architectures.mlp import MLP

@dataclass(frozen=True)
class Tanh(MLP):
    activation: str = "tanh"

ARCHITECTURES = {"tanh-mlp": Tanh}
"""


@pytest.mark.usefixtures("_no_exports")
def test_plug_ins_are_asked_for_checked_and_used(tmp_path: Path, harness_command: Command) -> None:
    plugin = tmp_path / "tanh.py"
    plugin.write_text(_PLUGIN)
    fields = MLP | {
        "plugins": ["tanh.py"],
        "architectures": [{"name": "tanh-mlp", "widths": {"low": 4, "high": 8}}],
        "trials": 1,
        "training": MLP["training"] | {"epochs": 1},
    }
    run = run_inline(fields, tmp_path)
    sentence = _refused(harness_command, run, "best")
    assert "needs the plug-in tanh.py (SHA-256 " in sentence
    assert "name the file with --plugin" in sentence
    other = tmp_path / "other" / "tanh.py"
    other.parent.mkdir()
    other.write_text(_PLUGIN + "# changed\n")
    assert "is not the one that was used" in _refused(harness_command, run, "best", "--plugin", other)
    stranger = tmp_path / "stranger.py"
    stranger.write_text(_PLUGIN)
    sentence = _refused(harness_command, run, "best", "--plugin", stranger, "--plugin", plugin)
    assert "has no plug-in of this name; it needs: tanh.py" in sentence
    sentence = _refused(harness_command, run, "best", "--plugin", tmp_path / "nowhere" / "tanh.py")
    assert "cannot be used" in sentence

    ended = harness_command(
        "extract", run.directory.path, "best", "--plugin", plugin, "--out", tmp_path / "out"
    )
    assert ended.code == 0, ended.err
    with pytest.raises(ExtractionError, match=r"needs the plug-in tanh\.py .* with `plugins`"):
        load(tmp_path / "out")
    assert load(tmp_path / "out", plugins=[plugin]).get_submodule("tanh1") is not None


@pytest.mark.usefixtures("_no_exports")
def test_folders_that_hold_no_sound_network(lenet_run: Run, tmp_path: Path) -> None:
    with pytest.raises(ExtractionError, match=r"holds no extracted network: there is no architecture\.json"):
        load(tmp_path)
    folder, _ = lenet_run.extract("best:fixed", out=tmp_path / "out")
    weights, about = folder / "model.safetensors", folder / "architecture.json"
    whole, described = weights.read_bytes(), about.read_text()
    weights.write_bytes(whole[:-40])
    with pytest.raises(ExtractionError, match="cannot be rebuilt"):
        load(folder)
    weights.write_bytes(whole)
    for changed, complaint in (
        ({"schema_version": 3}, "written by a newer version of the harness"),
        ({"schema_version": "1"}, "version '1' found"),
        ({"family": "lenet6"}, "did you mean 'lenet5'"),
        ({"sizes": {"conv1": 1, "conv2": 1, "fc1": 1}}, "cannot be rebuilt"),
        ({"sizes": {}}, "cannot be rebuilt"),
        ({"classes": "ten"}, "classes"),
    ):
        about.write_text(json.dumps(json.loads(described) | changed))
        with pytest.raises(ExtractionError, match=complaint):
            load(folder)
    about.write_text(described)
    load(folder)
