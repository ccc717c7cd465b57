"""Whether networks of a cell have what a criterion of units looks at: seen on one of two units a layer."""

from collections.abc import Sequence

import torch
from torch import nn

from harness.sizing.base import Cell
from harness.sizing.criteria.feature_maps import check_seen, places_of_maps, watched
from harness.sizing.criteria.unit_magnitude import norm_scales
from harness.sizing.criteria.units import (
    CONVOLUTIONS,
    JUDGED,
    Units,
    check_kinds,
    coupled_units,
    single_units,
    small_network,
)
from harness.sizing.criteria.useless import UnitCriterion
from harness.sizing.criteria.zeros import activity
from harness.surgery.structure import Structure, trace


def check_sized_units(cell: Cell, layers: Sequence[str], criterion: UnitCriterion) -> None:
    """Refuse a cell whose sized layers have no units to be judged by a criterion.

    Raises:
        ValueError: in one sentence.
    """
    network, structure = _looked_at(cell)
    units = coupled_units(structure, layers)
    check_kinds(network, units)
    _check_criterion(network, units, structure, cell, criterion)


def check_filters(cell: Cell, criterion: UnitCriterion, *, convolutions_only: bool) -> None:
    """Refuse a cell whose networks have no hidden units, or filters, to be judged by a criterion.

    Raises:
        ValueError: in one sentence.
    """
    network, structure = _looked_at(cell)
    units = single_units(network, structure, CONVOLUTIONS if convolutions_only else JUDGED)
    if not units:
        what = "filters of convolutions" if convolutions_only else "hidden units"
        raise ValueError(f"it resets {what}, and this architecture has none that another layer reads")
    _check_criterion(network, units, structure, cell, criterion)


def _looked_at(cell: Cell) -> tuple[nn.Module, Structure]:
    network = small_network(cell)
    return network, trace(network, torch.zeros(1, *cell.example_shape))


def _check_criterion(
    network: nn.Module, units: Sequence[Units], structure: Structure, cell: Cell, criterion: UnitCriterion
) -> None:
    x, places = torch.zeros(2, *cell.example_shape), places_of_maps(units, network, structure.norms)
    if criterion == "scale":
        norm_scales(network, units, structure.norms)
    elif criterion == "zeros":
        activity(network, units, places, [(x, x)])
    elif criterion in ("taylor", "taylor-absolute"):
        with torch.no_grad(), watched(network, places) as made:
            network(x)
        check_seen(made)
