"""Loss and score of a network on a part of the data."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from harness.datasets.base import Part
from harness.objectives.base import Objective
from harness.training.fault import strangers

#: Examples at once; where one has more values than so many, fewer, or its activations would fill a memory.
_BATCH, _LARGE_VALUES, _LARGE_BATCH = 4096, 1 << 15, 128


def evaluate(network: nn.Module, part: Part, objective: Objective) -> tuple[float, float]:
    """Mean loss and score in evaluation mode, in float32; the network's mode is given back.

    Raises:
        TrialFaultError: for whatever the network raises, and if its output cannot be scored.
    """
    return read(totals(network, part, objective).tolist(), len(part), objective)


def totals(network: nn.Module, part: Part, objective: Objective) -> Tensor:
    """[1 + k], float64, on the part's device: the sum of the losses, then of the score's statistics.

    Nothing is read back to the host. Raises as `evaluate` does.
    """
    was_training = network.training
    loss = torch.zeros((), dtype=torch.float64, device=part.y.device)
    statistics: Tensor | None = None
    with strangers, torch.inference_mode():
        network.eval()
        size = _BATCH if part.x.shape[1:].numel() <= _LARGE_VALUES else _LARGE_BATCH
        for start in range(0, len(part), size):
            y = part.y[start : start + size]
            outputs = network(part.x[start : start + size])
            loss += objective.loss(outputs, y, "sum")
            more = objective.statistics(outputs, y)
            statistics = more if statistics is None else statistics + more
        if was_training:
            network.train()
        assert statistics is not None, "a part has examples"
        return torch.cat([loss.reshape(1), statistics.reshape(-1)])


def read(totals: Sequence[float], examples: int, objective: Objective) -> tuple[float, float]:
    """Mean loss and score from what `totals` gave, on the host.

    Raises:
        TrialFaultError: if the score cannot be told from it.
    """
    with strangers:
        return totals[0] / examples, objective.score_from(totals[1:], examples)
