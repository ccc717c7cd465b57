"""What the README searches beside sizes, run; and a network of a drawn depth taken along."""

import re
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

import harness
import harness.extraction.extract
from harness.extraction import load
from harness.extraction.description import read_description
from harness.records.directory import RunDirectory
from harness.study.schema import Study
from tests.making import Fields

_README = Path(__file__).parents[2] / "README.md"


def _search() -> dict[str, Any]:
    [block] = re.findall(r"```yaml\n(search:.*?)```", _README.read_text(encoding="utf-8"), re.S)
    search: dict[str, Any] = yaml.safe_load(block)["search"]
    return search


def test_what_the_readme_searches_is_drawn_trained_with_and_extracted(
    tiny: Fields, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # `harness.extract` hides the module of this name. Exports and speeds are tested elsewhere, and take long.
    module = sys.modules["harness.extraction.extract"]
    monkeypatch.setattr(module, "export_all", lambda *_: {})
    monkeypatch.setattr(module, "measure_speed", lambda *_: [])
    search = _search()
    assert search.keys() == {"learning_rate", "batch_size", "architecture.hidden_layers"}
    tiny |= {"search": search, "methods": ["fixed", "shrinknets"], "trials": 4}
    tiny["training"]["epochs"] = 1
    harness.run(Study.model_validate(tiny), tmp_path / "run", executor="inline")
    records, _ = RunDirectory(tmp_path / "run").store.read_all()
    assert {record.status for record in records.values()} == {"ok"}
    for record in records.values():
        depth = record.params["architecture.hidden_layers"]
        assert record.start_size is not None
        assert record.start_size.units.keys() == {f"hidden{i}" for i in range(1, int(depth) + 1)}
    trials = harness.load_trials(tmp_path / "run")
    assert set(trials["param_batch_size"]) <= {32, 64, 128}
    shallow = next(r for r in records.values() if r.params["architecture.hidden_layers"] == 2)
    folder = harness.extract(tmp_path / "run", shallow.trial_id).folder
    assert read_description(folder).options == {"hidden_layers": 2}
    assert load(folder)(torch.zeros(3, 1, 8, 8)).shape == (3, 10)
