"""Surgery: the structure of any network, removal and insertion of units, with the optimizer's state."""

from harness.surgery.apply import apply
from harness.surgery.donors import Residual, donor
from harness.surgery.edits import (
    Assign,
    Edit,
    InsertBlock,
    Mask,
    NetworkEdit,
    NextPhase,
    Note,
    Receipt,
    Recipe,
    Remove,
    RemoveBlock,
    Reset,
    Stop,
    Unmask,
    Widen,
)
from harness.surgery.errors import SurgeryError
from harness.surgery.idle import idle_units
from harness.surgery.operations.masks import hold, hold_masks, masked_parameters
from harness.surgery.structure import Group, Structure, trace
from harness.surgery.tracing.example import Example

__all__ = [
    "Assign",
    "Edit",
    "Example",
    "Group",
    "InsertBlock",
    "Mask",
    "NetworkEdit",
    "NextPhase",
    "Note",
    "Receipt",
    "Recipe",
    "Remove",
    "RemoveBlock",
    "Reset",
    "Residual",
    "Stop",
    "Structure",
    "SurgeryError",
    "Unmask",
    "Widen",
    "apply",
    "donor",
    "hold",
    "hold_masks",
    "idle_units",
    "masked_parameters",
    "trace",
]
