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
    try:
        # A layer that makes several kinds of units names each by its parameter.
        module = network.get_submodule(path.rpartition(".")[0] if path is not None else layer)
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
    labels = tracer.labels(path, axis)
    if isinstance(module, nn.MultiheadAttention):
        return labels.reshape(3, module.num_heads, -1)[0, :, 0]
    return labels


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
