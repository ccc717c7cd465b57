"""What a study searches beside its methods' own spaces, and what a trial of it has drawn.

`search` of the study is for all arms; that of a method's entry goes before it, for the method's arms; so does
its `optimizer`. Names
are those of the parameters that trials draw: `learning_rate`, `batch_size`, and `architecture.OPTION` for an
option of the architectures that have it. What is drawn takes the place of what the study sets.
"""

from collections.abc import Mapping
from typing import Any

from harness.design import BATCH_SIZE, LEARNING_RATE, OF_ARCHITECTURE
from harness.search.space import Scalar
from harness.study.schema import ArchitectureEntry, Method, Study
from harness.study.training import Optimizer


def search_of(study: Study, method: Method) -> dict[str, Any]:
    """Parameter name -> range as written, of the arms of a method; a control has its origin's too."""
    origin = _origin(study, method)
    return {**(study.search if origin is None else search_of(study, origin)), **method.search}


def optimizer_of(study: Study, method: Method) -> Optimizer:
    """The optimizer that a method's trials are trained by; a control's is its origin's unless it has one."""
    if method.optimizer is not None:
        return method.optimizer
    origin = _origin(study, method)
    return study.training.optimizer if origin is None else optimizer_of(study, origin)


def _origin(study: Study, method: Method) -> Method | None:
    """The entry whose trials a control's begin from."""
    if method.origin_method is None:
        return None
    return next(entry for entry in study.methods if entry.name == method.origin_method)


def learning_rate(study: Study, method: Method, params: Mapping[str, Scalar]) -> float:
    """The learning rate that a trial's phases are made from."""
    if LEARNING_RATE in search_of(study, method):
        return float(params[LEARNING_RATE])
    return optimizer_of(study, method).learning_rate


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


def optimizers_told(study: Study) -> str:
    """The study's optimizer for a reader, and those of methods that name their own."""
    own = [(method.name, method.optimizer) for method in study.methods]
    texts = [_optimizer_told(study.training.optimizer, told(study, LEARNING_RATE, "{}"))]
    texts += [f"{name}: {_optimizer_told(each, '{}')}" for name, each in own if each is not None]
    return "; ".join(texts)


def _optimizer_told(optimizer: Optimizer, rate: str) -> str:
    options = "".join(f", {name} {value}" for name, value in optimizer.options.items())
    return f"{optimizer.name}, learning rate {rate.format(optimizer.learning_rate)}{options}"
