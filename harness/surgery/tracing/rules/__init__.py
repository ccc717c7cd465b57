"""What each operation of PyTorch does to units, by its name in ATen."""

from collections.abc import Mapping

from harness.surgery.tracing.rules import attention, contractions, joining, normalisation, reductions, shape
from harness.surgery.tracing.rules.elementwise import copy, fill, pointwise
from harness.surgery.tracing.tracer import Rule

#: Named operations; whatever else PyTorch itself tags as pointwise is `pointwise`.
RULES: Mapping[str, Rule] = {
    **attention.RULES,
    **contractions.RULES,
    **joining.RULES,
    **normalisation.RULES,
    **reductions.RULES,
    **shape.RULES,
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
