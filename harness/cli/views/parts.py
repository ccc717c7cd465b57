"""Prints what a study file may name."""

import dataclasses
import inspect

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

#: Search spaces are those of this cell: digits, three hidden layers of 16 to 512 units.
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
    """Sizing methods, architectures, data sets, samplers, shipped studies."""
    for kind in ("methods", "architectures", "objectives"):
        table = Table(box=None, pad_edge=False)
        headings = (kind, "from", "what it is", "options and defaults")
        for heading in (*headings, f"searched ({_CELL_NAME})") if kind == "methods" else headings:
            table.add_column(heading)
        for name, origin in registry.names(kind).items():
            part = registry.load(kind, name)
            about = (inspect.getdoc(part) or "").split("\n\n")[0].replace("\n", " ")
            options = ", ".join(
                field.name if field.default is dataclasses.MISSING else f"{field.name}: {field.default}"
                for field in dataclasses.fields(part)
            )
            cells = [name, origin, about, options, *([_searched(part)] if kind == "methods" else [])]
            table.add_row(*map(Text, cells))
        console.print(table, "")
    table = Table(box=None, pad_edge=False)
    for heading in ("data sets", "from", "what it is", "options"):
        table.add_column(heading)
    for name in source_names():
        part, settable = described(name)
        about = (inspect.getdoc(part) or "").split("\n\n")[0].replace("\n", " ")
        table.add_row(Text(name), Text(where_from(name)), Text(about), Text(", ".join(settable)))
    console.print(table, "")
    console.print(Text("samplers: " + ", ".join(f"{name} ({sampling_of(name)})" for name in sampler_names())))
    console.print(Text(f"shipped studies: {', '.join(shipped_studies())}"))
