"""Prints what a study file may name."""

import dataclasses
import inspect
import re
import sys
from collections.abc import Iterable

from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness import registry
from harness.architectures.mlp import MLP
from harness.datasets import source_names
from harness.datasets.registry import described, where_from
from harness.search.samplers import sampler_names, sampling_of
from harness.search.space import Int, domain_text
from harness.sizing.base import Cell
from harness.study.file import shipped_studies
from harness.study.spaces import CellSpaces

#: A title between asterisks, and the authors or the place in brackets that follow it.
_CITED = re.compile(r"\*([A-Z][^*]+)\*(?: \(([^()]*)\))?")

#: Where no cell is named, search spaces are those of this: digits, three hidden layers of 16 to 512 units.
_CELL_NAME = "digits, mlp"
_LAYERS = MLP(3).sized_layers
_CELL = Cell(MLP(3), (1, 8, 8), 10, dict.fromkeys(_LAYERS, Int(16, 512)), dict.fromkeys(_LAYERS, 512))


def _searched(part: type) -> str:
    """What a method with its default options draws in that cell; of one that cannot say, why."""
    try:
        space = part().space(_CELL)
        return ", ".join(f"{name}: {domain_text(domain)}" for name, domain in space.items()) or "nothing"
    except Exception as error:  # noqa: BLE001 - of strangers' code: the list goes on with the others
        return f"cannot be said: {type(error).__name__}: {error}"


def show_parts(console: Console) -> None:
    """Sizing methods and controls, architectures, data sets, samplers, shipped studies."""
    _show_methods(console)
    for kind in ("architectures", "objectives"):
        table = _table(kind, "from", "what it is", "options and defaults")
        for name, origin in registry.names(kind).items():
            part = registry.load(kind, name)
            table.add_row(Text(name), Text(origin), Text(_about(part)), Text(_options(part)))
        console.print(table, "")
    table = _table("data sets", "from", "what it is", "options")
    for name in source_names():
        part, settable = described(name)
        table.add_row(Text(name), Text(where_from(name)), Text(_about(part)), Text(", ".join(settable)))
    console.print(table, "")
    console.print(Text("samplers: " + ", ".join(f"{name} ({sampling_of(name)})" for name in sampler_names())))
    console.print(Text(f"shipped studies: {', '.join(shipped_studies())}"))


def _show_methods(console: Console) -> None:
    """What they are, the papers they are from, their options; of a method the controls its claim needs."""
    methods, controls = _methods_and_controls()
    searched = f"searched ({_CELL_NAME})"
    table = _table("methods", "from", "what it is", "paper", "options and defaults", searched, "held against")
    for name in methods:
        part = registry.load("methods", name)
        needed = ", ".join(getattr(part, "controls", ()))
        about = registry.names("methods")[name], _about(part), source_of(part), _options(part)
        table.add_row(*map(Text, (name, *about, _searched(part), needed)))
    console.print(table, "")
    table = _table("controls", "from", "what it is", "paper", "options and defaults", "begins from")
    for name in controls:
        part = registry.load("methods", name)
        begins = "an arm, of:" if getattr(part, "needs_origin", False) else "an arm, or the study alone"
        texts = name, registry.names("methods")[name], _about(part), source_of(part), _options(part), begins
        table.add_row(*map(Text, texts))
    console.print(table, "")


def show_spaces(console: Console, found: Iterable[CellSpaces]) -> None:
    """What every method searches in some cells, or why it cannot."""
    for cell in found:
        table = _table("method", f"searched on {cell.cell}")
        for name, text in cell.entries.items():
            table.add_row(Text(name), Text(text))
        console.print(table, "")


def source_of(part: type) -> str:
    """The papers that a part names: *Title* (authors or place), in the first paragraph of what is said of
    it and of its module; empty if there are none."""
    found: dict[str, str] = {}
    for text in (inspect.getdoc(part), inspect.getdoc(sys.modules[part.__module__])):
        paragraph = (text or "").split("\n\n")[0].replace("\n", " ")
        for title, more in _CITED.findall(paragraph):
            found[title] = found.get(title) or more
    return "; ".join(f"{title} ({more})" if more else title for title, more in found.items())


def _methods_and_controls() -> tuple[list[str], list[str]]:
    """Registered names. A control is what needs an origin, or what a method names as its control."""
    parts = {name: registry.load("methods", name) for name in registry.names("methods")}
    named = {control for part in parts.values() for control in getattr(part, "controls", ())}
    controls = [name for name, part in parts.items() if name in named or getattr(part, "needs_origin", False)]
    return [name for name in parts if name not in controls], controls


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in headings:
        table.add_column(heading)
    return table


def _about(part: type) -> str:
    """The first paragraph of what is said of a part."""
    return (inspect.getdoc(part) or "").split("\n\n")[0].replace("\n", " ")


def _options(part: type) -> str:
    return ", ".join(
        field.name if field.default is dataclasses.MISSING else f"{field.name}: {field.default}"
        for field in dataclasses.fields(part)
    )
