"""Which labels a layer's units have, by the name that an edit gives."""

import numpy as np
from torch import nn

from harness.surgery.errors import SurgeryError
from harness.surgery.tracing.labels import Labels
from harness.surgery.tracing.tracer import Tracer


def unit_labels(tracer: Tracer, network: nn.Module, layer: str) -> Labels:
    """One label for each unit of a layer, in order.

    Args:
        tracer: what a forward pass has shown.
        network: the network it was shown of.
        layer: path of a module that makes units, or of a normalisation or gate behind one.

    Raises:
        SurgeryError: if there is no such module, or it has no units.
    """
    path, axis = tracer.producers.get(layer, (None, 0))
    # A layer that makes several kinds of units names each by its parameter.
    place = path.rpartition(".")[0] if path is not None else layer
    try:
        module = network.get_submodule(place)
    except AttributeError:
        raise SurgeryError(f"The network has no module {layer!r}.") from None
    prefix = f"{layer}." if layer else ""
    if path is None:
        names = ("weight", "running_mean", *getattr(module, "per_unit", ()))
        path = next((prefix + name for name in names if prefix + name in tracer.tensors), None)
    if path is None or (isinstance(module, nn.Module) and not tracer.tensors[path].dim()):
        raise SurgeryError(
            f"The module {layer!r} ({type(module).__name__}) makes no units; layers that do: "
            f"{', '.join(sorted(tracer.producers)) or 'none'}."
        )
    if isinstance(module, nn.MultiheadAttention):
        return head_labels(tracer, f"{place}.", module)[0, :, 0]
    return tracer.labels(path, axis)


def head_labels(tracer: Tracer, prefix: str, module: nn.MultiheadAttention) -> Labels:
    """[parts, heads, features] labels of an attention's rows: first for queries, keys, values, where one
    weight makes them, or for queries alone, and then for all else that it has of them."""
    named = {
        "in_proj_weight": 0, "q_proj_weight": 0, "k_proj_weight": 0, "v_proj_weight": 0,
        "in_proj_bias": 0, "bias_k": 2, "bias_v": 2,
    }  # fmt: skip
    rows = [
        tracer.labels(prefix + name, axis) for name, axis in named.items() if prefix + name in tracer.tensors
    ]
    return np.concatenate(rows).reshape(-1, module.num_heads, module.head_dim)


def chosen(labels: Labels, layer: str, units: tuple[int, ...]) -> Labels:
    """The labels of some units.

    Raises:
        SurgeryError: for an index out of range, or given twice.
    """
    wrong = [unit for unit in units if not 0 <= unit < len(labels)]
    if wrong:
        raise SurgeryError(
            f"The layer {layer!r} has units 0 to {len(labels) - 1}; there is no unit {wrong[0]} to work on."
        )
    if len(set(units)) != len(units):
        raise SurgeryError(f"The layer {layer!r} was given the same unit twice in one edit.")
    return labels[np.asarray(units, dtype=np.int64)]
