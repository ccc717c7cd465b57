"""Networks that surgery was not developed on, one of each way that people build them."""

from tests.surgery.zoo import (
    attention,
    convolutional,
    dense_layers,
    generative,
    graphs,
    of_timm,
    of_torchvision,
    of_transformers,
    places,
    sequences,
    tabular,
)
from tests.surgery.zoo.entry import Entry, Example, call, in_type

ENTRIES: dict[str, Entry] = {
    entry.name: entry
    for part in (
        dense_layers,
        tabular,
        convolutional,
        places,
        generative,
        attention,
        sequences,
        graphs,
        of_torchvision,
        of_timm,
        of_transformers,
    )
    for entry in part.ENTRIES
}

__all__ = ["ENTRIES", "Entry", "Example", "call", "in_type"]
