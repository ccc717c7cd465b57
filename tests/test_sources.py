"""What of strangers' code a trial's identity holds: all that can change it, and no other arm's."""

import importlib.util
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from harness import registry
from harness.plugins import attributes, files
from harness.plugins.sources import sources_of
from harness.records.directory import DirectoryError, RunDirectory
from harness.study.plan import Plan
from tests.making import plan_of

Fields = dict[str, Any]

_METHOD = """
from dataclasses import dataclass
from harness.sizing.fixed import Fixed
{imports}

@dataclass(frozen=True)
class Mine(Fixed):
    "Sizes searched."

METHODS = {{"{name}": Mine}}
"""


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_what_a_file_imports_from_beside_it_and_from_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path / "mods"))
    plugin = write(
        tmp_path / "mine.py",
        "import os, torch, harness.sizing.base, nowhere\nimport beside\nfrom pack import part\n"
        "def later():\n    import elsewhere\n",
    )
    write(tmp_path / "beside.py", "import beside_too\n")
    write(tmp_path / "beside_too.py", "import beside\n")
    write(tmp_path / "pack" / "__init__.py", "")
    write(tmp_path / "pack" / "part.py", "from . import other\nfrom .deep.down import thing\n")
    write(tmp_path / "pack" / "other.py", "this is not Python")
    write(tmp_path / "pack" / "unused.py", "")
    write(tmp_path / "pack" / "deep" / "down.py", "thing = 1\n")  # a package without __init__
    write(tmp_path / "mods" / "elsewhere.py", "")
    assert set(sources_of(plugin)) == {
        "mine.py",
        "beside",
        "beside_too",
        "pack",
        "pack.part",
        "pack.other",
        "pack.deep.down",
        "elsewhere",
    }


@pytest.fixture
def study(tiny: Fields, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fields:
    """`fixed` that ships, and two methods of two files, of which one imports from beside it."""
    monkeypatch.setattr(registry, "_from_files", {kind: {} for kind in registry._from_files})
    monkeypatch.setattr(files, "_loaded", {})
    monkeypatch.setattr(sys, "path", [*sys.path])
    write(tmp_path / "helper.py", "factor = 1\n")
    for name, imports in (("one", "import helper"), ("two", "")):
        registry.load_file(write(tmp_path / f"{name}.py", _METHOD.format(name=name, imports=imports)))
    tiny["methods"] = ["fixed", "one", "two"]
    return tiny | {"plugins": [str(tmp_path / "one.py"), str(tmp_path / "two.py")]}


def ids(plan: Plan) -> dict[str, set[str]]:
    return {key: {trial.id for trial in trials} for (key, _), trials in plan.frozen.items()}


@pytest.mark.parametrize(
    ("edited", "arms"),
    [("one.py", {"digits/mlp/one"}), ("helper.py", {"digits/mlp/one"}), ("two.py", {"digits/mlp/two"})],
)
def test_an_edit_changes_the_ids_of_the_arms_that_use_it(
    study: Fields, tmp_path: Path, edited: str, arms: set[str]
) -> None:
    before = ids(plan_of(study))
    with open(tmp_path / edited, "a", encoding="utf-8") as file:
        file.write("# edited\n")
    after = ids(plan_of(study))
    assert {key for key in before if before[key] != after[key]} == arms
    assert all(not before[key] & after[key] for key in arms)


def test_one_more_plugin_runs_no_arm_again(study: Fields, tmp_path: Path) -> None:
    without = study | {"plugins": study["plugins"][:1], "methods": ["fixed", "one"]}
    before, after = ids(plan_of(without)), ids(plan_of(study))
    assert {key: after[key] for key in before} == before


def test_a_study_without_plugins_has_the_ids_it_had_in_version_1(tiny: Fields) -> None:
    assert ids(plan_of(tiny)) == ids(plan_of(tiny, version=1))


def test_where_parts_come_from(study: Fields, tmp_path: Path) -> None:
    assert registry.origin("methods", "fixed") is None
    assert registry.origin("methods", "one") == attributes.Origin(tmp_path / "one.py")


@dataclass(frozen=True)
class _Distribution:
    name: str
    version: str


@dataclass(frozen=True)
class _EntryPoint:
    """As an installed package offers a method."""

    name: str
    module: str
    value: str
    dist: _Distribution

    def load(self) -> type:
        return registry.load("methods", "fixed")


def test_an_installed_plugin_counts_by_its_version_and_an_editable_one_by_its_files_too(
    tiny: Fields, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    code = write(tmp_path / "their_methods.py", "")

    def offer(version: str, module: str) -> None:
        point = _EntryPoint("theirs", module, "", _Distribution("their-package", version))
        monkeypatch.setattr(registry, "_entry_points", lambda kind: [point] if kind == "methods" else [])

    def sources(version: str, module: str) -> dict[str, str]:
        offer(version, module)
        return dict(plan_of(tiny | {"methods": ["fixed", "theirs"]}).sources["digits/mlp/theirs"])

    assert sources("1.0", "optuna") == {"their-package": "1.0"}
    assert sources("1.1", "optuna") == {"their-package": "1.1"}
    before = sources("1.0", "their_methods")
    assert set(before) == {"their-package", "their_methods.py"}
    code.write_text("changed = True")
    assert sources("1.0", "their_methods")["their_methods.py"] != before["their_methods.py"]


def test_the_module_that_is_imported_counts_and_not_its_namesake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What lies on PYTHONPATH comes before what lies beside the plug-in, as in the import itself."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.syspath_prepend(str(tmp_path / "mods"))
    plugin = write(tmp_path / "plug" / "mine.py", "import namesake\n")
    write(tmp_path / "plug" / "namesake.py", "factor = 1\n")
    before = sources_of(plugin)
    write(tmp_path / "mods" / "namesake.py", "factor = 2\n")
    assert sources_of(plugin)["namesake"] != before["namesake"]


def test_what_an_editable_installation_provides_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = write(tmp_path / "elsewhere" / "editable_package" / "__init__.py", "")
    write(tmp_path / "elsewhere" / "editable_package" / "part.py", "")

    class Finder:
        """As setuptools maps the name of an editable package to its folder."""

        @staticmethod
        def find_spec(name: str, path: Any = None, target: Any = None) -> Any:
            if name != "editable_package":
                return None
            return importlib.util.spec_from_file_location(
                name, code, submodule_search_locations=[str(code.parent)]
            )

    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Finder])
    plugin = write(tmp_path / "mine.py", "from editable_package.part import anything\n")
    assert set(sources_of(plugin)) == {"mine.py", "editable_package", "editable_package.part"}


def test_relative_imports_of_a_module_in_a_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    module = write(tmp_path / "their" / "methods" / "m.py", "from ..core import A\nfrom . import near\n")
    for name in ("__init__.py", "core.py", "methods/__init__.py", "methods/near.py"):
        write(tmp_path / "their" / name, "")
    assert set(sources_of(module, "their.methods")) >= {"m.py", "their.core", "their.methods.near"}


@pytest.mark.parametrize("edited", ["one.py", "helper.py"])
def test_a_file_that_changed_is_loaded_anew_and_no_other(study: Fields, tmp_path: Path, edited: str) -> None:
    """In a notebook the process lives on: what runs must be what its id says."""
    before = registry.load("methods", "one"), registry.load("methods", "two")
    plan_of(study)
    assert (registry.load("methods", "one"), registry.load("methods", "two")) == before
    with open(tmp_path / edited, "a", encoding="utf-8") as file:
        file.write("factor = 2\n")
    plan_of(study)
    assert registry.load("methods", "one") is not before[0]
    assert registry.load("methods", "two") is before[1]
    if edited == "helper.py":
        assert sys.modules["helper"].factor == 2


def test_planning_a_study_takes_its_own_plugins(study: Fields, tmp_path: Path) -> None:
    """Two files may name their parts alike; and a study made in Python loads its files when it is planned."""
    other = write(tmp_path / "other" / "one.py", _METHOD.format(name="one", imports=""))
    first = study | {
        "methods": ["one"],
        "plugins": study["plugins"][:1],
        "claim": {"baseline": "one", "n": 1},
    }
    second = first | {"plugins": [str(other)]}
    for fields, file in ((first, tmp_path / "one.py"), (second, other), (first, tmp_path / "one.py")):
        assert set(plan_of(fields).sources["digits/mlp/one"]) >= {"one.py"}
        assert registry.origin("methods", "one") == attributes.Origin(file)


def test_a_plugin_that_no_arm_uses_is_no_other_plan(study: Fields, tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path / "run")
    without = study | {"plugins": study["plugins"][:1], "methods": ["fixed", "one"]}
    directory.open_for(plan_of(without))
    directory.open_for(plan_of(without | {"plugins": study["plugins"]}))
    with open(tmp_path / "helper.py", "a", encoding="utf-8") as file:
        file.write("# edited\n")
    with pytest.raises(DirectoryError, match=r"sources\.digits/mlp/one\.helper was "):
        directory.open_for(plan_of(without))
