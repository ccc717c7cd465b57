"""A `torch.utils.data.Dataset`, or whatever has a length and gives (x, y) by number."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.datasets.base import DataError, DatasetSpec, Target
from harness.datasets.sources.base import RawData, RawPart, target_of
from harness.datasets.sources.parting import parted, taken
from harness.datasets.sources.pictures import Size, pixels
from harness.datasets.sources.places import located
from harness.datasets.sources.strangers import told
from harness.plugins import attributes


@dataclass(frozen=True, slots=True)
class PythonObject:
    """Examples that a Python object gives by number.

    attribute: `module:attribute` or `file.py:attribute`: an object, or what gives one when it is called with
    `train=True` and `train=False`, a class of torchvision, say. test: another attribute, for the test part;
    or test_fraction: share of the examples, drawn by `test_seed`, from every class alike; what is called is
    called without `train` then. options: what else it is called with. kind: what y is; unless said, whole
    numbers are classes and others numbers. resize: [height, width] of images of Pillow.

    A file or folder that the study names as the data set's path is handed over as `root`, and data are
    decoded anew when it changes. What is read elsewhere may change unseen.
    """

    attribute: str
    test: str | None = None
    test_fraction: float | None = None
    test_seed: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)
    kind: Target | None = None
    resize: Size | None = None

    def source_identity(self, spec: DatasetSpec, data_root: Path) -> Sequence[Path | str]:
        code = [] if self.test is None else [str(attributes.code_of(attributes.origin(self.test)))]
        if spec.path is None:
            return code
        path = located(spec, data_root)
        files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
        return [*code, *(file.relative_to(path.parent).as_posix() for file in files), *files]

    def __call__(self, spec: DatasetSpec, data_root: Path) -> RawData:
        if self.test is not None and self.test_fraction is not None:
            raise DataError(f"data set {spec.name!r}: both 'test' and 'test_fraction' found, one is allowed")
        options = dict(self.options)
        if spec.path is not None:
            options["root"] = str(located(spec, data_root))
        if self.test is not None:
            parts = [_object(self.attribute, options), _object(self.test, options)]
        elif self.test_fraction is not None:
            parts = [_object(self.attribute, options)]
        elif _is_called(attributes.find(self.attribute)):
            parts = [_object(self.attribute, {**options, "train": train}) for train in (True, False)]
        else:
            raise DataError(
                f"data set {spec.name!r}: {self.attribute} is one object; `test: module:attribute` or "
                f"`test_fraction` is needed for the test part"
            )
        names = [self.attribute, self.test or f"{self.attribute}, test part"]
        read = [self._read(part, name) for part, name in zip(parts, names, strict=False)]
        target = target_of(read[0].y, self.kind)
        if len(read) == 1:
            assert self.test_fraction is not None
            whole = read[0]
            labels = whole.y if target == "classes" and whole.y.ndim == 1 else None
            indices = parted(spec.name, len(whole.y), self.test_fraction, self.test_seed, labels)
            read = [taken(whole, part) for part in indices]
        return RawData(read[0], read[1], target=target)

    def _read(self, examples: Any, name: str) -> RawPart:
        count = told(name, "its length", lambda: len(examples))
        if count < 1:
            raise DataError(f"{name}: no examples found, at least one is needed")
        xs: NDArray[Any] | None = None
        ys: NDArray[Any] | None = None
        for number in range(count):
            x, y = self._example(examples, number, name)
            if xs is None or ys is None:
                xs, ys = np.empty((count, *x.shape), x.dtype), np.empty((count, *y.shape), y.dtype)
            for what, found, stack in (("x", x, xs), ("y", y, ys)):
                if found.shape != stack.shape[1:] or found.dtype != stack.dtype:
                    raise DataError(
                        f"{name}: example {number}: {what} of shape {found.shape} and type {found.dtype} "
                        f"found, {stack.shape[1:]} and {stack.dtype} like the others is needed"
                    )
            xs[number], ys[number] = x, y
        assert xs is not None
        assert ys is not None
        again = self._example(examples, 0, name)
        if not np.array_equal(again[0], xs[0], equal_nan=True) or not np.array_equal(again[1], ys[0]):
            raise DataError(
                f"{name}: example 0 is another each time that it is asked for; examples are read once, so "
                f"what draws at random belongs into training"
            )
        return RawPart(xs, ys, f"{name}: x", f"{name}: y")

    def _example(self, examples: Any, number: int, name: str) -> tuple[NDArray[Any], NDArray[Any]]:
        where = f"example {number}"
        pair = told(name, where, lambda: examples[number])
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise DataError(f"{name}: {where}: {pair!r:.80} found, a pair (x, y) is needed")
        x, y = pair
        return (
            told(name, where, lambda: self._array(x, f"{name}: {where}")),
            told(name, where, lambda: self._array(y, f"{name}: {where}")),
        )

    def _array(self, value: Any, where: str) -> NDArray[Any]:
        if hasattr(value, "getbands"):  # an image of Pillow
            return pixels(value, where, self.resize)
        if hasattr(value, "detach"):  # a tensor
            value = value.detach().cpu()
        return np.asarray(value)


def _is_called(found: Any) -> bool:
    return isinstance(found, type) or not hasattr(found, "__getitem__")


def _object(attribute: str, options: Mapping[str, Any]) -> Any:
    found = attributes.find(attribute)
    if not _is_called(found):
        if options:
            raise DataError(
                f"{attribute} is an object and is not called: {', '.join(options)} has no meaning"
            )
        return found
    called = ", ".join(f"{name}={value!r:.40}" for name, value in options.items())
    return told(attribute, f"calling it with ({called})", lambda: found(**options))
