"""Networks of attention, with PyTorch's own layers and written out by hand."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.surgery.zoo.entry import Entry, pictures, rows, together, tokens


class CausalAttention(nn.Module):
    """One projection for queries, keys and values; what lies ahead is masked."""

    ahead: Tensor

    def __init__(self, width: int, heads: int, length: int) -> None:
        super().__init__()
        self.heads = heads
        self.c_attn, self.c_proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.register_buffer("ahead", torch.ones(length, length).triu(1).bool())

    def forward(self, x: Tensor) -> Tensor:
        batch, length, width = x.size()
        q, k, v = self.c_attn(x).split(width, dim=2)
        q, k, v = (
            part.view(batch, length, self.heads, width // self.heads).transpose(1, 2) for part in (q, k, v)
        )
        scores = (q @ k.transpose(-2, -1)) * (1.0 / math.sqrt(k.size(-1)))
        scores = scores.masked_fill(self.ahead[:length, :length], float("-inf"))
        y = F.softmax(scores, dim=-1) @ v
        return self.c_proj(y.transpose(1, 2).contiguous().view(batch, length, width))


class SmallGPT(nn.Module):
    """A decoder with learned positions, its head tied to the words."""

    def __init__(
        self, words: int = 24, length: int = 8, width: int = 32, heads: int = 4, depth: int = 4
    ) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(words, width), nn.Embedding(length, width)
        self.norms1 = nn.ModuleList(nn.LayerNorm(width) for _ in range(depth))
        self.norms2 = nn.ModuleList(nn.LayerNorm(width) for _ in range(depth))
        self.attentions = nn.ModuleList(CausalAttention(width, heads, length) for _ in range(depth))
        self.feeds = nn.ModuleList(
            nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
            for _ in range(depth)
        )
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, words, bias=False)
        self.head.weight = self.words.weight

    def forward(self, x: Tensor) -> Tensor:
        h = self.words(x) + self.places(torch.arange(x.shape[1], device=x.device))
        for before, attention, between, feed in zip(
            self.norms1, self.attentions, self.norms2, self.feeds, strict=True
        ):
            h = h + attention(before(h))
            h = h + feed(between(h))
        return self.head(self.norm(h))


class EncoderClassifier(nn.Module):
    """PyTorch's encoder over embedded words; padding is masked."""

    def __init__(self, words: int = 20, width: int = 24) -> None:
        super().__init__()
        self.words, self.places = (
            nn.Embedding(words, width, padding_idx=0),
            nn.Parameter(torch.randn(10, width) / 10),
        )
        layer = nn.TransformerEncoderLayer(width, 4, 96, dropout=0.0, activation="gelu", batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 4, enable_nested_tensor=False)
        self.head = nn.Linear(width, 4)

    def forward(self, x: Tensor) -> Tensor:
        h = self.encoder(self.words(x) + self.places[: x.shape[1]])
        return self.head(h.mean(1))


class WholeTransformer(nn.Module):
    """PyTorch's encoder and decoder, from words to words."""

    def __init__(self, words: int = 12, width: int = 16) -> None:
        super().__init__()
        self.source, self.target = nn.Embedding(words, width), nn.Embedding(words, width)
        self.transformer = nn.Transformer(width, 4, 2, 2, 64, dropout=0.0, batch_first=True)
        self.out = nn.Linear(width, words)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        ahead = nn.Transformer.generate_square_subsequent_mask(
            target.shape[1], device=target.device, dtype=self.source.weight.dtype
        )
        return self.out(self.transformer(self.source(source), self.target(target), tgt_mask=ahead))


class Perceiver(nn.Module):
    """A few learned queries look at many inputs, then at each other."""

    def __init__(self, inputs: int = 8, width: int = 24, latents: int = 5) -> None:
        super().__init__()
        self.latents = nn.Parameter(torch.randn(latents, width) / 5)
        self.enter = nn.Linear(inputs, 20)
        self.across = nn.MultiheadAttention(width, 4, kdim=20, vdim=20, batch_first=True)
        self.within = nn.MultiheadAttention(width, 4, batch_first=True)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.feed = nn.Sequential(nn.Linear(width, 64), nn.GELU(), nn.Linear(64, width))
        self.head = nn.Linear(width, 5)

    def forward(self, x: Tensor) -> Tensor:
        seen = F.gelu(self.enter(x))
        latents = self.latents.expand(len(x), -1, -1)
        latents = latents + self.across(latents, seen, seen)[0]
        own = self.norm1(latents)
        latents = latents + self.within(own, own, own)[0]
        latents = latents + self.feed(self.norm2(latents))
        return self.head(latents.mean(1))


class LinearAttention(nn.Module):
    """Keys and values are summed before they are asked for."""

    def __init__(self, inputs: int = 10, width: int = 24, heads: int = 3) -> None:
        super().__init__()
        self.heads = heads
        self.enter = nn.Linear(inputs, width)
        self.q, self.k, self.v = (nn.Linear(width, width, bias=False) for _ in range(3))
        self.out, self.norm = nn.Linear(width, width), nn.LayerNorm(width)
        self.feed = nn.Sequential(nn.Linear(width, 48), nn.ReLU(), nn.Linear(48, 3))

    def forward(self, x: Tensor) -> Tensor:
        h = self.enter(x)
        q, k, v = (
            layer(h).unflatten(-1, (self.heads, -1)).transpose(1, 2) for layer in (self.q, self.k, self.v)
        )
        q, k = F.elu(q) + 1, F.elu(k) + 1
        mixed = q @ (k.transpose(-1, -2) @ v)
        mixed = mixed / (q @ k.sum(2).unsqueeze(-1))
        return self.feed(self.norm(h + self.out(mixed.transpose(1, 2).flatten(2))))


class Conformer(nn.Module):
    """Half a feed-forward network, attention, a gated convolution, the other half."""

    def __init__(self, width: int = 24) -> None:
        super().__init__()
        self.feed1 = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 64), nn.SiLU(), nn.Linear(64, width))
        self.norm, self.attention = nn.LayerNorm(width), nn.MultiheadAttention(width, 4, batch_first=True)
        self.conv_norm, self.wide = nn.LayerNorm(width), nn.Conv1d(width, 2 * width, 1)
        self.deep = nn.Conv1d(width, width, 5, padding=2, groups=width)
        self.batch, self.narrow = nn.BatchNorm1d(width), nn.Conv1d(width, width, 1)
        self.feed2 = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 64), nn.SiLU(), nn.Linear(64, width))
        self.last = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + 0.5 * self.feed1(x)
        y = self.norm(x)
        x = x + self.attention(y, y, y, need_weights=False)[0]
        y = F.glu(self.wide(self.conv_norm(x).transpose(1, 2)), dim=1)
        x = x + self.narrow(F.silu(self.batch(self.deep(y)))).transpose(1, 2)
        return self.last(x + 0.5 * self.feed2(x))


class SpeechEncoder(nn.Module):
    """Convolutions that shorten, and a conformer."""

    def __init__(self, mels: int = 16, width: int = 24) -> None:
        super().__init__()
        self.shorten = nn.Sequential(
            nn.Conv1d(mels, 32, 3, 2, 1), nn.GELU(), nn.Conv1d(32, width, 3, 2, 1), nn.GELU()
        )
        self.block, self.head = Conformer(width), nn.Linear(width, 12)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.block(self.shorten(x).transpose(1, 2))).log_softmax(-1)


class RotaryLayer(nn.Module):
    """Grouped queries turned by their places, and SwiGLU, normalised by root mean squares."""

    def __init__(self, width: int, heads: int, pairs: int, inner: int) -> None:
        super().__init__()
        self.heads, self.pairs, self.size = heads, pairs, width // heads
        self.norm1, self.norm2 = nn.RMSNorm(width), nn.RMSNorm(width)
        self.wq = nn.Linear(width, heads * self.size, bias=False)
        self.wk, self.wv = (nn.Linear(width, pairs * self.size, bias=False) for _ in range(2))
        self.wo = nn.Linear(heads * self.size, width, bias=False)
        self.w1, self.w3 = (nn.Linear(width, inner, bias=False) for _ in range(2))
        self.w2 = nn.Linear(inner, width, bias=False)

    def turned(self, x: Tensor) -> Tensor:
        half = self.size // 2
        rates = 100.0 ** (-torch.arange(half, dtype=x.dtype, device=x.device) / half)
        angles = torch.arange(x.shape[2], dtype=x.dtype, device=x.device)[:, None] * rates
        cos, sin = torch.cat([angles, angles], -1).cos(), torch.cat([angles, angles], -1).sin()
        left, right = x[..., :half], x[..., half:]
        return x * cos + torch.cat([-right, left], dim=-1) * sin

    def forward(self, h: Tensor) -> Tensor:
        batch, length, _ = h.shape
        y = self.norm1(h)
        q = self.turned(self.wq(y).view(batch, length, self.heads, self.size).transpose(1, 2))
        k = self.turned(self.wk(y).view(batch, length, self.pairs, self.size).transpose(1, 2))
        v = self.wv(y).view(batch, length, self.pairs, self.size).transpose(1, 2)
        k, v = (part.repeat_interleave(self.heads // self.pairs, dim=1) for part in (k, v))
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        h = h + self.wo(mixed.transpose(1, 2).reshape(batch, length, -1))
        y = self.norm2(h)
        return h + self.w2(F.silu(self.w1(y)) * self.w3(y))


class Rotary(nn.Module):
    """Three such layers between words."""

    def __init__(self, words: int = 16, width: int = 32) -> None:
        super().__init__()
        self.words = nn.Embedding(words, width)
        self.layers = nn.Sequential(*[RotaryLayer(width, 4, 2, 80) for _ in range(3)])
        self.norm, self.head = nn.RMSNorm(width), nn.Linear(width, words, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.norm(self.layers(self.words(x))))


class PictureWords(nn.Module):
    """Pictures and words in one space, scored against each other."""

    def __init__(self, words: int = 30, width: int = 24) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, 4, 4)
        self.token = nn.Parameter(torch.zeros(1, 1, width))
        layer = nn.TransformerEncoderLayer(width, 4, 96, 0.0, batch_first=True, norm_first=True)
        self.look = nn.TransformerEncoder(layer, 3, enable_nested_tensor=False)
        self.words = nn.EmbeddingBag(words, width)
        self.read = nn.Sequential(nn.Linear(width, 32), nn.ReLU(), nn.Linear(32, 16))
        self.picture = nn.Linear(width, 16)

    def forward(self, pictures: Tensor, words: Tensor) -> tuple[Tensor, Tensor]:
        patches = self.patches(pictures).flatten(2).transpose(1, 2)
        h = self.look(torch.cat([self.token.expand(len(patches), -1, -1), patches], dim=1))
        left, right = self.picture(h[:, 0]), self.read(self.words(words))
        left, right = left / left.norm(dim=-1, keepdim=True), right / right.norm(dim=-1, keepdim=True)
        return left @ right.t(), right @ left.t()


ENTRIES = (
    Entry("small_gpt", "decoder written out", SmallGPT, tokens(8, 24)),
    Entry("encoder_classifier", "transformer encoder", EncoderClassifier, tokens(9, 20)),
    Entry(
        "whole_transformer", "encoder and decoder", WholeTransformer, together(tokens(6, 12), tokens(5, 12))
    ),
    Entry("perceiver", "cross-attention", Perceiver, rows(9, 8)),
    Entry("linear_attention", "linear attention", LinearAttention, rows(7, 10)),
    Entry("speech_encoder", "conformer", SpeechEncoder, rows(16, 20)),
    Entry("rotary", "decoder with grouped queries", Rotary, tokens(7, 16)),
    Entry("picture_words", "contrastive pair", PictureWords, together(pictures(16), tokens(5, 30))),
)
