"""Loss and accuracy of a network on a part of the data."""

import torch
from torch import nn
from torch.nn import functional

from harness.datasets.base import Part
from harness.training.fault import strangers

_BATCH = 4096


def evaluate(network: nn.Module, part: Part) -> tuple[float, float]:
    """Mean cross-entropy and accuracy (0 to 1) in evaluation mode; the network's mode is given back.

    Raises:
        TrialFaultError: for whatever the network raises, and if its output cannot be scored.
    """
    was_training = network.training
    loss = torch.zeros((), dtype=torch.float64, device=part.y.device)
    correct = torch.zeros((), dtype=torch.int64, device=part.y.device)
    with strangers, torch.inference_mode():
        network.eval()
        for start in range(0, len(part), _BATCH):
            y = part.y[start : start + _BATCH]
            outputs = network(part.x[start : start + _BATCH])
            loss += functional.cross_entropy(outputs, y, reduction="sum")
            correct += (outputs.argmax(1) == y).sum()
        network.train(was_training)
    return float(loss) / len(part), int(correct) / len(part)
