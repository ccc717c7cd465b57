"""Trying removals out by numbers: what a network computes must not change when units that nobody hears go.

Rules follow units through operations, but not widths through a network's own code: a factor of one over a
width, a view with a literal size, values that leave PyTorch and come back. So units are silenced in a scratch
state of the network, cut, and the outputs compared. The state has values of its own where the network's show
nothing (a branch multiplied by zero), and is in double precision where the network runs in that.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from harness.surgery.certificate import BY_BATCH, EVALUATION, TRAINING, Answer, answer, difference
from harness.surgery.changes.draft import Draft
from harness.surgery.errors import SurgeryError
from harness.surgery.operations.removal import Removal, cut, meets_reshapes, verified
from harness.surgery.rounding import beyond_rounding
from harness.surgery.tracing.computed import holds_weights
from harness.surgery.tracing.example import Example, floating, tensors, twice
from harness.surgery.tracing.follow import quiet
from harness.surgery.tracing.labels import Labels
from harness.surgery.tracing.scratch import scratch
from harness.surgery.tracing.tracer import Tracer

RESHAPED = "reshaped in code that was written for fixed sizes"

_Value = Callable[[Tensor, torch.Generator], Tensor]


@dataclass(slots=True)
class Trial:
    """A network in a scratch state in which some classes of units are silent, and what it gives there.

    before: mode -> answer, for the modes in which numbers tell something. structural: whether there are
    others, in which what is coupled after a cut must tell.
    """

    tracer: Tracer
    network: nn.Module
    example: Example
    before: dict[str, Answer]
    structural: bool

    def fails(self, roots: Labels) -> str | None:
        """Why some of the silenced classes cannot be cut out; None if the output is what it was."""
        draft, removal = Draft(self.network, None), Removal(roots, [], {})
        cause = None
        try:
            cut(draft, self.tracer, removal)
            for mode, before in self.before.items():
                after = answer(self.network, self.example, mode, seed=0)
                change = beyond_rounding(self.network, self.example, mode, before, after)
                if change is not None:
                    cause = (
                        f"needed by arithmetic that cannot be followed: without silent units, the output "
                        f"changes by {change:.2g} of its scale"
                    )
                    break
            if cause is None and self.structural:
                pairs = verified(self.tracer, removal, self.network, self.example)
                cause = None if pairs else RESHAPED
        except SurgeryError as error:
            said = " ".join(str(error.__cause__ or error).split())
            cause = f"met by code that was written for a fixed size ({said:.160})"
        finally:
            draft.rollback()
        return RESHAPED if cause is not None and meets_reshapes(self.tracer, removal) else cause


@contextmanager
def trial(tracer: Tracer, network: nn.Module, example: Example, roots: Labels) -> Iterator[Trial]:
    """Silence classes of units for a while; at the end the network is as it was, to the bit.

    Args:
        tracer: what a forward pass has shown.
        network: the network it was shown of.
        example: as for `trace`.
        roots: the classes.
    """
    example = twice(example)
    states: tuple[tuple[bool, _Value], ...] = ((True, _enlivened), (True, _opened), (False, _enlivened))
    with quiet(network), torch.no_grad():
        for number, (wide, value) in enumerate(states):
            own = floating(example, Tensor.double) if wide else example
            with scratch(network, _silenced(tracer, network, roots, value, wide)):
                try:
                    before, structural = _before(network, own)
                except SurgeryError:  # it does not run in double precision, or on such values
                    if number + 1 == len(states):
                        raise
                    continue
                if before or number + 1 == len(states):
                    yield Trial(tracer, network, own, before, structural)
                    return


def _before(network: nn.Module, example: Example) -> tuple[dict[str, Answer], bool]:
    """What a network gives in each mode in which that tells something, and whether there is another mode."""
    before, structural = {}, False
    for mode in (EVALUATION, TRAINING):
        for own in (mode, BY_BATCH) if mode == TRAINING else (mode,):
            known = answer(network, example, own, seed=0)
            # What is drawn may be other numbers for another size.
            settled = not known.drawn or difference(known, answer(network, example, own, seed=1)) == 0
            if settled and _tells(known, example):
                before[own] = known
                break
            structural = True
    return before, structural


def _tells(known: Answer, example: Example) -> bool:
    """Whether an answer depends on the example, as far as that can be seen: its entries differ."""
    batch = next((tensor.shape[0] for tensor in tensors(example) if tensor.dim()), 0)
    if not _differ(tensors(example), batch):
        return any(bool((tensor != 0).any()) for tensor in known.tensors)
    own = [tensor for tensor in known.tensors if tensor.is_floating_point() and tensor.isfinite().any()]
    split = [tensor for tensor in own if tensor.dim() and tensor.shape[0] == batch]
    return _differ(split, batch) if split else any(bool((tensor != 0).any()) for tensor in own)


def _differ(some: list[Tensor], batch: int) -> bool:
    return any(
        bool((tensor[:1] != tensor[1:]).any()) for tensor in some if tensor.dim() and tensor.shape[0] == batch
    )


def _silenced(
    tracer: Tracer, network: nn.Module, roots: Labels, value: _Value, wide: bool
) -> Callable[[Tensor], Tensor]:
    """Values for a scratch state: whatever units of some classes hold is zero."""
    paths = {id(own): path for path, own in (*network.named_buffers(), *network.named_parameters())}
    generator = torch.Generator().manual_seed(0)
    members = tracer.coupling.members(roots)

    def scratched(own: Tensor) -> Tensor:
        new = own.detach().clone()
        if not (own.is_floating_point() or own.is_complex()):
            return new
        if wide:
            new = new.to(torch.complex128 if own.is_complex() else torch.float64)
        path = paths[id(own)]
        if not holds_weights(own) or path not in tracer.starts:
            return new
        new = value(new, generator) if isinstance(own, nn.Parameter) else new
        normed = tracer.normed.get(path)
        for axis in range(new.dim()) if normed is None else normed.silencing:
            gone = members[tracer.labels(path, axis)]
            if gone.any():
                new.index_fill_(axis, torch.from_numpy(np.flatnonzero(gone)).to(new.device), 0)
        return new

    return scratched


def _enlivened(own: Tensor, generator: torch.Generator) -> Tensor:
    """A parameter's values, or others where they show nothing: all the same (zeros, ones), as some start."""
    first = own.reshape(-1)[:64]
    if not len(first) or bool((first != first[0]).any()) or bool((own != first[0]).any()):
        return own
    drawn = torch.rand(own.shape, generator=generator, dtype=torch.float64).to(own)
    if own.dim() < 2:
        return own * (1 + 0.2 * drawn) + 0.1 * drawn
    return own + (drawn - 0.5) / math.sqrt(max(1, own[0].numel()))


def _opened(own: Tensor, generator: torch.Generator) -> Tensor:
    """Positive values of a size that keeps signals what they are: every path lets something through."""
    drawn = torch.rand(own.shape, generator=generator, dtype=torch.float64).to(own) + 0.5
    return drawn / max(1, own[0].numel()) if own.dim() > 1 else drawn
