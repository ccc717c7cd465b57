"""Attention that has lost some of its heads."""

from collections.abc import Sequence
from typing import Self, cast

import torch
from torch import Tensor, nn
from torch.nn import functional


class HeadAttention(nn.MultiheadAttention):
    """`nn.MultiheadAttention` whose heads need not add up to the width of what it reads.

    PyTorch's own derives the width of its heads from the width of its input, so it cannot lose one. This one
    has the same parameters under the same names: in_proj_weight [3 * heads * head_dim, width], or
    q_proj_weight, k_proj_weight and v_proj_weight [heads * head_dim, width of each] where widths differ;
    bias_k and bias_v [1, 1, heads * head_dim] or None; out_proj.weight [width, heads * head_dim].

    Attributes:
        heads: which of the heads that it started with are left, in order.
        heads_at_first: how many it started with: masks of single heads are made for so many.
    """

    heads: tuple[int, ...]
    heads_at_first: int

    @classmethod
    def of(cls, attention: nn.MultiheadAttention, heads: Sequence[int] | None = None) -> Self:
        """The same attention, with as many heads as its parameters have rows for.

        Args:
            attention: whose parameters it takes.
            heads: which of its heads these are; the first ones if None.
        """
        made = cls.__new__(cls)
        made.__dict__.update(attention.__dict__)
        for registry in ("_parameters", "_buffers", "_modules"):
            made.__dict__[registry] = dict(attention.__dict__[registry])
        together = cast(Tensor | None, attention.in_proj_weight)
        if together is not None:
            rows, made.embed_dim = together.shape[0] // 3, together.shape[1]
            made.kdim = made.vdim = made.embed_dim
        else:
            rows, made.embed_dim = attention.q_proj_weight.shape
            made.kdim, made.vdim = attention.k_proj_weight.shape[1], attention.v_proj_weight.shape[1]
        made.num_heads = rows // attention.head_dim
        before = getattr(attention, "heads", tuple(range(attention.num_heads)))
        made.heads = tuple(before[head] for head in (range(made.num_heads) if heads is None else heads))
        made.heads_at_first = getattr(attention, "heads_at_first", attention.num_heads)
        # Encoder layers take a short cut around this module's forward pass unless this says otherwise.
        made._qkv_same_embed_dim = False
        # Gates of its heads stay on them.
        gated_alike = getattr(attention, "gated_alike", None)
        return made if gated_alike is None else cast(Self, gated_alike(made))

    def _reset_parameters(self) -> None:
        """As PyTorch starts an attention; its own asks for three projections where there is one."""
        weights = (self.in_proj_weight, self.q_proj_weight, self.k_proj_weight, self.v_proj_weight)
        for weight in cast(tuple[Tensor | None, ...], weights):
            if weight is not None:
                nn.init.xavier_uniform_(weight)
        if self.in_proj_bias is not None:
            nn.init.constant_(self.in_proj_bias, 0.0)
            nn.init.constant_(self.out_proj.bias, 0.0)
        if self.bias_k is not None and self.bias_v is not None:
            nn.init.xavier_normal_(self.bias_k)
            nn.init.xavier_normal_(self.bias_v)

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """As `nn.MultiheadAttention`; masks of single heads may be made for the heads it started with."""
        if is_causal and attn_mask is None:
            raise RuntimeError("An attention that is_causal wants the attn_mask that says so, too.")
        turned = query.dim() == 3 and not self.batch_first
        projected = self._projections(query, key, value)
        if query.dim() == 2:
            projected = [tensor.unsqueeze(0) for tensor in projected]
        queries, *others = (tensor.transpose(0, 1) if turned else tensor for tensor in projected)
        if self.bias_k is not None and self.bias_v is not None:
            others = [
                _behind(own, more) for own, more in zip(others, (self.bias_k, self.bias_v), strict=True)
            ]
        q, k, v = (
            tensor.unflatten(-1, (self.num_heads, self.head_dim)).transpose(1, 2)
            for tensor in (queries, *others)
        )
        v = self._values(v)
        if self.add_zero_attn:
            k, v = functional.pad(k, (0, 0, 0, 1)), functional.pad(v, (0, 0, 0, 1))
        # As PyTorch's own does: the hint stands for the mask where nothing else is asked.
        hinted = is_causal and key_padding_mask is None and not need_weights
        bias = None if hinted else self._bias(q, k.shape[2], key_padding_mask, attn_mask)
        dropout = self.dropout if self.training else 0.0
        weights = None
        if need_weights:
            scores = q @ k.transpose(-2, -1) / self.head_dim**0.5
            weights = torch.softmax(scores if bias is None else scores + bias, dim=-1)
            weights = functional.dropout(weights, dropout)
            mixed = weights @ v
            weights = weights.mean(dim=1) if average_attn_weights else weights
        else:
            mixed = functional.scaled_dot_product_attention(q, k, v, bias, dropout, is_causal=hinted)
        out = self.out_proj(mixed.transpose(1, 2).flatten(2))
        if query.dim() == 2:
            return out.squeeze(0), None if weights is None else weights.squeeze(0)
        return (out.transpose(0, 1) if turned else out), weights

    def _values(self, values: Tensor) -> Tensor:
        """The values [batch, heads, keys, head_dim] that are mixed; a subclass may have them changed."""
        return values

    def _projections(self, query: Tensor, key: Tensor, value: Tensor) -> list[Tensor]:
        together = cast(Tensor | None, self.in_proj_weight)
        if together is not None and query is key and key is value:
            projected = functional.linear(query, together, self.in_proj_bias)
            return list(projected.unflatten(-1, (3, -1)).unbind(-2))
        weights: list[Tensor] = [self.q_proj_weight, self.k_proj_weight, self.v_proj_weight]
        if together is not None:
            weights = list(together.chunk(3))
        biases: list[Tensor | None] = [None, None, None]
        if self.in_proj_bias is not None:
            biases = list(self.in_proj_bias.chunk(3))
        parts = zip((query, key, value), weights, biases, strict=True)
        return [functional.linear(*part) for part in parts]

    def _bias(self, q: Tensor, keys: int, padding: Tensor | None, mask: Tensor | None) -> Tensor | None:
        """What is added to the scores [batch, heads, queries, keys]."""
        total = None
        if padding is not None:
            padding = padding if padding.dim() == 2 else padding.unsqueeze(0)
            total = _to_all(_additive(padding, q)[:, None, None, :], keys)
        if mask is not None:
            if mask.dim() == 3:
                mask = self._for_heads(mask.unflatten(0, (q.shape[0], -1)))
            added = _to_all(_additive(mask, q), keys)
            total = added if total is None else total + added
        return total

    def _for_heads(self, mask: Tensor) -> Tensor:
        """A mask [batch, heads, queries, keys] for the heads that are left."""
        if mask.shape[1] == self.num_heads:
            return mask
        if mask.shape[1] != self.heads_at_first:
            raise ValueError(
                f"A mask of single heads is for {self.num_heads} or {self.heads_at_first} of them here, not "
                f"for {mask.shape[1]}."
            )
        return mask[:, list(self.heads)]


def _behind(signal: Tensor, more: Tensor) -> Tensor:
    """[batch, positions, width] with one more position [1, 1, width] at the end."""
    return functional.pad(signal, (0, 0, 0, 1)) + functional.pad(more, (0, 0, signal.shape[1], 0))


def _to_all(bias: Tensor, keys: int) -> Tensor:
    """What is added to scores, and nothing for keys that the attention has put behind the others."""
    return functional.pad(bias, (0, keys - bias.shape[-1])) if bias.shape[-1] < keys else bias


def _additive(mask: Tensor, like: Tensor) -> Tensor:
    """A mask as numbers to add: where a bool mask is True, nothing is attended to."""
    if mask.dtype != torch.bool:
        return mask.to(like.dtype)
    return torch.zeros_like(mask, dtype=like.dtype).masked_fill(mask, float("-inf"))
