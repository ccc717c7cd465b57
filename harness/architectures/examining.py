"""Whether a network can be built and fits its task: one is built, without memory where that goes, and run."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from harness.architectures.imagined import imagined
from harness.architectures.named import NamedNetwork

_BATCH = 2


def fits(
    network: NamedNetwork,
    example_shape: tuple[int, ...],
    outputs: int,
    sizes: Mapping[str, int],
    wanted: Sequence[tuple[int, ...]],
) -> None:
    """Raise ValueError, in one sentence, if it cannot be built or maps an example to none of these shapes.

    Torch's global generator is left as it is.
    """

    @torch.no_grad()
    def look() -> None:
        _run(_built(network, example_shape, outputs, sizes), example_shape, wanted, network.network)

    imagined(look)


def _built(
    network: NamedNetwork, example_shape: tuple[int, ...], outputs: int, sizes: Mapping[str, int]
) -> nn.Module:
    try:
        return network.build(example_shape, outputs, sizes)
    except ValueError as error:
        raise ValueError(_sentence(str(error))) from error
    except Exception as error:
        raise ValueError(_sentence(f"{network.network} raised {type(error).__name__}: {error}")) from error


def _run(
    built: nn.Module, example_shape: tuple[int, ...], wanted: Sequence[tuple[int, ...]], name: str
) -> None:
    given_shape = _shape(example_shape)
    for mode in (False, True):
        try:
            given = built.train(mode)(torch.zeros(_BATCH, *example_shape))
        except Exception as error:
            what = f"{type(error).__name__}: {error}"
            raise ValueError(
                _sentence(f"{name} does not take examples of shape {given_shape}: {what}")
            ) from error
        if not isinstance(given, Tensor):
            when = "in training" if mode else "in evaluation"
            raise ValueError(f"{name} gives a {type(given).__name__} {when}, and no tensor")
        if given.shape not in [(_BATCH, *shape) for shape in wanted]:
            found = _shape(given.shape[1:]) if given.shape[:1] == (_BATCH,) else str(list(given.shape))
            needed = " or ".join(_shape(shape) for shape in wanted)
            raise ValueError(f"{name} maps {given_shape} to {found}, {needed} is needed")


def _shape(of_one: Sequence[int]) -> str:
    return f"[{', '.join(map(str, ('batch', *of_one)))}]"


def _sentence(text: str) -> str:
    return " ".join(text.split())
