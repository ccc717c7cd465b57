"""Attention that has lost some of its heads."""

from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional


class HeadAttention(nn.MultiheadAttention):
    """`nn.MultiheadAttention` whose heads need not add up to the width of what it reads.

    PyTorch's own derives the width of its heads from the width of its input, so it cannot lose one. This one
    has the same parameters under the same names: in_proj_weight [3 * heads * head_dim, width] and
    out_proj.weight [width, heads * head_dim].
    """

    @classmethod
    def of(cls, attention: nn.MultiheadAttention) -> Self:
        """The same attention, with as many heads as its parameters have rows for."""
        made = cls.__new__(cls)
        made.__dict__.update(attention.__dict__)
        for registry in ("_parameters", "_buffers", "_modules"):
            made.__dict__[registry] = dict(attention.__dict__[registry])
        made.num_heads = attention.in_proj_weight.shape[0] // (3 * attention.head_dim)
        made.embed_dim = attention.in_proj_weight.shape[1]
        # Encoder layers take a short cut around this module's forward pass unless this says otherwise.
        made._qkv_same_embed_dim = False
        return made

    def _reset_parameters(self) -> None:
        """As PyTorch starts an attention; its own asks for three projections where there is one."""
        nn.init.xavier_uniform_(self.in_proj_weight)
        if self.in_proj_bias is not None:
            nn.init.constant_(self.in_proj_bias, 0.0)
            nn.init.constant_(self.out_proj.bias, 0.0)

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
        """As `nn.MultiheadAttention`; masks are of shape [positions, positions] or [batch, positions]."""
        turned = query.dim() == 3 and not self.batch_first
        projected = self._projections(query, key, value)
        if query.dim() == 2:
            projected = [tensor.unsqueeze(0) for tensor in projected]
        q, k, v = (
            (tensor.transpose(0, 1) if turned else tensor)
            .unflatten(-1, (self.num_heads, self.head_dim))
            .transpose(1, 2)
            for tensor in projected
        )
        bias = self._bias(q, key_padding_mask, attn_mask)
        dropout = self.dropout if self.training else 0.0
        weights = None
        if need_weights:
            scores = q @ k.transpose(-2, -1) / self.head_dim**0.5
            weights = torch.softmax(scores if bias is None else scores + bias, dim=-1)
            mixed = functional.dropout(weights, dropout) @ v
            weights = weights.mean(dim=1) if average_attn_weights else weights
        else:
            mixed = functional.scaled_dot_product_attention(q, k, v, bias, dropout)
        out = self.out_proj(mixed.transpose(1, 2).flatten(2))
        if query.dim() == 2:
            return out.squeeze(0), None if weights is None else weights.squeeze(0)
        return (out.transpose(0, 1) if turned else out), weights

    def _projections(self, query: Tensor, key: Tensor, value: Tensor) -> list[Tensor]:
        if query is key and key is value:
            together = functional.linear(query, self.in_proj_weight, self.in_proj_bias)
            return list(together.unflatten(-1, (3, -1)).unbind(-2))
        biases = [None, None, None] if self.in_proj_bias is None else list(self.in_proj_bias.chunk(3))
        parts = zip((query, key, value), self.in_proj_weight.chunk(3), biases, strict=True)
        return [functional.linear(*part) for part in parts]

    def _bias(self, q: Tensor, padding: Tensor | None, mask: Tensor | None) -> Tensor | None:
        """What is added to the scores [batch, heads, queries, keys]."""
        total = None
        if padding is not None:
            padding = padding if padding.dim() == 2 else padding.unsqueeze(0)
            total = _additive(padding, q)[:, None, None, :]
        if mask is not None:
            if mask.dim() != 2:
                raise ValueError(
                    "An attention that has lost heads takes masks of shape [positions, positions]."
                )
            total = _additive(mask, q) if total is None else total + _additive(mask, q)
        return total


def _additive(mask: Tensor, like: Tensor) -> Tensor:
    """A mask as numbers to add: where a bool mask is True, nothing is attended to."""
    if mask.dtype != torch.bool:
        return mask.to(like.dtype)
    return torch.zeros_like(mask, dtype=like.dtype).masked_fill(mask, float("-inf"))
