"""What a study searches beside its methods' own spaces, and what a trial of it has drawn.

`search` of the study is for all arms; that of a method's entry goes before it, for the method's arms. Names
are those of the parameters that trials draw: `learning_rate`, `batch_size`, and `architecture.OPTION` for an
option of the architectures that have it. What is drawn takes the place of what the study sets.
"""

from collections.abc import Mapping
from typing import Any

from harness.design import BATCH_SIZE, LEARNING_RATE, OF_ARCHITECTURE
from harness.search.space import Scalar
from harness.study.schema import ArchitectureEntry, Method, Study


def search_of(study: Study, method: Method) -> dict[str, Any]:
    """Parameter name -> range as written, of the arms of a method; a control has its origin's too."""
    if method.of is None:
        return {**study.search, **method.search}
    of = method.of if isinstance(method.of, str) else method.of.method
    return {**search_of(study, next(entry for entry in study.methods if entry.name == of)), **method.search}


def learning_rate(study: Study, method: Method, params: Mapping[str, Scalar]) -> float:
    """The learning rate that a trial's phases are made from."""
    if LEARNING_RATE in search_of(study, method):
        return float(params[LEARNING_RATE])
    return study.training.optimizer.learning_rate


def batch_size(study: Study, method: Method, params: Mapping[str, Scalar]) -> int:
    """Examples in a trial's batches."""
    if BATCH_SIZE in search_of(study, method):
        return int(params[BATCH_SIZE])
    return study.training.batch_size


def options_drawn(study: Study, method: Method, params: Mapping[str, Scalar]) -> dict[str, Scalar]:
    """Options of the architecture that a trial drew."""
    return {
        name.removeprefix(OF_ARCHITECTURE): params[name]
        for name in search_of(study, method)
        if name.startswith(OF_ARCHITECTURE) and name in params
    }


def with_options(entry: ArchitectureEntry, options: Mapping[str, Scalar]) -> ArchitectureEntry:
    """An architecture's entry with drawn options in place of its own."""
    return entry.model_copy(update={"options": {**entry.options, **options}}) if options else entry


def told(study: Study, name: str, value: object) -> str:
    """A setting of the study for a reader, who is to know where all arms search it."""
    return "searched" if name in study.search else str(value)
