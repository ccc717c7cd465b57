"""Small runs, and what is extracted from them."""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from rich.console import Console
from sklearn.datasets import load_digits

from harness.cli.views.extraction import show_extracted
from harness.cli.views.progress import TerminalWatcher
from harness.extraction.choice import choose
from harness.extraction.extract import extract
from harness.records.directory import RunDirectory
from harness.records.record import Record
from harness.runs.run import RunRequest, run_study
from harness.watching import Silent

MLP: dict[str, Any] = {
    "name": "small-mlp",
    "datasets": ["digits"],
    "architectures": [
        {"name": "mlp", "options": {"hidden_layers": 2}, "widths": {"low": 8, "high": 64, "log": True}}
    ],
    "methods": ["fixed", {"name": "shrinknets", "space": {"lambda": 0.01}}],
    "trials": 2,
    "training": {
        "epochs": 4,
        "batch_size": 64,
        "optimizer": {"name": "Adam", "learning_rate": 5e-3},
    },
    "claim": {"baseline": "fixed", "n": 1},
}
LENET: dict[str, Any] = MLP | {
    "name": "small-lenet",
    "datasets": [{"name": "large-digits", "source": "npz", "path": "digits16.npz"}],
    "architectures": [
        {"name": "lenet5", "widths": {"low": 4, "high": 16, "log": True}, "start": {"fc1": 24, "conv1": 6}}
    ],
    "methods": [{"name": "shrinknets", "space": {"lambda": 0.02}}, "fixed"],
    "trials": 1,
    "training": MLP["training"] | {"epochs": 3},
}


@dataclass(frozen=True)
class Run:
    """A finished run and the folder of its data."""

    directory: RunDirectory
    data_root: Path

    def record(self, wanted: str) -> Record:
        return choose(self.directory, wanted)

    def extract(self, wanted: str, **options: Any) -> tuple[Path, str]:
        """Extract a trial; the folder, and what the user was told."""
        told = io.StringIO()
        console = Console(file=told, width=160)
        watcher = TerminalWatcher(console)
        extracted = extract(self.directory.path, wanted, data=self.data_root, watcher=watcher, **options)
        show_extracted(extracted, console)
        return extracted.folder, told.getvalue()


@dataclass(frozen=True)
class Extracted:
    """What was extracted from a run: the best trial of `shrinknets`."""

    run: Run
    record: Record
    folder: Path
    told: str


def write_digits16(path: Path) -> None:
    """Digits, each pixel doubled to 16x16, in two channels of which one never changes."""
    x, y = load_digits(return_X_y=True)
    x = np.kron(x.reshape(-1, 1, 8, 8), np.ones((1, 1, 2, 2))).astype(np.uint8)
    x = np.concatenate([x, np.full_like(x, 7)], axis=1)
    np.savez(path, x_train=x[:600], y_train=y[:600], x_test=x[600:900], y_test=y[600:900])


def run_inline(fields: dict[str, Any], folder: Path) -> Run:
    """Run a study in this process, in a folder with its file and its data."""
    write_digits16(folder / "digits16.npz")
    file = folder / "study.yaml"
    file.write_text(yaml.safe_dump(fields, sort_keys=False), encoding="utf-8")
    request = RunRequest(str(file), folder / "run", "inline", data_root=folder)
    result = run_study(request, Silent())
    assert result.complete
    return Run(result.directory, folder)
