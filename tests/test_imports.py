"""The arrows that must not exist, over every import of every module, those inside functions included."""

import ast
import importlib.util
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

import harness
import reports

_ROOTS = {"harness": Path(harness.__path__[0]), "reports": Path(reports.__path__[0])}


def _modules(package: str) -> dict[str, Path]:
    """Dotted name -> file of every module of a package."""
    root = _ROOTS[package]
    found = {}
    for path in root.rglob("*.py"):
        parts = (package, *path.relative_to(root).with_suffix("").parts)
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


_MODULES = _modules("harness") | _modules("reports")


def _imports(path: Path, module: str) -> Iterator[str]:
    """Every module that a file imports: `from a import b` gives a and a.b, which may be a module too."""
    package = module if path.stem == "__init__" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            source = node.module or ""
            if node.level:
                source = importlib.util.resolve_name("." * node.level + source, package)
            yield source
            yield from (f"{source}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            values = [arg.value for arg in node.args if isinstance(arg, ast.Constant)]
            yield from (value for value in values if isinstance(value, str))


_IMPORTS = {module: set(_imports(path, module)) for module, path in _MODULES.items()}


def _within(name: str, packages: tuple[str, ...]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def _offences(of: tuple[str, ...], to: tuple[str, ...], but: tuple[str, ...] = ()) -> list[str]:
    return [
        f"{module} imports {name}"
        for module, names in _IMPORTS.items()
        if _within(module, of)
        for name in sorted(names)
        if _within(name, to) and not _within(name, but)
    ]


def test_all_modules_are_looked_at() -> None:
    assert {
        "harness.cli.main",
        "harness.training.loop",
        "harness.runs.executors.ray.executor",
    } <= _IMPORTS.keys()
    assert {"harness.sizing.methods.shrinknets", "harness.surgery.edits", "reports.write"} <= _IMPORTS.keys()
    assert "harness.runs.run" in _IMPORTS["harness.cli.main"], "an import inside a function is seen"


def test_reports_know_the_trial_table_and_the_design_alone() -> None:
    # `import harness.trial_table` runs harness/__init__.py, which is light.
    allowed = ("harness.trial_table", "harness.design", "harness.design_warnings", "harness.nearest")
    offences = _offences(("reports",), ("harness",), but=allowed)
    assert [line for line in offences if not line.endswith(" imports harness")] == []


def test_the_trial_table_knows_nobody_and_a_design_only_it() -> None:
    assert _offences(("harness.trial_table",), ("harness", "reports")) == []
    shared = ("harness.trial_table", "harness.design")
    assert _offences((shared[1], "harness.design_warnings"), ("harness", "reports"), but=shared) == []


@pytest.mark.parametrize("part", ["training", "sizing", "surgery", "architectures", "datasets"])
def test_what_trains_knows_neither_ray_nor_optuna_nor_executors(part: str) -> None:
    strangers = ("ray", "optuna", "harness.runs.executors", "harness.search.samplers", "harness.runs.dealing")
    assert _offences((f"harness.{part}",), strangers) == []


def test_who_knows_ray_and_optuna() -> None:
    offences = _offences(("harness",), ("ray", "optuna"))
    knowing = {(line.split()[0], line.split()[2].split(".")[0]) for line in offences}
    assert {(module.rpartition(".")[0], library) for module, library in knowing if library == "ray"} == {
        ("harness.runs.executors.ray", "ray")
    }
    assert {pair for pair in knowing if pair[1] == "optuna"} == {
        ("harness.search.pruners", "optuna"),
        ("harness.search.samplers", "optuna"),
    }


def test_the_harness_meets_reports_in_one_file_and_the_command_line() -> None:
    knowing = {line.split()[0] for line in _offences(("harness",), ("reports",))}
    assert {module for module in knowing if not _within(module, ("harness.cli",))} == {"harness.reporting"}


def test_the_command_line_is_known_to_nobody_and_prints_alone() -> None:
    asking = _offences(("harness",), ("harness.cli", "rich", "typer"))
    assert [line for line in asking if not _cli(line)] == []
    ways = ("print", "sys.stdout.write", "sys.stderr.write")
    printing = {
        module
        for module, path in _MODULES.items()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ways
    }
    assert {module for module in printing if not _cli(module)} == set()


def _cli(line: str) -> bool:
    return _within(line.split()[0], ("harness.cli",))


#: The floors of each package, from the ground up. A module knows its own room and those on floors below it.
_FLOORS: dict[str, tuple[tuple[str, ...], ...]] = {
    "harness": (
        ("nearest", "trial_table"),
        ("plugins", "surgery"),
        ("architectures", "datasets", "design"),
        ("design_warnings", "objectives"),
        ("search",),
        ("sizing", "space"),
        ("registry",),
        ("study",),
        ("records",),
        ("watching", "results", "training"),
        ("runs",),
        ("extraction", "testing"),
        ("reporting",),
        ("cli",),
    ),
    "reports": (
        ("errors", "cost_units", "settings", "size_axes"),
        ("wording", "statistics", "results"),
        ("table",),
        ("arms",),
        ("scope",),
        ("description", "comparison"),
        ("review",),
        ("analysis",),
        ("figures",),
        ("page",),
        ("write",),
    ),
}


@pytest.mark.parametrize("package", _FLOORS)
def test_nothing_runs_back_up(package: str) -> None:
    floors = _FLOORS[package]
    rooms = [room for floor in floors for room in floor]
    assert {name.split(".")[1] for name in _MODULES if name.startswith(f"{package}.")} == set(rooms)
    offences = []
    for number, floor in enumerate(floors):
        below = [f"{package}.{room}" for lower in floors[:number] for room in lower]
        for room in floor:
            own = f"{package}.{room}"
            offences += _offences((own,), tuple(f"{package}.{name}" for name in rooms), but=(own, *below))
    assert offences == []


def test_statistics_are_formulas_on_arrays() -> None:
    assert _offences(("reports.statistics",), ("harness", "pandas", "matplotlib")) == []
    strangers = _offences(("reports.statistics",), ("reports",), but=("reports.statistics", "reports.errors"))
    assert strangers == []


def test_typed_results_know_nobody() -> None:
    assert _offences(("reports.results",), ("reports", "harness", "pandas"), but=("reports.results",)) == []


def _runs_at_import(body: Iterable[ast.AST]) -> Iterator[ast.Import | ast.ImportFrom]:
    """Imports that run when their module is imported: not those in functions, nor those for types alone."""
    for node in body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from _runs_at_import(node.orelse)
        elif isinstance(node, ast.If | ast.Try | ast.ExceptHandler | ast.With | ast.ClassDef):
            yield from _runs_at_import(ast.iter_child_nodes(node))


def _imported_first(module: str) -> set[str]:
    """Modules of ours that a module names in the imports that run when it is imported itself."""
    path = _MODULES[module]
    package = module if path.stem == "__init__" else module.rpartition(".")[0]
    found = set()
    for node in _runs_at_import(ast.parse(path.read_text(encoding="utf-8")).body):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
            continue
        source = node.module or ""
        if node.level:
            source = importlib.util.resolve_name("." * node.level + source, package)
        for alias in node.names:
            inner = f"{source}.{alias.name}"
            found.add(inner if inner in _MODULES else source)
    return found & _MODULES.keys()


def test_no_modules_import_each_other_in_a_circle() -> None:
    later = {module: _imported_first(module) for module in _MODULES}
    # Whoever imports nothing that is still there goes; what remains is circles and what needs them.
    while free := {module for module, names in later.items() if not names & later.keys()}:
        later = {module: names for module, names in later.items() if module not in free}
    assert later == {}


def test_an_import_in_a_function_or_for_types_makes_no_circle() -> None:
    text = """
if TYPE_CHECKING:
    import a
else:
    import b
try:
    import c
except ImportError:
    import d
def f():
    import e
"""
    assert [node.names[0].name for node in _runs_at_import(ast.parse(text).body)] == ["b", "c", "d"]


def _loaded_after(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_the_harness_is_light() -> None:
    assert not {"torch", "ray", "optuna", "pandas", "numpy"} & _loaded_after("import harness")


@pytest.mark.parametrize(
    "module",
    [
        "harness.study.schema",
        "harness.sizing.methods.shrinknets",
        "harness.architectures.lenet5",
        "harness.cli.main",
    ],
)
def test_planning_needs_no_torch(module: str) -> None:
    assert not {"torch", "ray"} & _loaded_after(f"import {module}")


def test_a_worker_is_set_up_without_torch_and_optuna() -> None:
    """Tune throws away workers that are slow to set up; and every import is time before their first trial."""
    setting_up = (
        "from harness.runs.executors.ray.worker import Worker; "
        "config = {'bundle': '{\"attempts\": [], \"deadline\": null}'}; "
        "Worker.__new__(Worker).setup(config, plan=None, data_root=None, directory=None, certify=False)"
    )
    loaded = _loaded_after(setting_up)
    assert "ray" in loaded
    assert not {"torch", "optuna"} & loaded


def test_no_test_borrows_from_another() -> None:
    """What several tests need lies in `tests.making`, or in a helper beside them."""
    root = Path(__file__).parent
    borrowed = [
        f"{path.relative_to(root)} imports {name}"
        for path in root.rglob("*.py")
        for name in _imports(path, "tests")
        if name.startswith("tests.")
        and {"conftest"} & set(name.split("."))
        | {part for part in name.split(".") if part.startswith("test_")}
    ]
    assert borrowed == []


@pytest.mark.parametrize("package", _ROOTS)
def test_the_picture_in_the_readme_names_every_room(package: str) -> None:
    text = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    picture = text.partition("## The house")[2].partition("## Development")[0]
    rooms = {f"{p.name}/" if p.is_dir() else p.name for p in _ROOTS[package].iterdir()}
    unseen = {"__init__.py", "__pycache__/", "py.typed"}
    assert sorted(room for room in rooms - unseen if room not in picture) == []
