"""A study run to its end in the process of the test."""

from pathlib import Path
from typing import Any

import yaml

from harness.records.directory import RunDirectory
from harness.runs.run import RunRequest, run_study
from harness.watching import Silent


def finish(fields: dict[str, Any], out: Path, **options: Any) -> RunDirectory:
    """Its run directory, the study file written beside it."""
    file = out.with_suffix(".yaml")
    file.write_text(yaml.safe_dump(fields), encoding="utf-8")
    return run_study(RunRequest(str(file), out, "inline", **options), Silent()).directory
