"""Names to parts: what ships, and what a study's own files define."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness import registry
from harness.nearest import nearest
from harness.plugins import attributes, files
from harness.registry import UnknownNameError, load_file, make_architecture, make_method, names


@pytest.fixture(autouse=True)
def _registered_for_the_test_alone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(registry, "_from_files", {kind: {} for kind in registry._from_files})
    monkeypatch.setattr(files, "_by_name", {})
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name.startswith("harness_plugin_"):
            del sys.modules[name]


@pytest.fixture
def plugin(tmp_path: Path) -> Callable[[str], Path]:
    def write(code: str) -> Path:
        path = tmp_path / "mine.py"
        path.write_text(code, encoding="utf-8")
        return path

    return write


_GOOD = """
from dataclasses import dataclass
from harness.sizing.methods.fixed import Fixed

@dataclass(frozen=True)
class Mine(Fixed):
    strength: float = 0.5

METHODS = {"mine": Mine}
"""


def test_everything_that_ships_can_be_made() -> None:
    assert set(names("methods")) >= {"fixed", "l2", "shrinknets"}
    assert set(names("architectures")) >= {"mlp", "lenet5"}
    for name in names("methods"):
        assert type(make_method(name, {})) is registry.load("methods", name)
    for name in names("architectures"):
        assert make_architecture(name, {}).sized_layers


@pytest.mark.parametrize(
    ("found", "allowed", "sentence"),
    [
        ("fixd", ["l2", "fixed"], "; did you mean 'fixed'? Allowed: fixed, l2"),
        ("zzz", ["l2", "fixed"], "; allowed: fixed, l2"),
        ("zzz", [], "; allowed: none"),
    ],
)
def test_nearest(found: str, allowed: list[str], sentence: str) -> None:
    assert nearest(found, allowed) == sentence


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("fixd", {}, "there is no method 'fixd'; did you mean 'fixed'?"),
        ("fixed", {"min_units": 1}, "fixed has no option 'min_units'; allowed: none"),
        ("shrinknets", {"min_unit": 1}, "shrinknets has no option 'min_unit'; did you mean 'min_units'?"),
        ("shrinknets", {"min_units": "x"}, "shrinknets: option min_units: input should be a valid integer"),
        ("shrinknets", {"min_units": -1}, "shrinknets: min_units must not be negative, found -1"),
    ],
)
def test_what_a_method_cannot_be_made_of(name: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError) as raised:  # noqa: PT011 - the message is looked at whole
        make_method(name, options)
    assert str(raised.value).startswith(message)
    assert "Value error" not in str(raised.value)


def test_a_file_adds_methods_and_options(plugin: Callable[[str], Path]) -> None:
    load_file(plugin(_GOOD))
    assert make_method("mine", {"strength": 2}).strength == 2.0  # type: ignore[attr-defined]
    assert names("methods")["mine"].startswith("file ")


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("methods", "fixed"),
        ("methods", "random-removal"),
        ("architectures", "mlp"),
        ("objectives", "binary"),
        ("datasets", "digits"),
        ("datasets", "npz"),
    ],
)
def test_a_file_cannot_take_a_name_that_ships(plugin: Callable[[str], Path], kind: str, name: str) -> None:
    path = plugin(_GOOD.replace('METHODS = {"mine"', f'{kind.upper()} = {{"{name}"'))
    with pytest.raises(ValueError) as raised:  # noqa: PT011 - the message is looked at whole
        load_file(path)
    assert str(raised.value) == (
        f"plug-in file {path}: {kind.upper()}[{name!r}] ships; another name is needed"
    )
    assert registry.origin(kind, name) is None


def test_a_package_cannot_take_a_name_that_ships(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = tmp_path / "taking-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: taking\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[sizing_harness.methods]\nfixed = taking:Mine\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ValueError, match="the package taking offers taking:Mine as method 'fixed', which"):
        make_method("fixed", {})


def _folder(where: Path, strength: float, name: str = "mine.py") -> Path:
    """A folder with a plug-in that offers the method `mine`, and a module beside it that says how strong."""
    where.mkdir()
    (where / "beside.py").write_text(f"strength = {strength}\n", encoding="utf-8")
    code = "import beside\n" + _GOOD.replace("0.5", "beside.strength")
    (where / name).write_text(code, encoding="utf-8")
    return where / name


@pytest.fixture
def two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, Path]]:
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield _folder(tmp_path / "a", 1.0), _folder(tmp_path / "b", 2.0)
    files.end_study()
    sys.modules.pop("beside", None)


def _strength() -> float:
    return make_method("mine", {}).strength  # type: ignore[attr-defined, no-any-return]


def test_two_studies_of_one_process_have_each_its_own_plugin(two: tuple[Path, Path]) -> None:
    first, second = two
    for path, strength in ((first, 1.0), (second, 2.0), (first, 1.0)):
        registry.load_study_files([path])
        assert (_strength(), registry.origin("methods", "mine")) == (strength, attributes.Origin(path))
        assert attributes.find("mine.py:beside.strength") == strength


def test_a_study_without_plugins_knows_nothing_of_the_study_before(two: tuple[Path, Path]) -> None:
    before = [*sys.path]
    registry.load_study_files([two[0]])
    registry.load_study_files([])
    with pytest.raises(UnknownNameError):
        _strength()
    with pytest.raises(ValueError, match=r"mine\.py is not among the study's files"):
        attributes.find("mine.py:Mine")
    assert sys.path == before


def test_what_was_loaded_by_hand_is_there_again_after_a_study(two: tuple[Path, Path]) -> None:
    by_hand, of_study = two
    load_file(by_hand)
    registry.load_study_files([of_study])
    assert registry.origin("methods", "mine") == attributes.Origin(of_study)
    registry.load_study_files([])
    assert _strength() == 1.0


def test_two_files_of_one_study_cannot_offer_the_same_name(tmp_path: Path, two: tuple[Path, Path]) -> None:
    other = _folder(tmp_path / "c", 3.0, "other.py")
    with pytest.raises(ValueError, match=r"a/mine\.py and .*c/other\.py both offer METHODS\['mine'\]"):
        registry.load_study_files([two[0], other])


def test_a_file_is_run_once(plugin: Callable[[str], Path], tmp_path: Path) -> None:
    counting = f"open({str(tmp_path / 'runs')!r}, 'a').write('x')\n"
    path = plugin(counting + _GOOD)
    load_file(path)
    load_file(path)
    assert (tmp_path / "runs").read_text() == "x"


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("1 / 0", "does not run: ZeroDivisionError: division by zero"),
        ("raise OSError('one\\ntwo')", "does not run: OSError: one two"),
        ("def f(:", "does not run: SyntaxError"),
        ("import no_such_package_at_all", "does not run: ModuleNotFoundError"),
        ("x = 1", "defines neither METHODS nor ARCHITECTURES nor OBJECTIVES nor DATASETS"),
        ("METHODS = {}", "defines neither METHODS nor ARCHITECTURES nor OBJECTIVES nor DATASETS"),
        ("METHODS = ['fixed']", "METHODS must name dataclasses (name: class), found ['fixed']"),
        ("METHODS = {'mine': 3}", "METHODS['mine'] must be a dataclass, found 3"),
        ("class Plain: ...\nARCHITECTURES = {'p': Plain}", "ARCHITECTURES['p'] must be a dataclass"),
    ],
)
def test_files_that_offer_nothing(plugin: Callable[[str], Path], code: str, message: str) -> None:
    path = plugin(code)
    for _ in range(2):  # the second time too: nothing of the first may be left
        with pytest.raises(ValueError) as raised:  # noqa: PT011 - the message is looked at whole
            load_file(path)
        assert str(path) in str(raised.value)
        assert message in str(raised.value)
    assert "mine" not in names("methods")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"plug-in file .*none\.py is not there"):
        load_file(tmp_path / "none.py")


def test_unknown_names_have_an_error_of_their_own() -> None:
    with pytest.raises(UnknownNameError, match="there is no architecture 'lenet'; did you mean 'lenet5'"):
        registry.load("architectures", "lenet")
