"""Gates for methods to learn: one per unit (`units`), one per residual block (`blocks`)."""

from harness.sizing.gates.units import (
    attach_gates,
    dead_units,
    fold_gates,
    gate_parameters,
    gates,
    places_for_gates,
)

__all__ = ["attach_gates", "dead_units", "fold_gates", "gate_parameters", "gates", "places_for_gates"]
