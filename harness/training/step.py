"""One optimizer step, with all that the study and the method add to it."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from harness import surgery
from harness.datasets.augmentation import Batch
from harness.objectives.base import Objective
from harness.objectives.mixture import batch_loss
from harness.records.plain_text import message_of
from harness.sizing.base import SizingMethod
from harness.sizing.gates.units import gate_parameters
from harness.study.optimizers import OPTIMIZERS
from harness.training.fault import strangers
from harness.training.precision import Precision, casting


@dataclass(frozen=True, slots=True)
class StepSettings:
    """What every step of a training has in common.

    optimizer: a class name of torch.optim with its options. precision: what outputs and losses are computed
    in; scores are always taken in float32. gradient_clip: the largest norm of the whole gradient, the
    penalty's part included; None for any. compiled: have torch compile the network once its structure has
    stood for an epoch.
    """

    optimizer: str
    optimizer_options: Mapping[str, Any]
    precision: Precision = "float32"
    gradient_clip: float | None = None
    compiled: bool = False


class Step:
    """Steps of one network under one optimizer; `structure_changed` after every edit."""

    def __init__(
        self,
        settings: StepSettings,
        method: SizingMethod,
        objective: Objective,
        network: nn.Module,
        numbers: Mapping[str, Tensor],
        device: torch.device,
        note: Callable[[str], None],
    ) -> None:
        """note: is told in a sentence what a record should say of how it went."""
        self._settings, self._method, self._objective = settings, method, objective
        self._network, self._numbers, self._note = network, numbers, note
        self._casting = casting(settings.precision, device)
        self._may_compile = settings.compiled
        # What a method leaves as it inherits it costs its steps nothing.
        self._has_after_step = getattr(type(method), "after_step", None) is not SizingMethod.after_step
        with strangers:  # torch refuses networks that it cannot train
            self.optimizer = _make_optimizer(settings, network)
        self.structure_changed()

    def structure_changed(self) -> None:
        """Look again at what depends on the structure."""
        self.tensors = dict(self._network.named_parameters())
        self.all_tensors = self.tensors | dict(self._network.named_buffers())
        self._masked = surgery.masked_parameters(self._network)
        self._forward: Callable[[Tensor], Tensor] = self._network

    def structure_stood(self) -> None:
        """An epoch has passed without a change of the structure."""
        if not self._may_compile or self._forward is not self._network:
            return
        compiled = torch.compile(self._network)

        def forward(x: Tensor) -> Tensor:
            try:
                outputs: Tensor = compiled(x)
                return outputs
            except Exception as error:  # noqa: BLE001 - whatever a compiler may raise
                # What is the network's own, it raises again here.
                outputs = self._network(x)
                said = " ".join(message_of(error).split())
                self._note(f"could not be compiled, so it was trained as it is: {said:.300}")
                self._may_compile, self._forward = False, self._network
                return outputs

        self._forward = forward

    def set_rates(self, learning_rate: float, weight_decay: float) -> None:
        """Rate and decay of the steps to come."""
        self._learning_rate = learning_rate
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
            group["weight_decay"] = weight_decay * group["decays"]

    def set_rate(self, learning_rate: float) -> None:
        """Rate of the next step."""
        self._learning_rate = learning_rate
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate

    def __call__(self, batch: Batch) -> Tensor:
        """Make a step; the mean loss of the batch, without the penalty and without its graph: a scalar.

        Raises:
            TrialFaultError: for whatever the method or the network raises.
        """
        method, optimizer = self._method, self.optimizer
        with strangers:
            optimizer.zero_grad(set_to_none=True)
            with self._casting:
                loss = batch_loss(self._objective, self._forward(batch.x), batch)
            gradients = method.penalty_gradient(self.tensors, self._numbers)
            if gradients is None:
                penalty = method.penalty(self.tensors, self._numbers)
                (loss if penalty is None else loss + penalty).backward()
            else:
                loss.backward()
                self._add(gradients)
            if self._settings.gradient_clip is not None:
                nn.utils.clip_grad_norm_(self.tensors.values(), self._settings.gradient_clip)
            optimizer.step()
            if self._has_after_step:
                with torch.no_grad():
                    changed = method.after_step(self.all_tensors, self._numbers, self._learning_rate)
                    for name, value in changed.items():
                        self.all_tensors[name].copy_(value)
        if self._masked:
            surgery.hold(self._masked)
        return loss.detach()

    def _add(self, gradients: Mapping[str, Tensor]) -> None:
        for name, gradient in gradients.items():
            parameter = self.tensors[name]
            if parameter.grad is None:
                parameter.grad = gradient.clone()
            else:
                parameter.grad.add_(gradient)


def _make_optimizer(settings: StepSettings, network: nn.Module) -> torch.optim.Optimizer:
    """Gates in a group of their own, which weight decay does not touch."""
    gate_names = gate_parameters(network)
    groups: list[dict[str, Any]] = [{"params": [], "decays": 1.0}, {"params": [], "decays": 0.0}]
    for name, parameter in network.named_parameters():
        groups[name in gate_names]["params"].append(parameter)
    options = copy.deepcopy(dict(settings.optimizer_options))
    if OPTIMIZERS[settings.optimizer].is_fused:
        options["fused"] = True
    kind: type[torch.optim.Optimizer] = getattr(torch.optim, settings.optimizer)
    return kind([group for group in groups if group["params"]], **options)
