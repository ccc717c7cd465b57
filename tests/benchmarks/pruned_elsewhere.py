"""The same networks under Torch-Pruning's graph, as it comes: a quarter of every group silenced and cut."""

import copy
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import torch
from torch import nn

from tests.surgery.trial import both_modes, change
from tests.surgery.zoo import Example

_TOLERANCE = 1e-10
#: Its search of a graph does not always end.
_SECONDS = 60


def verdict(network: nn.Module, example: Example, outputs: set[str]) -> str | None:
    """What becomes of a network: "exact", "silent", "breaks", "refused" or "nothing"; None if not installed.

    Args:
        network: in double precision; left as it is.
        example: a batch of its input.
        outputs: paths of layers that make its output; they are told not to be cut.
    """
    try:
        import torch_pruning
    except ImportError:
        return None
    try:
        with _in_time():
            return _verdict(torch_pruning, copy.deepcopy(network).eval(), example, outputs)
    except TimeoutError:
        return "refused"


@contextmanager
def _in_time() -> Iterator[None]:
    def ring(number: int, frame: FrameType | None) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(_SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _verdict(torch_pruning: Any, network: nn.Module, example: Example, outputs: set[str]) -> str:
    kept = [network.get_submodule(path) for path in outputs]
    try:
        graph = torch_pruning.DependencyGraph().build_dependency(network, example_inputs=example)
        roots = [
            (group[0].dep.target.module, group[0].dep.handler, list(range(0, len(group[0].idxs), 4)))
            for group in graph.get_all_groups(ignored_layers=kept)
            if len(group[0].idxs) > 1
        ]
        groups = [graph.get_pruning_group(*root) for root in roots]
    except Exception:  # noqa: BLE001 whatever it raises, it does not take the network
        return "refused"
    for group in groups:
        _silence(graph, group)
    before = both_modes(network, example)
    cut = 0
    try:
        for group in groups:
            if graph.check_pruning_group(group):
                group.prune()
                cut += 1
        after = both_modes(network, example)
    except Exception:  # noqa: BLE001 it took the network, and broke it
        return "breaks"
    if not cut:
        return "nothing"
    return "exact" if max(change(before, after)) <= _TOLERANCE else "silent"


@torch.no_grad()
def _silence(graph: Any, group: Any) -> None:
    """Put what makes or shifts the units of a group to zero."""
    for dependency, units in group:
        target = dependency.target.module
        if not graph.is_out_channel_pruning_fn(dependency.handler) or not isinstance(target, nn.Module):
            continue
        turned = isinstance(target, nn.modules.conv._ConvTransposeNd)
        for name, axis in (("weight", 1 if turned else 0), ("bias", 0)):
            held = getattr(target, name, None)
            if held is not None and held.dim() > 0 and max(units) < held.shape[axis]:
                held.movedim(axis, 0)[units] = 0
