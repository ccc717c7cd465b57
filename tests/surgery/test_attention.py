"""`nn.MultiheadAttention` with all its options loses heads and input units exactly, or says why not."""

from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from harness.surgery import Remove, apply, trace
from harness.surgery.changes.heads import HeadAttention
from tests.surgery.helpers import change, measure, removals, silence, some_classes

_HEADS = 4


class Asking(nn.Module):
    """Positions that ask a memory, or each other, through one attention."""

    def __init__(self, way: str, options: dict[str, Any], need_weights: bool = False) -> None:
        super().__init__()
        self.way, self.need_weights = way, need_weights
        width = 8
        self.positions = nn.Linear(6, width)
        self.memory = nn.Linear(6, options.get("kdim", width))
        self.attention = nn.MultiheadAttention(width, _HEADS, batch_first=True, **options)
        self.head = nn.Linear(width, 3)

    def forward(self, x: Tensor) -> Tensor:
        masks = {}
        if self.way == "masked":
            padding = torch.zeros(len(x), x.shape[1], dtype=torch.bool)
            padding[1, 3:] = True
            masks = {"key_padding_mask": padding, "attn_mask": torch.ones(5, 5).triu(1).bool()}
        if self.way == "masked by head":
            alone = torch.linspace(-1, 1, len(x) * _HEADS * 25, dtype=x.dtype).sin()
            masks = {"attn_mask": alone.view(len(x) * _HEADS, 5, 5)}
        queries, memory = self.positions(x), self.memory(x.tanh())
        if memory.shape == queries.shape and self.way != "other":
            memory = queries
        mixed, _ = self.attention(queries, memory, memory, need_weights=self.need_weights, **masks)
        out: Tensor = self.head(mixed)
        return out


_OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "bias_kv": {"add_bias_kv": True},
    "zero_attn": {"add_zero_attn": True},
    "both": {"add_bias_kv": True, "add_zero_attn": True},
    "widths": {"kdim": 6, "vdim": 6},
    "all": {"add_bias_kv": True, "add_zero_attn": True, "kdim": 6, "vdim": 6, "bias": False},
}


@pytest.mark.parametrize("options", _OPTIONS)
@pytest.mark.parametrize("way", ["other", "masked", "masked by head"])
@pytest.mark.parametrize("need_weights", [False, True])
def test_every_option_is_cut_exactly(options: str, way: str, need_weights: bool) -> None:
    torch.manual_seed(0)
    network = Asking(way, _OPTIONS[options], need_weights).double()
    x = torch.randn(3, 5, 6, dtype=torch.float64)
    structure = trace(network, x)
    classes = some_classes(structure)
    silence(network, structure, classes)
    before = measure(network, x)

    receipt = apply(network, None, removals(structure, classes), x)

    assert receipt.refused is None
    assert receipt.removed["attention"] == 1
    assert receipt.removed["positions"] == 2
    assert isinstance(network.attention, HeadAttention)
    assert max(change(before, measure(network, x))) <= 1e-12
    # And once more: the masks still are for as many heads as there were at first.
    apply(network, None, [Remove("attention", (1,))], x)
    assert network.attention.heads == (1, 3)
    assert network(x).shape == (3, 5, 3)


@pytest.mark.parametrize(("options", "need_weights"), [*product(_OPTIONS, [False, True])])
def test_a_lighter_attention_is_the_attention_that_it_was(options: str, need_weights: bool) -> None:
    torch.manual_seed(0)
    attention = nn.MultiheadAttention(8, _HEADS, **_OPTIONS[options]).double().eval()
    if not _OPTIONS[options].get("bias", True):
        assert attention.in_proj_bias is None
    x, memory = torch.randn(5, 3, 8).double(), torch.randn(4, 3, attention.kdim).double()
    alone = torch.randn(3 * _HEADS, 5, 4).double()
    padding = torch.zeros(3, 4, dtype=torch.bool)
    padding[1, 3:] = True
    lighter = HeadAttention.of(attention)
    masks: list[dict[str, Any]] = [
        {},
        {"attn_mask": alone},
        {"attn_mask": alone > 1.5, "key_padding_mask": padding},
        {"attn_mask": torch.ones(5, 4).triu(1).bool(), "is_causal": True},
    ]
    for own in masks:
        if need_weights and own.get("is_causal"):
            continue
        expected, weights = attention(x, memory, memory, need_weights=need_weights, **own)
        found, others = lighter(x, memory, memory, need_weights=need_weights, **own)
        assert torch.allclose(expected, found, atol=1e-12)
        assert weights is None or torch.allclose(weights, others, atol=1e-12)


class Louder(nn.MultiheadAttention):
    """An attention with a forward pass of its own."""

    def forward(self, *given: Any, **named: Any) -> tuple[Tensor, Tensor | None]:
        mixed, weights = super().forward(*given, **named)
        return 2 * mixed, weights


def test_an_attention_with_a_forward_of_its_own_is_refused() -> None:
    network = Asking("masked", {}).double()
    network.attention = Louder(8, _HEADS, batch_first=True).double()
    structure = trace(network, torch.randn(2, 5, 6).double())
    for layer in ("positions", "attention", "attention.out_proj"):
        group = structure.group(layer)
        assert group.removable == 0
        assert group.refused == "belongs to an attention with a forward pass of its own (Louder)"


def test_weights_that_are_averaged_over_heads_and_used_keep_the_heads() -> None:
    class Weighing(Asking):
        def forward(self, x: Tensor) -> Tensor:
            queries = self.positions(x)
            mixed, weights = self.attention(queries, queries, queries)
            return self.head(mixed) + weights.sum()

    structure = trace(Weighing("other", {}).double(), torch.randn(2, 5, 6).double())
    assert structure.group("attention").refused == "summed over by mean"
    assert structure.group("positions").removable == 8
