"""*Growing Tiny Networks* (Verbockhaven, Rudkiewicz, Chevallier and Charpiat 2024, arXiv 2405.19816).

What the loss wants a layer to compute, and its weights cannot, is its expressivity bottleneck. The new units
are those that give most of it: by the singular value decomposition of the covariance of what is missing and
the inputs one layer before, whitened by the covariance of those. Unlike other growth they change the output:
by as much as lowers the loss most on a batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.sizing.base import Situation
from harness.sizing.growing import Growing

if TYPE_CHECKING:
    from torch import Tensor

    from harness.sizing.criteria.joints import Joint
    from harness.surgery.edits import Edit, Widen

#: Factors of what new units send that are tried; 0 as well, if all of them raise the loss.
_AMPLITUDES = tuple(4.0**power for power in range(3, -8, -1))


@dataclass(frozen=True)
class Tiny(Growing):
    """Networks that grow by the units their layers miss most (TINY); searched is how far.

    examples: of the batch that covariances and losses are taken on.

    Units come in pairs of opposite weights: what ReLU makes of both is straight, as the method takes it to
    be. Of an odd number the last unit of a layer hears what the next pair would, and is not heard. Batch
    normalisation starts as the identity on new units. For convolutions the parts that a kernel's places add
    are taken as unrelated, as in the paper.

    Other options: `harness.sizing.growing`.
    """

    examples: int = 256

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.examples < 2:
            raise ValueError(f"examples must be at least 2, found {self.examples}")

    def grown(self, now: Situation, joint: "Joint", count: int) -> "Sequence[Edit]":
        from dataclasses import replace

        from harness.sizing.criteria.bottleneck import bottleneck
        from harness.sizing.criteria.newcomers import averages, heard_by, in_pairs

        x, y = now.probe.batch(now.generator, self.examples)
        tight = bottleneck(now.network, joint, now.probe, x, y)
        hears, sends, _ = tight.directions(count // 2 + 1)
        incoming = in_pairs(hears, count, -1.0)
        if count % 2:
            incoming[-1] = hears[count // 2]
        edit = joint.widen(incoming, heard_by(joint, in_pairs(sends, count, -1.0)))
        root = _amplitude(now, joint, edit, (x, y)) ** 0.5
        edit = replace(
            edit,
            incoming=edit.incoming * (root or 1.0),  # unheard, they shall hear at least
            outgoing={path: own * root for path, own in edit.outgoing.items()},
        )
        return (replace(edit, passing=averages(now.network, joint, edit, x, as_identity=True)),)


def _amplitude(now: Situation, joint: "Joint", edit: "Widen", batch: "tuple[Tensor, Tensor]") -> float:
    """The factor of what new units send at which the loss is least; 0 if every one raises it."""
    from dataclasses import replace

    import torch
    from torch.func import functional_call

    from harness.sizing.criteria.newcomers import extended

    x, y = batch
    best, least = 0.0, float(now.probe.loss(now.network, x, y).detach())
    with torch.no_grad():
        for amplitude in _AMPLITUDES:
            heard = {path: own * amplitude**0.5 for path, own in edit.outgoing.items()}
            tried = replace(edit, incoming=edit.incoming * amplitude**0.5, outgoing=heard)
            outputs = functional_call(now.network, extended(joint, tried), (x,))
            loss = float(now.probe.criterion(outputs, y))
            if loss < least:
                best, least = amplitude, loss
    return best
