"""What all gated layers share: how a gate is read, and for whom it acts.

A gated layer's weight *is* the multiplied one for whatever computes with it: its own forward pass, a module
above it that reads the weight itself (the fast path of `nn.TransformerEncoderLayer`, a tied decoder), a hook.
So a gated network computes in every mode what it computes once its gates are folded. Whoever reads the weight
while no module runs (an optimizer, surgery) gets the parameter.
"""

import sys
from collections.abc import Mapping
from types import FrameType
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn.utils import stateless

from harness.sizing.gates.rules import GateRule

_CALL = nn.Module._call_impl.__code__
_EXCHANGES = stateless._functional_call.__code__


def is_computing() -> bool:
    """Whether who reads an attribute of a layer does so in a forward pass, of whatever module."""
    if torch.compiler.is_compiling():
        return True
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        if _runs(frame):
            return True
        frame = frame.f_back
    return False


def _runs(frame: FrameType) -> bool:
    return frame.f_code is _CALL or frame.f_code.co_name == "forward"


class Gated:
    """What all gated layers share.

    gate: [units], a gate for each of its units. second_gate: the same for units of a second kind, where the
    layer makes two kinds of units; `second` is the parameter that these are named by. block_gate: a single
    number, the gate of the residual block whose branch ends in this layer. Each is None where the layer has
    none, and has the rule that says how it acts beside it. path_in_block: of the layer, within the block that
    its block_gate is of; None where it has none, or undoes that of another layer.

    per_unit: tensors of a layer that have one entry for each of its units -> what a unit that is put in
    later starts with. `harness.surgery` cuts and extends them together with the layer's rows. units_along:
    (parameter, axis) that has one position for each unit, by these tensors, where it is not the weight.

    undecayed: parameters that weight decay never touches. `harness.surgery` asks for them where it inserts a
    block.

    scaled, second_scaled: what the layer computes with and its gates multiply -> the tensor that they are
    folded into. unit_axis: the axis of the weight along which units lie. plain, kind: the layer's class
    without gates, and with them.
    """

    per_unit: ClassVar[Mapping[str, float]] = {
        f"{prefix}{name}": start
        for prefix in ("", "second_")
        for name, start in {
            "gate": 1.0,
            "gate_sign_mean": 1.0,
            "gate_sign_spread": 0.0,
            "gate_alive": 1.0,
        }.items()
    }
    undecayed: ClassVar[tuple[str, ...]] = ("gate", "second_gate", "block_gate")
    scaled: ClassVar[Mapping[str, str]] = {"weight": "weight", "bias": "bias"}
    second_scaled: ClassVar[Mapping[str, str]] = {}
    second: ClassVar[str | None] = None
    unit_axis: ClassVar[int] = 0
    plain: ClassVar[type[nn.Module]]
    kind: ClassVar[type[nn.Module]]
    gate: nn.Parameter | None
    gate_rule: GateRule
    second_gate: nn.Parameter | None
    second_gate_rule: GateRule
    block_gate: nn.Parameter | None
    block_gate_rule: GateRule
    path_in_block: str | None

    def factor(self) -> Tensor:
        """[units], or a single number where only the block is gated: what each unit is multiplied by.

        Raises:
            RuntimeError: if the layer runs with tensors that a module above it has put in place of its own.
        """
        self._check_own()
        gate, block_gate = self.gate, self.block_gate
        if block_gate is None:
            assert gate is not None
            return self.gate_rule.factor(gate)
        block = self.block_gate_rule.factor(block_gate)
        return block if gate is None else self.gate_rule.factor(gate) * block

    def second_factor(self) -> Tensor:
        """[units of the second kind]: what each is multiplied by."""
        self._check_own()
        assert self.second_gate is not None
        return self.second_gate_rule.factor(self.second_gate)

    def spread(self, factor: Tensor, like: Tensor) -> Tensor:
        """A factor in the shape in which it multiplies a tensor of the layer's: its weight, or its bias."""
        if not factor.dim() or like.dim() < 2:
            return factor
        return along(factor, like, self.unit_axis)

    def spread_second(self, factor: Tensor, like: Tensor) -> Tensor:
        """The same for units of the second kind, which lie along the other axis of the weight."""
        return along(factor, like, 1 - self.unit_axis)

    def multiplied(self, name: str, tensor: Tensor) -> Tensor:
        """A tensor of the layer's, by the name that it computes with it, times the gates that are on it."""
        if name in self.scaled and (self.gate is not None or self.block_gate is not None):
            tensor = tensor * self.spread(self.factor(), tensor)
        if name in self.second_scaled and self.second_gate is not None:
            tensor = tensor * self.spread_second(self.second_factor(), tensor)
        return tensor

    def targets(self) -> Mapping[str, str]:
        """What all of its gates multiply -> the tensor that they are folded into."""
        return {**self.scaled, **self.second_scaled}

    def units_along(self, name: str) -> tuple[str, int]:
        """(parameter, axis) that has a position for each of the units that an entry of `per_unit` is of."""
        return ("weight", 1 - self.unit_axis if name.startswith("second_") else self.unit_axis)

    def plain_tensor(self, name: str) -> Tensor | None:
        """What the plain layer has by this name."""
        module = cast(nn.Module, self)
        for own in (module._parameters, module._buffers, module.__dict__):
            if name in own:
                tensor: Tensor | None = own[name]
                return tensor
        made: Tensor | None = getattr(super(self.kind, self), name)  # computed by a parametrization
        return made

    def has_no_factor(self) -> bool:
        """Whether there is nothing that the gates could be folded into."""
        return all(self.plain_tensor(name) is None for name in self.targets())

    def gated_alike(self, other: nn.Module) -> nn.Module:
        """Gate a module that has been given all that this one has; `harness.surgery` asks for it."""
        from harness.sizing.gates.layers import gated_class

        other.__class__ = gated_class(type(other), tuple(self.scaled.items()))
        return other

    def __reduce__(self) -> Any:
        from harness.sizing.gates.layers import _blank

        second = None if self.second is None else (self.second, tuple(self.second_scaled.items()))
        made = (self.plain, tuple(self.scaled.items()), self.unit_axis, second)
        return _blank, made, cast(nn.Module, self).__getstate__()

    def _check_own(self) -> None:
        """See that no module above has put other tensors in place of the layer's own.

        What it has read of the layer to make them of may have been multiplied already, or not: nobody knows.
        """
        if torch.compiler.is_compiling():
            return
        frame: FrameType | None = sys._getframe(1)
        exchange: FrameType | None = None
        while frame is not None:
            if exchange is not None and _runs(frame):
                given = {id(tensor) for tensor in exchange.f_locals["parameters_and_buffers"].values()}
                own = cast(nn.Module, self)._parameters.values()
                if any(id(tensor) in given for tensor in own if tensor is not None):
                    raise RuntimeError(
                        f"A gated {self.plain.__name__} is run by functional_call within the forward pass of "
                        "another module, with tensors that may have its gates in them already; fold its "
                        "gates first, or gate another layer."
                    )
                exchange = None
            if frame.f_code is _EXCHANGES:
                exchange = frame
            frame = frame.f_back


def along(factor: Tensor, like: Tensor, axis: int) -> Tensor:
    """A factor [n] in the shape in which it multiplies an axis of a tensor."""
    for other in range(like.dim()):
        # Not by a view, which leaves open where the axis of a single unit comes to lie.
        factor = factor if other == axis else factor.unsqueeze(other)
    return factor


def multiplied(name: str) -> Any:
    """An attribute of a gated layer: multiplied by its gates for all that compute with it."""

    def read(self: Gated) -> Tensor | None:
        tensor = self.plain_tensor(name)
        if tensor is None or not is_computing():
            return tensor
        return self.multiplied(name, tensor)

    return property(read)
