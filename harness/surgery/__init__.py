"""Surgery: the structure of any network, removal and insertion of units, with the optimizer's state."""

from harness.surgery.apply import apply
from harness.surgery.edits import (
    Edit,
    Mask,
    NetworkEdit,
    NextPhase,
    Receipt,
    Remove,
    RemoveBlock,
    Reset,
    Stop,
    Widen,
)
from harness.surgery.errors import SurgeryError
from harness.surgery.operations.masks import hold, hold_masks, masked_parameters
from harness.surgery.structure import Group, Structure, trace

__all__ = [
    "Edit",
    "Group",
    "Mask",
    "NetworkEdit",
    "NextPhase",
    "Receipt",
    "Remove",
    "RemoveBlock",
    "Reset",
    "Stop",
    "Structure",
    "SurgeryError",
    "Widen",
    "apply",
    "hold",
    "hold_masks",
    "masked_parameters",
    "trace",
]
