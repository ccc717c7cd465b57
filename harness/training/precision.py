"""How exactly training computes: float32, TF32 products on a GPU, or bfloat16 by autocast."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Literal

import torch

Precision = Literal["float32", "tf32", "bf16"]


@contextmanager
def products(precision: Precision) -> Iterator[None]:
    """Set how products and convolutions of float32 are rounded on a GPU, and set it back.

    Torch's own default rounds convolutions to TF32 and products not; here "float32" means both are float32.
    """
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
    torch.backends.cudnn.allow_tf32 = precision == "tf32"
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before[0])
        torch.backends.cudnn.allow_tf32 = before[1]


def casting(precision: Precision, device: torch.device) -> AbstractContextManager[object]:
    """What a step computes its outputs and its loss in; may be entered again and again, not within itself."""
    if precision == "bf16":
        return torch.autocast(device.type, torch.bfloat16)
    return nullcontext()
