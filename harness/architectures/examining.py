"""Whether a network can be built and fits its task: one is built, without memory where that goes, and run."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from harness.architectures.named import NamedNetwork

_BATCH = 2


def fits(
    network: NamedNetwork, example_shape: tuple[int, ...], outputs: int, sizes: Mapping[str, int]
) -> None:
    """Raise ValueError, in one sentence, if it cannot be built or maps examples to something else.

    Tried on the meta device, which needs no memory; a network that computes with numbers while it is built or
    run is tried on the CPU. Torch's global generator is left as it is.
    """
    try:
        _try(network, example_shape, outputs, sizes, torch.device("meta"))
    except Exception:  # noqa: BLE001 - strangers' code, which may not know this device: the CPU decides
        _try(network, example_shape, outputs, sizes, torch.device("cpu"))


def _try(
    network: NamedNetwork,
    example_shape: tuple[int, ...],
    outputs: int,
    sizes: Mapping[str, int],
    device: torch.device,
) -> None:
    name = network.network
    with torch.random.fork_rng(devices=[]), device, torch.no_grad():
        try:
            built = network.build(example_shape, outputs, sizes)
        except ValueError as error:
            raise ValueError(_sentence(str(error))) from error
        except Exception as error:
            raise ValueError(_sentence(f"{name} raised {type(error).__name__}: {error}")) from error
        example = torch.zeros(_BATCH, *example_shape)
        for mode in (False, True):
            given = _run(built.train(mode), example, name)
            if not isinstance(given, Tensor):
                when = "in training" if mode else "in evaluation"
                raise ValueError(f"{name} gives a {type(given).__name__} {when}, and no tensor")
            if given.shape != (_BATCH, outputs):
                wanted, found = [["batch", *shape] for shape in ((outputs,), given.shape[1:])]
                raise ValueError(
                    f"{name} maps {_shape(['batch', *example_shape])} to "
                    f"{_shape(found if given.shape[:1] == (_BATCH,) else list(given.shape))}, "
                    f"{_shape(wanted)} is needed"
                )


def _run(built: nn.Module, example: Tensor, name: str) -> Any:
    try:
        return built(example)
    except Exception as error:
        shape = _shape(["batch", *example.shape[1:]])
        raise ValueError(
            _sentence(f"{name} does not take examples of shape {shape}: {type(error).__name__}: {error}")
        ) from error


def _shape(lengths: list[Any]) -> str:
    return f"[{', '.join(map(str, lengths))}]"


def _sentence(text: str) -> str:
    return " ".join(text.split())
