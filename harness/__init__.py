"""Runs comparisons of ways to choose a neural network's size. Importing it loads no torch, Ray or Optuna.

What is named here is the library's interface; all else, but what authors of plug-ins use (`harness.sizing`,
`harness.surgery`, `harness.architectures.base`, `harness.testing`), may change from version to version.

>>> import harness
>>> study = harness.load_study("quickstart")
>>> study.trials
20
"""

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.extraction.extract import extract
    from harness.extraction.loading import load as load_network
    from harness.reporting import report
    from harness.results.joining import load_trials
    from harness.runs.run import plan, run
    from harness.study.file import load_study
    from harness.study.schema import Study

try:
    __version__ = version("sizing-harness")
except PackageNotFoundError:  # run from a source tree that was never installed
    __version__ = "0+unknown"

#: Name -> where it is defined; loaded when first asked for.
_PLACES = {
    "Study": "harness.study.schema:Study",
    "extract": "harness.extraction.extract:extract",
    "load_network": "harness.extraction.loading:load",
    "load_study": "harness.study.file:load_study",
    "load_trials": "harness.results.joining:load_trials",
    "plan": "harness.runs.run:plan",
    "report": "harness.reporting:report",
    "run": "harness.runs.run:run",
}

__all__ = [
    "Study",
    "__version__",
    "extract",
    "load_network",
    "load_study",
    "load_trials",
    "plan",
    "report",
    "run",
]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'harness' has no attribute {name!r}")
    module, _, attribute = _PLACES[name].partition(":")
    return getattr(import_module(module), attribute)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
