"""Taking units out: which go, what is folded, and the cut itself."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from harness.surgery.changes.draft import Draft
from harness.surgery.changes.seen import Places
from harness.surgery.edits import Remove
from harness.surgery.masking import MASK_SUFFIX, mask_at
from harness.surgery.operations.norms import keep_norms
from harness.surgery.operations.resize import fit_attributes, follow_bound, follow_sizes
from harness.surgery.operations.silence import Fold, contribution, judge
from harness.surgery.tracing.computed import weight_at
from harness.surgery.tracing.example import Example
from harness.surgery.tracing.follow import follow, run
from harness.surgery.tracing.labels import Labels
from harness.surgery.tracing.paths import layer_of, module_at
from harness.surgery.tracing.tracer import Tracer
from harness.surgery.tracing.units import chosen, head_labels, unit_labels

_SQUEEZED = "stays, because a squeeze() behind it would take a single unit's axis away"


@dataclass(slots=True)
class Removal:
    """What a series of `Remove` comes to: classes that go, folds, layers that lose units, refusals.

    forced: those of the classes that still vary, and go as if they were held at zero.
    """

    roots: Labels
    folds: list[Fold]
    removed: dict[str, int]
    refused: dict[str, str] = field(default_factory=dict)
    emptied: tuple[str, ...] = ()
    forced: Labels = field(default_factory=lambda: np.empty(0, dtype=np.int64))


def plan_removal(tracer: Tracer, network: nn.Module, edits: Sequence[Remove]) -> Removal:
    """Decide what a series of `Remove` takes out, all of them speaking of the network as it is now.

    Raises:
        SurgeryError: for a layer or unit that does not exist.
    """
    frozen = tracer.coupling.frozen()
    asked: dict[int, tuple[str, bool]] = {}
    refused: dict[str, str] = {}
    for edit in edits:
        classes = tracer.coupling.roots(unit_labels(tracer, network, edit.layer))
        for root in chosen(classes, edit.layer, edit.units).tolist():
            if root in frozen:
                refused[edit.layer] = frozen[root]
            else:
                exact = asked.get(root, (edit.layer, True))[1] and edit.exact
                asked[root] = (edit.layer, exact)
    going, folds, forced = _settle(tracer, network, asked, refused)
    removed, emptied = _losses(tracer, network, going)
    return Removal(going, folds, removed, refused, emptied, forced)


def _settle(
    tracer: Tracer, network: nn.Module, asked: dict[int, tuple[str, bool]], refused: dict[str, str]
) -> tuple[Labels, list[Fold], Labels]:
    """Drop what must stay until what is left can go; a class that stays may listen to others that go."""
    held = None
    forced: set[int] = set()
    while True:
        going = np.array(sorted(asked), dtype=np.int64)
        judgement = judge(tracer, network, going, held)
        stay = dict(judgement.refused)
        fresh = {root for root in judgement.varying if not asked[root][1] and root not in forced}
        for root in judgement.varying.keys() - fresh:
            why = judgement.varying[root] if asked[root][1] else "cannot be held at a constant"
            stay.setdefault(root, why)
        if not stay and not fresh:
            last = _last_squeezed(tracer, going)
            if last is None:
                return going, judgement.folds, np.array(sorted(forced), dtype=np.int64)
            stay = {last: _SQUEEZED}
        for root, reason in stay.items():
            refused[asked.pop(root)[0]] = reason
        forced = (forced | fresh) & asked.keys()
        held = tracer.coupling.members(np.array(sorted(forced), dtype=np.int64)) if forced else None


def _last_squeezed(tracer: Tracer, going: Labels) -> int | None:
    """A class that must stay lest a `squeeze` finds a single unit, and takes its axis for none."""
    if not tracer.squeezed:
        return None
    gone = tracer.coupling.members(going)
    for labels in tracer.squeezed:
        if len(labels) - gone[labels].sum() == 1:
            return int(tracer.coupling.roots(labels[gone[labels]]).max())
    return None


def _losses(tracer: Tracer, network: nn.Module, going: Labels) -> tuple[dict[str, int], tuple[str, ...]]:
    removed, emptied = {}, []
    members = tracer.coupling.members(going)
    for layer in tracer.producers:
        gone = members[unit_labels(tracer, network, layer)]
        if gone.any():
            removed[layer] = int(gone.sum())
        if gone.all() and len(gone):
            emptied.append(layer)
    return removed, tuple(emptied)


def cut(draft: Draft, tracer: Tracer, removal: Removal) -> None:
    """Fold constants and slice every tensor, mask and module attribute."""
    for fold in removal.folds:
        _fold(draft, fold)
    gone = tracer.coupling.members(removal.roots)
    keep_norms(draft, tracer, gone)
    touched: dict[str, None] = {}
    for path, starts in tracer.starts.items():
        keep: dict[int, Tensor] = {}
        for axis, start in enumerate(starts):
            lost = gone[start : start + tracer.tensors[path].shape[axis]]
            if lost.any():
                positions = torch.from_numpy(np.flatnonzero(~lost))
                device = tracer.tensors[path].device
                # A tensor without memory has positions that can be read nevertheless.
                keep[axis] = positions if device.type == "meta" else positions.to(device)
        if keep:
            draft.change(path, Slice(keep))
            touched[layer_of(path)] = None
    for fold in removal.folds:
        if fold.read.weight is not None and fold.read.bias is None and fold.read.norm is None:
            _cut_new_bias(draft, fold.read.weight, fold.read.out_axis, tracer, gone)
    for layer in touched:
        module = module_at(draft.network, layer)
        heads = None
        if isinstance(module, nn.MultiheadAttention):
            heads = np.flatnonzero(~gone[head_labels(tracer, f"{layer}.", module)[0, :, 0]]).tolist()
        fit_attributes(draft, layer, heads, smaller_groups=_groups_are_smaller(module, layer, tracer, gone))
    for fit in tracer.fits:
        lost = gone[tracer.labels(fit.path, fit.axis)]
        if lost.any():
            follow_sizes(draft, fit, len(lost), int((~lost).sum()))
    for bound in tracer.bounds:
        follow_bound(draft, bound, int(gone[bound.labels].sum()))


def _groups_are_smaller(
    module: nn.Module, layer: str, tracer: Tracer, gone: np.typing.NDArray[np.bool_]
) -> bool:
    """Whether parts of groups of a group normalisation are gone, and not whole ones."""
    if not isinstance(module, nn.GroupNorm):
        return False
    lost = gone[tracer.labels(f"{layer}.weight", 0)].reshape(module.num_groups, -1)
    return bool((lost.all(axis=1) != lost.any(axis=1)).any())


class Slice:
    """Keep some positions of some axes."""

    def __init__(self, keep: dict[int, Tensor]) -> None:
        self._keep = keep

    def __call__(self, tensor: Tensor) -> Tensor:
        for axis, positions in self._keep.items():
            tensor = tensor.index_select(axis, positions.to(tensor.device))
        return tensor

    def places(self, before: tuple[Places, ...]) -> tuple[Places, ...]:
        """What stands where afterwards, on each axis."""
        return tuple(
            own[self._keep[axis].cpu().numpy()] if axis in self._keep else own
            for axis, own in enumerate(before)
        )


def _fold(draft: Draft, fold: Fold) -> None:
    assert fold.read.weight is not None
    layer = layer_of(fold.read.weight)
    added = [contribution(fold, weight_at(target, fold.read.weight)) for target in draft.targets]
    if fold.read.bias is not None:
        draft.shift(fold.read.bias, added)
        _let_go(draft, fold.read.bias, added[0] != 0)
    elif fold.read.norm is not None:
        draft.shift(fold.read.norm, [-value for value in added])
    else:
        weight = draft.tensor(fold.read.weight)
        draft.add_parameter(f"{layer}.bias", [value.to(weight.dtype) for value in added], fold.read.weight)


def _let_go(draft: Draft, bias: str, entries: Tensor) -> None:
    """Unmask entries of a bias that a constant was folded into: held at zero they would lose it."""
    keep = mask_at(draft.network, bias)
    if keep is not None and (entries & ~keep).any():
        draft.change(bias + MASK_SUFFIX, lambda old: old | entries.to(old.device))


def _cut_new_bias(
    draft: Draft, weight: str, out_axis: int, tracer: Tracer, gone: np.typing.NDArray[np.bool_]
) -> None:
    lost = gone[tracer.labels(weight, out_axis)]
    if lost.any():
        path = f"{layer_of(weight)}.bias"
        draft.change(path, Slice({0: torch.from_numpy(np.flatnonzero(~lost))}))


def differing(removal: Removal) -> dict[str, bool]:
    """Layers into which a constant is folded -> whether it is another one in training mode."""
    layers: dict[str, bool] = {}
    for fold in removal.folds:
        layer = layer_of(fold.read.weight or "")
        differs = bool((fold.values[0] != fold.values[1]).any())
        layers[layer] = layers.get(layer, False) or differs
    return layers


def verified(tracer: Tracer, removal: Removal, network: nn.Module, example: Example) -> bool:
    """Whether a network that has been cut still couples what is left as it did before.

    Only reshapes and splits can couple other units than before without an error; where none of them was
    met by what is gone, it is enough that the network runs. Of `alone_after` nothing is said.
    """
    if not meets_reshapes(tracer, removal):
        run(network, example)
        return True
    gone = tracer.coupling.members(removal.roots)
    after = follow(network, example, tracer.rules, tracer.avoided)
    own = [(path, axis) for path, starts in tracer.starts.items() for axis in range(len(starts))]
    count = sum(sum(tracer.tensors[path].shape) for path in tracer.starts)
    staying = ~gone[:count]
    now = np.concatenate([after.labels(path, axis) for path, axis in own])
    if len(now) != staying.sum():
        return False
    # A class is named by the first of its labels; which is the first does not change by a cut.
    renamed = np.empty(count, dtype=np.int64)
    renamed[staying] = now
    alone = tracer.coupling.members(alone_after(tracer, removal.roots))[:count][staying]
    expected = renamed[tracer.coupling.classes()[:count][staying]]
    return np.array_equal(expected[~alone], after.coupling.roots(now)[~alone])


def alone_after(tracer: Tracer, roots: Labels) -> Labels:
    """Classes that would be all that is left on a part of a split axis if some went.

    A part of one is no axis of units any more, so what is coupled says nothing about them: numbers must.
    """
    gone = tracer.coupling.members(roots)
    left = [
        np.unique(tracer.coupling.roots(choice.own[~gone[choice.own]]))
        for choice in tracer.choices
        if choice.chosen is not None and gone[choice.own].any()
    ]
    return np.concatenate([np.empty(0, dtype=np.int64), *(own for own in left if len(own) == 1)])


def meets_reshapes(tracer: Tracer, removal: Removal) -> bool:
    """Whether some of what goes lies on an axis that is reshaped or split."""
    gone = tracer.coupling.members(removal.roots)
    return any(gone[labels].any() for labels in tracer.rigid)
