"""A rival from outside, in a package of its own: Torch-Pruning's magnitude pruner, then fine-tuning."""

import ast
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness import registry
from harness.records.directory import RunDirectory
from harness.testing import check_method
from tests.making import Ended

PACKAGE = Path(__file__).parent / "tp_magnitude"
METHOD = PACKAGE / "src" / "tp_magnitude" / "method.py"
#: What `harness/__init__.py` says that authors of plug-ins use, and the spaces.
OPEN = ("harness.sizing.base", "harness.surgery.edits", "harness.space")


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The package as pip would install it: its source on the path, and what its pyproject.toml says of it."""
    pytest.importorskip("torch_pruning", reason="Torch-Pruning is not installed: make test-integrations")
    project = tomllib.loads((PACKAGE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    info = tmp_path / "installed" / f"tp_magnitude-{project['version']}.dist-info"
    info.mkdir(parents=True)
    about = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    (info / "METADATA").write_text(about, encoding="utf-8")
    lines = []
    for group, points in project["entry-points"].items():
        lines += [f"[{group}]", *(f"{name} = {place}" for name, place in points.items())]
    (info / "entry_points.txt").write_text("\n".join(lines), encoding="utf-8")
    monkeypatch.syspath_prepend(str(info.parent))
    monkeypatch.syspath_prepend(str(PACKAGE / "src"))


def test_it_imports_the_open_contract_alone() -> None:
    tree = ast.parse(METHOD.read_text(encoding="utf-8"))
    imported = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    imported |= {
        alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names
    }
    assert {name for name in imported if name.startswith(("harness", "reports"))} == set(OPEN)


@pytest.mark.usefixtures("installed")
def test_it_keeps_every_rule() -> None:
    assert registry.names("methods")["tp-magnitude"] == "package tp-magnitude"
    assert [finding for finding in check_method("tp-magnitude") if not finding.kept] == []


@pytest.mark.usefixtures("installed")
def test_a_study_sets_it_beside_ours(
    tiny: dict[str, Any],
    write_study: Callable[[dict[str, Any]], Path],
    harness_command: Callable[..., Ended],
    tmp_path: Path,
) -> None:
    tiny["methods"] = ["fixed", {"name": "tp-magnitude", "space": {"share": 0.5}}]
    study = write_study(tiny | {"trials": 1})
    ended = harness_command("run", study, "--executor", "inline", "--out", tmp_path / "run")
    assert ended.code == 0, ended.err
    records, _ = RunDirectory(tmp_path / "run").store.read_all()
    [pruned] = [record for record in records.values() if record.arm.endswith("tp-magnitude")]
    sizes = [size and size.units["hidden1"] for size in (pruned.start_size, pruned.selected_size)]
    assert (pruned.status, sizes) == ("ok", [16, 8])
    assert "tp-magnitude" in (tmp_path / "run" / "report" / "report.html").read_text(encoding="utf-8")
