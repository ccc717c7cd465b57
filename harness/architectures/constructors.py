"""Constructors of networks that a study only names, and which of their arguments are known without asking.

By a constructor's signature: the length of the output under the first of `OUTPUTS` that it takes, the
channels of an example under the first of `CHANNELS`, its flat length under the first of `FEATURES`, its whole
shape under the first of `SHAPES`, the side of a square image under the first of `SIDES`. One that takes any
keyword is given `num_classes` (all of torchvision's do). What a study writes goes before all of these.
"""

import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any

from harness.nearest import close_match
from harness.plugins import attributes
from harness.plugins.attributes import Origin

OUTPUTS = ("num_classes", "outputs", "n_classes", "num_outputs", "out_features", "output_dim")
CHANNELS = ("in_channels", "in_chans", "input_channels")
FEATURES = ("in_features", "inputs", "input_dim")
SHAPES = ("example_shape", "input_shape")
SIDES = ("image_size", "img_size")
#: Arguments that take the sizes of all layers at once, as a mapping from path to units.
WIDTHS = ("widths", "sizes")

#: Packages whose networks are known by their own lists of names.
_GALLERIES = ("torchvision", "timm")
_DOWNLOADS = ("weights", "weights_backbone", "pretrained", "pretrained_backbone")

Constructor = Callable[..., Any]


def origin(network: str) -> Origin:
    """Whose code a network is. Raises ValueError."""
    gallery = network.partition(":")[0]
    if gallery not in _GALLERIES:
        return attributes.origin(network)
    try:
        found = attributes.origin(f"{gallery}:")
    except ValueError as error:
        raise ValueError(f"{network}: {gallery} is not installed") from error
    # Wheels for other devices carry a mark after a plus, and hold the same networks.
    version = found.version.partition("+")[0] if found.version else None
    return Origin(None, gallery, found.package or gallery, version)


def check_written(network: str, written: Mapping[str, Any]) -> None:
    """Raise ValueError if a study would have weights downloaded, which no trial's identity would hold."""
    if network.partition(":")[0] not in _GALLERIES:
        return
    for name in _DOWNLOADS:
        if written.get(name):
            raise ValueError(
                f"{network}: {name}: {written[name]!r} would be downloaded whenever a network is built; name "
                "a file under the architecture's `weights`"
            )


def constructor(network: str) -> Constructor:
    """What builds a network: a function or a class.

    Args:
        network: `torchvision:NAME`, `timm:NAME`, `module:attribute` or `file.py:attribute`.

    Raises:
        ValueError: in one sentence, if there is none of that name, or importing it raises.
    """
    gallery, _, name = network.partition(":")
    if gallery == "torchvision":
        return _of_torchvision(name)
    if gallery == "timm":
        return _of_timm(name)
    found = attributes.find(network)
    if not callable(found):
        raise ValueError(f"{network} is a {type(found).__name__}, which builds no network")
    made: Constructor = found
    return made


def arguments_for(
    build: Constructor, example_shape: tuple[int, ...], outputs: int, written: Mapping[str, Any]
) -> dict[str, Any]:
    """All arguments of a constructor: those written in the study, and those that its signature asks for."""
    names, any_keyword = parameters(build)
    known: dict[str, Any] = {}
    _give(known, OUTPUTS, outputs, names, written)
    _give(known, FEATURES, math.prod(example_shape), names, written)
    _give(known, SHAPES, tuple(example_shape), names, written)
    if example_shape:
        _give(known, CHANNELS, example_shape[0], names, written)
    if len(example_shape) == 3 and example_shape[1] == example_shape[2]:
        _give(known, SIDES, example_shape[1], names, written)
    if any_keyword and not {*OUTPUTS} & {*known, *written}:
        known["num_classes"] = outputs
    if "weights_backbone" in names and str(getattr(build, "__module__", "")).startswith("torchvision."):
        known["weights_backbone"] = None  # its default would be downloaded
    return known | dict(written)


def width_arguments(
    build: Constructor, layers: tuple[str, ...] | Mapping[str, str], sizes: Mapping[str, int]
) -> dict[str, Any] | None:
    """The arguments that give a network its sizes; None if its constructor takes none for these layers, or
    none is sized.

    Args:
        layers: layer -> argument that sets its units; or paths alone: then a constructor takes the mapping
            `sizes` under one of `WIDTHS`, or units under arguments that are called as the layers are.
    """
    if not sizes:
        return None
    if isinstance(layers, Mapping):
        return {layers[layer]: size for layer, size in sizes.items()}
    names, _ = parameters(build)
    for name in WIDTHS:
        if name in names:
            return {name: dict(sizes)}
    return dict(sizes) if set(sizes) <= set(names) else None


def parameters(build: Constructor) -> tuple[tuple[str, ...], bool]:
    """Names of the arguments of a constructor, and whether it takes any keyword."""
    try:
        found = inspect.signature(build).parameters.values()
    except (TypeError, ValueError):  # written in C, which tells nothing of itself
        return (), False
    by_name = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    any_keyword = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in found)
    return tuple(one.name for one in found if one.kind in by_name), any_keyword


def _give(
    known: dict[str, Any],
    ways: tuple[str, ...],
    value: Any,
    names: tuple[str, ...],
    written: Mapping[str, Any],
) -> None:
    if not {*ways} & {*written} and (name := next((way for way in ways if way in names), None)):
        known[name] = value


def _of_torchvision(name: str) -> Constructor:
    from torchvision import models

    if name not in (known := models.list_models()):
        raise ValueError(f"torchvision has no network {name!r}{_hint(name, known)}")
    build: Constructor = models.get_model_builder(name)
    return build


def _of_timm(name: str) -> Constructor:
    try:
        import timm
    except ImportError as error:
        raise ValueError(f"timm:{name}: timm is not installed") from error
    if not timm.is_model(name):
        raise ValueError(f"timm has no network {name!r}{_hint(name, timm.list_models())}")

    def build(num_classes: int, in_chans: int, **options: Any) -> Any:
        return timm.create_model(name, num_classes=num_classes, in_chans=in_chans, **options)

    return build


def _hint(name: str, known: list[str]) -> str:
    close = close_match(name, known)
    return f"; did you mean {close!r}?" if close else ""
