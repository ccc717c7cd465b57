"""Holds an objective against the contract in `harness.objectives.base`."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from harness import registry
from harness.datasets.base import DatasetFacts
from harness.objectives.base import Objective
from harness.testing.findings import Finding, found

_EXAMPLES = 48
#: Data sets to try, in this order: classes, two classes, yes or no, a number, three numbers.
_CLASSES = DatasetFacts("tried", (6,), 8, _EXAMPLES, _EXAMPLES, "f")
_NUMBERS = replace(_CLASSES, outputs=3, target="numbers", target_shape=(3,))
_FACTS = (
    _CLASSES,
    replace(_CLASSES, outputs=2),
    replace(_NUMBERS, constant_scores={"binary_accuracy": 0.5}),
    replace(_NUMBERS, outputs=1, target_shape=()),
    _NUMBERS,
)


def check_objective(name: str, options: Mapping[str, Any] | None = None) -> list[Finding]:
    """Every rule an objective must keep, and whether the one of that name does.

    Raises:
        UnknownNameError, ValueError: if there is no such objective, or it does not take the options.
    """
    objective = registry.make_objective(name, dict(options or {}))
    facts = _first_suited(objective)
    if facts is None:
        return [Finding("check: some kind of targets suits", "none does, of classes and numbers")]
    outputs, y = _example(objective, facts)
    return [
        found("check: some kind of targets suits", lambda: ""),
        found("loss: a finite scalar with a gradient", lambda: _loss(objective, outputs, y)),
        found("loss: mean, sum and one an example agree", lambda: _reductions(objective, outputs, y)),
        found("score: the same however batches fall", lambda: _batches(objective, outputs, y)),
        found("score: finite, and its direction is told", lambda: _score(objective, outputs, y)),
    ]


def _first_suited(objective: Objective) -> DatasetFacts | None:
    for facts in _FACTS:
        try:
            objective.check(facts)
        except ValueError:
            continue
        return facts
    return None


def _example(objective: Objective, facts: DatasetFacts) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    outputs = torch.randn(_EXAMPLES, objective.outputs(facts), generator=generator)
    if facts.target == "classes":
        return outputs, torch.arange(_EXAMPLES) % facts.outputs
    y = torch.randn(_EXAMPLES, *facts.target_shape, generator=generator)
    return outputs, (y > 0).float() if facts.constant_scores else y


def _loss(objective: Objective, outputs: Tensor, y: Tensor) -> str:
    given = outputs.clone().requires_grad_()
    loss = objective.loss(given, y)
    if loss.shape != () or not torch.isfinite(loss):
        return f"found {loss!r:.80}"
    [gradient] = torch.autograd.grad(loss, [given])
    return "" if bool(torch.isfinite(gradient).all() and gradient.any()) else "its gradient is zero or none"


def _reductions(objective: Objective, outputs: Tensor, y: Tensor) -> str:
    mean, total = objective.loss(outputs, y), objective.loss(outputs, y, "sum")
    each = objective.loss(outputs, y, "none")
    if each.shape != (len(y),):
        return f"one an example has shape {tuple(each.shape)}, ({len(y)},) is needed"
    if torch.allclose(each.mean(), mean, rtol=1e-4) and torch.allclose(each.sum(), total, rtol=1e-4):
        return ""
    return f"mean {float(mean):g}, sum {float(total):g}, of one an example {each.tolist()[:3]}"


def _batches(objective: Objective, outputs: Tensor, y: Tensor) -> str:
    whole = objective.statistics(outputs, y)
    if whole.dtype != torch.float64 or whole.dim() != 1:
        return f"statistics are {whole.dtype} of shape {tuple(whole.shape)}; float64 [k] is needed"
    parts = [objective.statistics(outputs[i : i + 7], y[i : i + 7]) for i in range(0, len(y), 7)]
    apart = torch.stack(parts).sum(0)
    one, other = (objective.score_from(each.tolist(), len(y)) for each in (whole, apart))
    return "" if abs(one - other) <= 1e-6 * max(1.0, abs(one)) else f"{one:g} at once, {other:g} in batches"


def _score(objective: Objective, outputs: Tensor, y: Tensor) -> str:
    score = objective.score_from(objective.statistics(outputs, y).tolist(), len(y))
    if not isinstance(score, float) or not math.isfinite(score):
        return f"found {score!r:.80}"
    better = score + 1.0 if objective.higher_is_better else score - 1.0
    if not objective.is_better(better, score) or objective.is_better(score, score):
        return "`is_better` says other than `higher_is_better`"
    return "" if objective.score_name else "the score has no name"
