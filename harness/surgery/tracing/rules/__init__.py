"""What each operation of PyTorch does to units, by its name in ATen."""

from collections.abc import Mapping

from harness.surgery.tracing.rules import (
    attention,
    bilinear,
    blocks,
    contractions,
    convolutions,
    indexing,
    joining,
    normalisation,
    parts,
    reductions,
    sequences,
    shape,
    spectra,
    windows,
)
from harness.surgery.tracing.rules.elementwise import copy, fill, pointwise
from harness.surgery.tracing.tracer import Rule

#: Named operations; whatever else PyTorch itself tags as pointwise is `pointwise`.
RULES: Mapping[str, Rule] = {
    **attention.RULES,
    **bilinear.RULES,
    **blocks.RULES,
    **contractions.RULES,
    **convolutions.RULES,
    **indexing.RULES,
    **joining.RULES,
    **normalisation.RULES,
    **parts.RULES,
    **reductions.RULES,
    **sequences.RULES,
    **shape.RULES,
    **spectra.RULES,
    **windows.RULES,
    # Pointwise, though PyTorch does not tag it so.
    "masked_fill": pointwise,
    "_prelu_kernel": pointwise,
    "hardswish": pointwise,
    "hardswish_": pointwise,
    "log_sigmoid_forward": pointwise,
    "copy": copy,
    "fill": fill,
    "zero": fill,
}

__all__ = ["RULES", "pointwise"]
