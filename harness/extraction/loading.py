"""Rebuilds an extracted network from its folder: from a description and plain numbers, without pickle."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.extraction.description import WEIGHTS, read_description
from harness.extraction.errors import ExtractionError

if TYPE_CHECKING:
    from torch import nn


def load(folder: Path | str, *, raw: bool = False, plugins: Sequence[Path | str] = ()) -> "nn.Module":
    """Rebuild the network that `harness extract` wrote.

    Args:
        folder: where it lies.
        raw: the network takes values as the data's source holds them (images: 0 to 255) and normalises them
            and resizes them itself; otherwise it takes normalised ones of the right size.
        plugins: the plug-in files that define its architecture, if any do.

    Returns:
        A plain module on the CPU, in evaluation mode, that maps [batch, *example_shape] to
        [batch, outputs]. Torch's global generator is left as it is.

    Raises:
        ExtractionError: if something is missing, damaged or changed, in one sentence.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_model

    from harness.extraction.alterations import alter, reshape
    from harness.extraction.extent import made_within_memory
    from harness.extraction.normaliser import Normalise, Resize
    from harness.extraction.packages import versions_of
    from harness.extraction.plugins import matching_plugins
    from harness.plugins.sources import sources_of
    from harness.records.differences import changes
    from harness.registry import make_architecture

    folder = Path(folder)
    about = read_description(folder)
    used: dict[str, str] = {}
    for plugin in matching_plugins(
        about.plugins, [Path(plugin) for plugin in plugins], whose="this network", where="`plugins`"
    ):
        used |= sources_of(plugin)
    if about.sources and (differing := changes(about.sources, used)):
        raise ExtractionError(
            f"{folder}: {', '.join(about.plugins)} imports other code than when the network was made: "
            f"{differing[0]}"
        )
    try:
        architecture = make_architecture(about.family, about.options)
        with torch.random.fork_rng(devices=[]):
            network = made_within_memory(
                lambda: architecture.build(about.example_shape, about.outputs, about.sizes),
                "the network that it declares",
            )
        alter(network, about.alterations)
        reshape(network, about.shapes)
        load_model(network, folder / WEIGHTS)
    except (
        ValueError,
        KeyError,
        RuntimeError,
        RecursionError,
        OSError,
        MemoryError,
        SafetensorError,
    ) as error:
        reason = " ".join(str(error).split())
        others = changes(about.packages, versions_of(about.packages))
        hint = f" (other versions are installed: {'; '.join(others)})" if others else ""
        raise ExtractionError(f"{folder}: the network cannot be rebuilt: {reason}{hint}") from error
    network.eval()
    if not raw:
        return network
    fed: list[nn.Module] = [Normalise(about.normalisation, len(about.example_shape))]
    fed += [Resize(about.example_shape[1:])] if about.is_resized else []
    return torch.nn.Sequential(*fed, network).eval()
