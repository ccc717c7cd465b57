"""What strangers wrote never steers the terminal, and their code is told before it runs."""

import hashlib
import io
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.text import Text

from harness.cli.terminal import say, shown, terminal
from harness.records.directory import RunDirectory
from harness.study.schema import Study
from tests.making import Ended, plan_of, put, refused

ODD = "a\x1b[31mb\x9bc\x7fd\u202ee\u2066f\u200bg\udc80h\ufeff"


def test_marks_that_steer_are_shown_as_question_marks(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(ODD) == "a?[31mb?c?d?e?f?g?h?"
    assert shown("größer 2×\n\t大きい") == "größer 2×\n\t大きい"
    console = terminal()
    monkeypatch.setattr(console, "file", io.StringIO())
    say(console, ODD)
    console.print(Text(ODD, style="bold"))
    assert console.file.getvalue() == "a?[31mb?c?d?e?f?g?h?\n" * 2  # type: ignore[attr-defined]


def test_what_rich_adds_itself_still_steers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    console = terminal()
    monkeypatch.setattr(console, "file", io.StringIO())
    console.print(Text(ODD, style="bold"))
    assert "\x1b[1m" in console.file.getvalue()  # type: ignore[attr-defined]
    assert "\x1b[31m" not in console.file.getvalue()  # type: ignore[attr-defined]


def test_names_of_files_and_errors_are_shown_harmless(
    tmp_path: Path, tiny: dict[str, Any], harness_command: Any
) -> None:
    directory = RunDirectory(tmp_path / "run")
    directory.open_for(plan_of(tiny))
    directory.store.folder.mkdir()
    (directory.store.folder / "\x1b]0;owned\x07.json").write_text("")
    ended: Ended = harness_command("status", directory.path)
    assert ended.code == 0
    assert "Record ?]0;owned is cut short" in ended.out
    assert "\x1b" not in ended.out
    said = refused(harness_command("status", tmp_path / "\x1b[2J"))
    assert "?[2J is not a run directory" in said


def _study(folder: Path, tiny: dict[str, Any], plugin: str) -> Path:
    (folder / "mine.py").write_text(plugin)
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(put(tiny, "plugins", ["mine.py"])))
    return path


def test_a_plan_lists_plug_ins_before_they_run(
    tmp_path: Path, tiny: dict[str, Any], harness_command: Any
) -> None:
    plugin = "print('it runs')\nMETHODS = {}\n"
    study = _study(tmp_path, tiny, plugin)
    said = harness_command("plan", study).out
    digest = hashlib.sha256(plugin.encode()).hexdigest()
    told = f"{tmp_path.resolve() / 'mine.py'} (SHA-256 {digest})"
    assert said.startswith(f"Code of the study's, which runs now to plan it: {told}\nit runs\n")


def test_a_plug_in_that_is_not_there_is_refused_as_before(
    tmp_path: Path, tiny: dict[str, Any], harness_command: Any
) -> None:
    study = _study(tmp_path, tiny, "")
    (tmp_path / "mine.py").unlink()
    assert "mine.py is not there" in harness_command("plan", study).err


def test_modules_that_a_study_names_are_code_too(tiny: dict[str, Any]) -> None:
    named = {"name": "net", "family": "torchvision:resnet18", "widths": {"low": 0.5, "high": 1}}
    study = Study.model_validate(put(tiny, "architectures", [named]))
    assert study.named_modules() == ("torchvision:resnet18",)
    study = Study.model_validate(put(tiny, "architectures.0.family", "net.py:Net"))
    assert study.named_modules() == ()
