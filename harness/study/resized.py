"""Sizes of networks that take none and are cut to them: from a study's widths to a cell."""

from collections.abc import Mapping

from harness.architectures.named import NamedNetwork
from harness.architectures.widths import ALL, ResizedNetwork, Width, chosen, resized
from harness.plugins.attributes import is_attribute
from harness.search.space import Float, Int
from harness.sizing.base import Cell
from harness.sizing.multiplier import Multiplier
from harness.study.ranges import MultiplierRange, SizeRange
from harness.study.schema import ArchitectureEntry


def with_widths_found(
    architecture: NamedNetwork, entry: ArchitectureEntry, example_shape: tuple[int, ...], outputs: int
) -> NamedNetwork | None:
    """A network by its name with its sized layers: found by a look at it, once, if it takes no widths.

    None if it takes widths, or the study says itself how (`layers: {path: argument}`).

    Raises:
        ValueError: in one sentence, if there is no such layer, or its width cannot be changed.
    """
    if isinstance(architecture.layers, Mapping) or entry.widths is None:
        return None
    names = architecture.layers or (tuple(entry.widths) if isinstance(entry.widths, dict) else (ALL,))
    try:
        return resized(architecture, example_shape, outputs, names) if names else None
    except ValueError as error:
        raise ValueError(f"widths: {error}") from error


def resized_cell(
    network: ResizedNetwork, entry: ArchitectureEntry, example_shape: tuple[int, ...], outputs: int
) -> Cell:
    """The cell of a network that is cut to its sizes.

    Raises:
        ValueError: in one sentence that names a layer, for a size that it cannot have.
    """
    steps = {width.layer: width.step for width in network.widths}
    multiplier = None
    if isinstance(entry.widths, MultiplierRange):
        number = Float(entry.widths.low, entry.widths.high, entry.widths.log)
        multiplier = Multiplier(number, {width.layer: width.units for width in network.widths}, steps)
        low, high = multiplier.sizes(number.low), multiplier.sizes(number.high)
        bounds = {layer: Int(low[layer], high[layer]) for layer in low}
    else:
        bounds = {width.layer: _bound(width, _range(entry, network, width)) for width in network.widths}
    starts = _starts(network, entry, bounds)
    return Cell(network, example_shape, outputs, bounds, starts, steps=steps, multiplier=multiplier)


def _range(entry: ArchitectureEntry, network: ResizedNetwork, width: Width) -> SizeRange:
    if not isinstance(entry.widths, dict):
        assert isinstance(entry.widths, SizeRange)
        return entry.widths
    # Of layers that are named as options, ranges may be written by other members or patterns.
    written = chosen(network.widths, tuple(entry.widths)).get(width.layer)
    if written is None:
        raise ValueError(f"widths: the layer {width.layer!r} has no range")
    return entry.widths[written]


def _bound(width: Width, written: SizeRange) -> Int:
    """The sizes that may be drawn. A multiple of what goes together must lie among them."""
    if written.high > width.units:
        raise ValueError(
            f"widths: {width.layer} has {width.units} units as it is built, and a network can only be cut; "
            f"found high {written.high}"
        )
    if written.low < 1:
        raise ValueError(f"widths: {width.layer}: a layer needs at least 1 unit, found {written.low}")
    low, high = -(-written.low // width.step) * width.step, written.high // width.step * width.step
    if low > high:
        raise ValueError(
            f"widths: units of {width.layer} go together by {width.step}, and no multiple of that lies "
            f"between {written.low} and {written.high}"
        )
    return Int(low, high, written.log)


def _starts(network: ResizedNetwork, entry: ArchitectureEntry, bounds: Mapping[str, Int]) -> dict[str, int]:
    starts = {layer: bound.high for layer, bound in bounds.items()}
    written: dict[str, int] = {}
    if isinstance(entry.start, int):
        written = dict.fromkeys(starts, entry.start)
    elif entry.start is not None:
        try:
            names = chosen(network.widths, tuple(entry.start))
            written = {layer: entry.start[name] for layer, name in names.items()}
        except ValueError as error:
            raise ValueError(f"start: {error}") from error
    for width in network.widths:
        size = written.get(width.layer, starts[width.layer])
        if size > width.units or size % width.step:
            by = f" in multiples of {width.step}" if width.step > 1 else ""
            raise ValueError(f"start: {width.layer} has 1 to {width.units} units{by}, found {size}")
    return starts | written


def initialise_of(entry: ArchitectureEntry) -> str:
    """The function that starts an entry's networks, "" for what their constructor does."""
    is_named = is_attribute(entry.family or entry.name)
    written = entry.options.get("initialise", "") if is_named else ""
    return written if isinstance(written, str) else ""
