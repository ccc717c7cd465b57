"""Networks for sequences that remember: recurrent cells and layers, state spaces, mixers."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.surgery.zoo.entry import Entry, pictures, rows, together, tokens


class SentenceReader(nn.Module):
    """Words, an LSTM in both directions, the largest of each feature."""

    def __init__(self, words: int = 30, size: int = 12, width: int = 16) -> None:
        super().__init__()
        self.words = nn.Embedding(words, size)
        self.lstm = nn.LSTM(size, width, num_layers=2, bidirectional=True, batch_first=True)
        self.head = nn.Sequential(nn.Linear(2 * width, 24), nn.ReLU(), nn.Linear(24, 4))

    def forward(self, x: Tensor) -> Tensor:
        states, _ = self.lstm(self.words(x))
        return self.head(states.max(dim=1).values)


class Translator(nn.Module):
    """A GRU reads, another writes and looks at what the first has read."""

    def __init__(self, words: int = 24, width: int = 20) -> None:
        super().__init__()
        self.source, self.target = nn.Embedding(words, 16), nn.Embedding(words, 16)
        self.encoder, self.decoder = nn.GRU(16, width, batch_first=True), nn.GRU(16, width, batch_first=True)
        self.key = nn.Linear(width, width, bias=False)
        self.join, self.out = nn.Linear(2 * width, 28), nn.Linear(28, words)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        read, state = self.encoder(self.source(source))
        written, _ = self.decoder(self.target(target), state)
        weights = torch.bmm(self.key(written), read.transpose(1, 2)).softmax(-1)
        both = torch.cat([written, torch.bmm(weights, read)], dim=-1)
        return self.out(torch.tanh(self.join(both)))


class LineReader(nn.Module):
    """Convolutions over a line of text, and a recurrent network over its columns (CRNN)."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.look = nn.Sequential(
            nn.Conv2d(1, 12, 3, padding=1),
            nn.BatchNorm2d(12),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(12, 16, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d((2, 1)),
        )
        self.read = nn.GRU(16 * 2, width, bidirectional=True)
        self.head = nn.Linear(2 * width, 10)

    def forward(self, x: Tensor) -> Tensor:
        h = self.look(x)
        columns = h.permute(3, 0, 1, 2).flatten(2)
        return self.head(self.read(columns)[0])


class Controller(nn.Module):
    """A cell that is run step by step, with a skip of its input."""

    def __init__(self, inputs: int = 6, width: int = 20) -> None:
        super().__init__()
        self.enter, self.cell = nn.Linear(inputs, 16), nn.LSTMCell(16, width)
        self.head = nn.Linear(width + 16, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = x.new_zeros(len(x), self.cell.hidden_size)
        c = x.new_zeros(len(x), self.cell.hidden_size)
        made = []
        for step in x.unbind(1):
            seen = torch.relu(self.enter(step))
            h, c = self.cell(seen, (h, c))
            made.append(self.head(torch.cat([h, seen], dim=1)))
        return torch.stack(made, dim=1)


class ElmanTagger(nn.Module):
    """A plain recurrent layer, and a tag for every word."""

    def __init__(self, words: int = 30, width: int = 24) -> None:
        super().__init__()
        self.words, self.layer = nn.Embedding(words, 12), nn.RNN(12, width, batch_first=True)
        self.hidden, self.tags = nn.Linear(width, 20), nn.Linear(20, 6)

    def forward(self, x: Tensor) -> Tensor:
        return self.tags(torch.tanh(self.hidden(self.layer(self.words(x))[0])))


class ConvolutionalMemory(nn.Module):
    """An LSTM whose products are convolutions, over frames (ConvLSTM)."""

    def __init__(self, width: int = 12) -> None:
        super().__init__()
        self.enter = nn.Conv2d(1, 8, 3, padding=1)
        self.gates = nn.Conv2d(8 + width, 4 * width, 3, padding=1)
        self.out = nn.Conv2d(width, 1, 1)
        self.width = width

    def forward(self, x: Tensor) -> Tensor:
        batch, frames, _, height, breadth = x.shape
        h = c = x.new_zeros(batch, self.width, height, breadth)
        for index in range(frames):
            seen = torch.relu(self.enter(x[:, index]))
            i, f, o, g = self.gates(torch.cat([seen, h], dim=1)).chunk(4, dim=1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
        return self.out(h)


class MixerBlock(nn.Module):
    """A network across places, then one across features."""

    def __init__(self, places: int, width: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.across = nn.Sequential(nn.Linear(places, 24), nn.GELU(), nn.Linear(24, places))
        self.within = nn.Sequential(nn.Linear(width, 96), nn.GELU(), nn.Linear(96, width))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.across(self.norm1(x).transpose(1, 2)).transpose(1, 2)
        return x + self.within(self.norm2(x))


class Mixer(nn.Module):
    """Patches, blocks, the mean of the places."""

    def __init__(self, width: int = 24) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, 4, 4)
        self.blocks = nn.Sequential(*[MixerBlock(16, width) for _ in range(4)])
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        return self.head(self.norm(self.blocks(x)).mean(1))


class SpatialGate(nn.Module):
    """Half of the features gate the other half, across places (gMLP)."""

    def __init__(self, width: int = 16, inner: int = 48, places: int = 10) -> None:
        super().__init__()
        self.norm, self.wide = nn.LayerNorm(width), nn.Linear(width, inner)
        self.gate_norm, self.across = nn.LayerNorm(inner // 2), nn.Conv1d(places, places, 1)
        self.narrow = nn.Linear(inner // 2, width)

    def forward(self, x: Tensor) -> Tensor:
        kept, gate = F.gelu(self.wide(self.norm(x))).chunk(2, dim=-1)
        return x + self.narrow(kept * self.across(self.gate_norm(gate)))


class SpatialGates(nn.Module):
    """Two of them over embedded words."""

    def __init__(self, words: int = 20, width: int = 16) -> None:
        super().__init__()
        self.words = nn.Embedding(words, width)
        self.blocks, self.head = nn.Sequential(SpatialGate(), SpatialGate()), nn.Linear(width, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(self.words(x)).mean(1))


class SelectiveState(nn.Module):
    """A diagonal state per feature whose step, input and output depend on what is read (Mamba)."""

    def __init__(self, width: int = 16, inner: int = 32, states: int = 4, rank: int = 4) -> None:
        super().__init__()
        self.inner, self.states, self.rank = inner, states, rank
        self.norm = nn.RMSNorm(width)
        self.enter = nn.Linear(width, 2 * inner, bias=False)
        self.conv = nn.Conv1d(inner, inner, 3, groups=inner, padding=2)
        self.select = nn.Linear(inner, rank + 2 * states, bias=False)
        self.step = nn.Linear(rank, inner)
        self.log_rates = nn.Parameter(torch.arange(1.0, states + 1).log().repeat(inner, 1))
        self.skip = nn.Parameter(torch.ones(inner))
        self.leave = nn.Linear(inner, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        length = x.shape[1]
        h, gate = self.enter(self.norm(x)).chunk(2, dim=-1)
        h = F.silu(self.conv(h.transpose(1, 2))[..., :length].transpose(1, 2))
        step, write, read = self.select(h).split([self.rank, self.states, self.states], dim=-1)
        step = F.softplus(self.step(step))
        keep = torch.exp(step.unsqueeze(-1) * -self.log_rates.exp())
        put = (step * h).unsqueeze(-1) * write.unsqueeze(2)
        state, made = torch.zeros_like(put[:, 0]), []
        for index in range(length):
            state = keep[:, index] * state + put[:, index]
            made.append((state * read[:, index].unsqueeze(1)).sum(-1))
        y = torch.stack(made, dim=1) + self.skip * h
        return x + self.leave(y * F.silu(gate))


class SelectiveStates(nn.Module):
    """Four blocks over embedded words."""

    def __init__(self, words: int = 12, width: int = 16) -> None:
        super().__init__()
        self.words = nn.Embedding(words, width)
        self.blocks = nn.Sequential(*[SelectiveState(width) for _ in range(4)])
        self.norm, self.head = nn.RMSNorm(width), nn.Linear(width, words, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.norm(self.blocks(self.words(x))))


class Spectrum(nn.Module):
    """Layers that act on the lowest frequencies beside a plain one (Fourier neural operator)."""

    def __init__(self, width: int = 16, modes: int = 4) -> None:
        super().__init__()
        self.modes = modes
        self.lift = nn.Conv1d(2, width, 1)
        self.spectral = nn.Parameter(torch.randn(width, width, modes, 2) / width)
        self.plain = nn.Conv1d(width, width, 1)
        self.out = nn.Sequential(nn.Conv1d(width, 32, 1), nn.GELU(), nn.Conv1d(32, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        h = self.lift(x)
        seen = torch.fft.rfft(h)
        mixed = torch.einsum("bim,iom->bom", seen[..., : self.modes], torch.view_as_complex(self.spectral))
        back = torch.fft.irfft(mixed, n=h.shape[-1])
        return self.out(F.gelu(back + self.plain(h)))


ENTRIES = (
    Entry("sentence_reader", "LSTM", SentenceReader, tokens(9, 30)),
    Entry("translator", "GRU with attention", Translator, together(tokens(7, 24), tokens(6, 24))),
    Entry("line_reader", "convolutional recurrent", LineReader, rows(1, 8, 12)),
    Entry("controller", "recurrent cell", Controller, rows(4, 6)),
    Entry("elman_tagger", "plain recurrent", ElmanTagger, tokens(8, 30)),
    Entry("convolutional_memory", "ConvLSTM", ConvolutionalMemory, rows(3, 1, 6, 6)),
    Entry("mixer", "mixer", Mixer, pictures(16)),
    Entry("spatial_gates", "gMLP", SpatialGates, tokens(10, 20)),
    Entry("selective_states", "state space", SelectiveStates, tokens(7, 12)),
    Entry("spectrum", "Fourier operator", Spectrum, rows(2, 16)),
)
