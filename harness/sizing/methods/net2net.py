"""*Net2Net* (Chen, Goodfellow and Shlens 2016, arXiv 1511.05641): start small, widen by splitting units.

Net2WiderNet: a new unit is a copy of an existing one drawn at random, and what reads the copies reads each
with an equal part of the weight, so that the network computes what it did. A little noise on the copies lets
them part; the paper relies on dropout where there is some.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.sizing.base import Situation
from harness.sizing.growing import Growing

if TYPE_CHECKING:
    from harness.sizing.criteria.joints import Joint
    from harness.surgery.edits import Edit


@dataclass(frozen=True)
class Net2Net(Growing):
    """Networks that start small and are widened by splits of units (Net2Net); searched is how far.

    noise: standard deviation of what is added to incoming weights of copies, in units of that of the layer's
    weights. With 0 the output does not change, in training mode neither, and copies never part without
    dropout.

    Other options: `harness.sizing.growing`.
    """

    noise: float = 0.05

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.noise < float("inf"):
            raise ValueError(f"noise must be a number from 0 up, found {self.noise}")

    def grown(self, now: Situation, joint: "Joint", count: int) -> "Sequence[Edit]":
        import torch

        from harness.surgery.edits import Assign

        weight, device = joint.weight, joint.weight.device
        sources = torch.randint(joint.units, (count,), generator=now.generator)
        drawn = torch.randn((count, *weight.shape[1:]), generator=now.generator, dtype=weight.dtype)
        times = 1 + torch.bincount(sources, minlength=joint.units).to(device)
        sources = sources.to(device)
        incoming = weight[sources] + self.noise * weight.std(correction=0) * drawn.to(device)
        shared = {path: joint.read_by(path) / times[:, None] for path in joint.readers}
        return (
            joint.widen(
                incoming,
                {path: own[:, sources] for path, own in shared.items()},
                None if joint.bias is None else joint.bias[sources],
                {path: own[sources] for path, own in joint.normalised().items()},
            ),
            *(Assign(f"{path}.weight", joint.laid(path, own)) for path, own in shared.items()),
        )
