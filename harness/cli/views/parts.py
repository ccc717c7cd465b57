"""Prints what a study file may name."""

import dataclasses
import inspect

from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness import registry
from harness.datasets import source_names
from harness.datasets.registry import described, where_from
from harness.search.samplers import sampler_names, sampling_of
from harness.study.file import shipped_studies


def show_parts(console: Console) -> None:
    """Sizing methods, architectures, data sets, samplers, shipped studies."""
    for kind in ("methods", "architectures", "objectives"):
        table = Table(box=None, pad_edge=False)
        for heading in (kind, "from", "what it is", "options and defaults"):
            table.add_column(heading)
        for name, origin in registry.names(kind).items():
            part = registry.load(kind, name)
            about = (inspect.getdoc(part) or "").split("\n\n")[0].replace("\n", " ")
            options = ", ".join(
                field.name if field.default is dataclasses.MISSING else f"{field.name}: {field.default}"
                for field in dataclasses.fields(part)
            )
            table.add_row(Text(name), Text(origin), Text(about), Text(options))
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
