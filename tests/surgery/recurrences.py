"""Networks with recurrent layers and cells, of several forms."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

KINDS: dict[str, type[Any]] = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}
CELLS = {"lstm": nn.LSTMCell, "gru": nn.GRUCell, "rnn": nn.RNNCell}


class Reader(nn.Module):
    """A layer before a recurrent one, and one behind it; [steps, examples, 5] or with examples first."""

    def __init__(self, kind: type[Any], **options: Any) -> None:
        super().__init__()
        self.enter, self.read = nn.Linear(5, 7), kind(7, 9, **options)
        width = options.get("proj_size") or 9
        self.head = nn.Linear(width * (2 if options.get("bidirectional") else 1), 4)

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.head(self.read(torch.tanh(self.enter(x)))[0])
        return made


class Packed(Reader):
    """Sequences of several lengths; of each, what is remembered at its end."""

    def forward(self, x: Tensor) -> Tensor:
        lengths = torch.arange(1, len(x) + 1).flip(0).roll(1)
        seen = torch.tanh(self.enter(x))
        packed = pack_padded_sequence(seen, lengths, batch_first=True, enforce_sorted=False)
        sent, state = self.read(packed)
        assert isinstance(sent, PackedSequence)
        last = state[0] if isinstance(state, tuple) else state
        steps, _ = pad_packed_sequence(sent, batch_first=True)
        made: Tensor = self.head(steps).sum(1) + self.head(last[-1])
        return made


class Translator(nn.Module):
    """What one layer remembers, another starts from."""

    def __init__(self, kind: type[Any]) -> None:
        super().__init__()
        self.first, self.second = kind(5, 9, num_layers=2), kind(5, 9, num_layers=2)
        self.head = nn.Linear(9, 4)

    def forward(self, x: Tensor) -> Tensor:
        _, state = self.first(x)
        made: Tensor = self.head(self.second(x, state)[0])
        return made


class Stepwise(nn.Module):
    """Two cells, one above the other, step by step."""

    def __init__(self, kind: type[Any]) -> None:
        super().__init__()
        self.enter, self.low, self.high = nn.Linear(5, 7), kind(7, 9), kind(9, 8)
        self.head = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        low: Any = None
        high: Any = None
        made = []
        for step in torch.tanh(self.enter(x)).unbind(0):
            low = self.low(step, low)
            sent = low[0] if isinstance(low, tuple) else low
            high = self.high(sent, high)
            made.append(self.head(high[0] if isinstance(high, tuple) else high))
        return torch.stack(made)


def build(name: str) -> nn.Module:
    kind, _, form = name.partition("-")
    layer = KINDS[kind]
    match form:
        case "packed":
            return Packed(layer, batch_first=True)
        case "translator":
            return Translator(layer)
        case "cells":
            return Stepwise(CELLS[kind])
        case "deep":
            return Reader(layer, num_layers=2, bidirectional=True, batch_first=True)
        case "unbiased":
            return Reader(layer, bias=False)
        case _:
            return Reader(layer)


FORMS = ("plain", "deep", "unbiased", "packed", "translator", "cells")
NAMES = [f"{kind}-{form}" for kind in KINDS for form in FORMS]


def sequences() -> Tensor:
    return torch.randn(6, 6, 5, dtype=torch.float64)
