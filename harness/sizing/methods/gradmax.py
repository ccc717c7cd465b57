"""*GradMax: Growing Neural Networks using Gradient Information* (Evci and others 2022, arXiv 2201.05125).

New units leave the output as it is and have the largest gradients: incoming weights are zero, and outgoing
ones are the leading left singular vectors of the loss's mixed second derivative, which is the mean of
(gradient at the reader) x (input of the layer). That needs an activation with a slope at zero and nothing
there, which ReLU is not. So units come in pairs with a positive bias, alike but for the sign of what they
send: they cancel, and each is on the slope.

Of pairs at right angles to each other, of one norm, none have larger gradients. Copies of the leading pair
would, and would stay copies.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from harness.sizing.base import Situation
from harness.sizing.growing import Growing

if TYPE_CHECKING:
    from torch import Tensor

    from harness.sizing.criteria.joints import Joint
    from harness.surgery.edits import Edit


@dataclass(frozen=True)
class GradMax(Growing):
    """Networks that grow by units with the largest gradients (GradMax); searched is how far.

    zero: "incoming", as above, where the layer has biases and no normalisation behind it, in which a unit
    that hears nothing would never wake; elsewhere, or with "outgoing", outgoing weights are zero, and
    incoming ones, of the norm that others have, are those of the largest gradient among right singular
    vectors of either sign and `draws` random directions for each new unit.
    scale: norm of outgoing weights, in units of that of the units there are; in proportion to singular values
    from pair to pair. offset: the bias of new units. examples: of the batch that gradients are taken on.

    Of an odd number, the last unit of a layer has zero outgoing weights as well.

    Other options: `harness.sizing.growing`.
    """

    zero: Literal["incoming", "outgoing"] = "incoming"
    scale: float = 1.0
    offset: float = 0.1
    draws: int = 1
    examples: int = 256

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("scale", "offset"):
            if not 0 < getattr(self, name) < float("inf"):
                raise ValueError(f"{name} must be a number above 0, found {getattr(self, name)}")
        for name, least in (("draws", 0), ("examples", 2)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, found {getattr(self, name)}")

    def grown(self, now: Situation, joint: "Joint", count: int) -> "Sequence[Edit]":
        import torch

        from harness.sizing.criteria.mixed import mixed_derivative
        from harness.sizing.criteria.newcomers import heard_by, in_pairs

        x, y = now.probe.batch(now.generator, self.examples)
        mixed = mixed_derivative(now.network, joint, now.probe, x, y, self.offset)
        sending, sizes, hearing = torch.linalg.svd(mixed, full_matrices=False)
        if self.zero == "outgoing" or joint.norms or joint.bias is None:
            rows = hearing[:, : joint.weight[0].numel()]
            return self._unheard(now, joint, count, (x, y), rows)
        pairs = max(1, count // 2)
        order = torch.arange(pairs, device=sizes.device) % len(
            sizes
        )  # the leading ones again, once all are in
        shares = sizes[order] if sizes[0] > 0 else torch.ones_like(sizes[order])
        total = self.scale * joint.reading_norm() * (2 * pairs) ** 0.5
        first = sending.T[order] * (shares * total / (2 * shares.square().sum()).sqrt())[:, None]
        outgoing = heard_by(joint, in_pairs(first, count, -1.0))
        incoming = torch.zeros_like(joint.weight[:1]).expand(count, *joint.weight.shape[1:])
        return (joint.widen(incoming, outgoing, joint.weight.new_full((count,), self.offset)),)

    def _unheard(
        self, now: Situation, joint: "Joint", count: int, batch: "tuple[Tensor, Tensor]", rows: "Tensor"
    ) -> "Sequence[Edit]":
        """New units of zero outgoing weights, the best of some."""
        import torch

        from harness.sizing.criteria.mixed import gradient_norms, random_directions
        from harness.sizing.criteria.newcomers import averages

        norm = joint.listening_norm()
        drawn = random_directions(joint.weight, max(count, self.draws * count), norm, now.generator)
        leading = torch.nn.functional.normalize(rows[:count]) * norm
        tried = torch.cat([leading, -leading, drawn])
        held = averages(now.network, joint, joint.widen(tried, {}), batch[0], as_identity=False)
        norms = gradient_norms(now.network, joint, now.probe, *batch, tried, held)
        best = norms.argsort(descending=True, stable=True)[:count]
        return (joint.widen(tried[best], {}, None, {path: own[best] for path, own in held.items()}),)
