"""How a gate acts on its unit, and when it is dead."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional


class GateRule(Protocol):
    """What a gate does."""

    def factor(self, gate: Tensor) -> Tensor:
        """[units]: what each unit is multiplied by."""
        ...

    def dead(self, gate: Tensor) -> Tensor:
        """[units], bool: which units multiply to nothing, and may be removed."""
        ...

    def memory(self, gate: Tensor) -> Mapping[str, Tensor]:
        """Buffers that a layer keeps beside its gates at the start: name -> [units]."""
        ...


@dataclass(frozen=True, slots=True)
class Rectified:
    """max(0, gate) (*ShrinkNets*). A dead gate gets no gradient, but momentum may still revive it."""

    def factor(self, gate: Tensor) -> Tensor:
        """max(0, gate)."""
        return functional.relu(gate)

    def dead(self, gate: Tensor) -> Tensor:
        """At or below zero; NaN is alive, so that a diverged network is not taken for a small one."""
        return gate <= 0

    def memory(self, gate: Tensor) -> Mapping[str, Tensor]:
        """None."""
        return {}


@dataclass(frozen=True, slots=True)
class Debounced:
    """The gate itself, of either sign, until it has crossed zero and stayed there (the code of *ShrinkNets*).

    `debounce`, called after every optimizer step, follows the signs and holds a gate at zero for good once
    they have changed for long enough.
    """

    def factor(self, gate: Tensor) -> Tensor:
        """The gate."""
        return gate

    def dead(self, gate: Tensor) -> Tensor:
        """At zero, where `debounce` holds it."""
        return gate == 0

    def memory(self, gate: Tensor) -> Mapping[str, Tensor]:
        """Mean and spread of the signs so far, and whether a unit is alive (1.0) or held at zero (0.0)."""
        return {
            "gate_sign_mean": gate.sign(),
            "gate_sign_spread": torch.zeros_like(gate),
            "gate_alive": torch.ones_like(gate),
        }


@dataclass(frozen=True, slots=True)
class Inverse:
    """What undoes the factor of another rule; 1 where that is zero, and nothing is left to be undone."""

    rule: GateRule

    def factor(self, gate: Tensor) -> Tensor:
        """1 / factor of the other rule."""
        undone = self.rule.factor(gate)
        return 1 / torch.where(undone == 0, 1.0, undone)

    def dead(self, gate: Tensor) -> Tensor:
        """As the other rule."""
        return self.rule.dead(gate)

    def memory(self, gate: Tensor) -> Mapping[str, Tensor]:
        """None: the gate's own layer has it."""
        return {}


def debounce(tensors: Mapping[str, Tensor], decay: float = 0.99, threshold: float = 0.5) -> dict[str, Tensor]:
    """New values of debounced gates and their memory after an optimizer step. Pure.

    With s = sign(gate): the spread of signs becomes decay * spread + (1 - decay) * (s - mean)^2, the mean
    decay * mean + (1 - decay) * s, and a gate whose spread exceeds the threshold is held at zero from then
    on. A gate that crosses zero for good dies after 1, 2, 16 or 159 steps for a decay of 0, 0.9, 0.99 or
    0.999.

    Args:
        tensors: the network's named parameters and buffers.
        decay: of the running mean and spread, in [0, 1).
        threshold: of the spread.

    Returns:
        Path -> new value, for the gates, means, spreads and alive flags of all debounced layers.
    """
    changed: dict[str, Tensor] = {}
    for path, mean in tensors.items():
        if not path.endswith("gate_sign_mean"):
            continue
        prefix = path.removesuffix("_sign_mean")
        gate, spread, alive = tensors[prefix], tensors[f"{prefix}_sign_spread"], tensors[f"{prefix}_alive"]
        sign = gate.sign()
        spread = decay * spread + (1 - decay) * (sign - mean).square()
        alive = alive * (spread <= threshold).to(alive.dtype)
        changed[path] = decay * mean + (1 - decay) * sign
        changed[f"{prefix}_sign_spread"] = spread
        changed[f"{prefix}_alive"] = alive
        changed[prefix] = gate * alive
    return changed
