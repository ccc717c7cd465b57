"""Images brought to another size batch by batch, so that the larger ones never lie anywhere all at once.

Bilinear and antialiased, after normalisation, in training, validation and test. Imports no torch: a study is
planned without it.
"""

import dataclasses

from harness.datasets.base import DatasetFacts, Part, Split


def resized_facts(facts: DatasetFacts, size: int | None) -> DatasetFacts:
    """The facts of a data set whose images are brought to `size` pixels a side; as they are for None.

    Raises:
        ValueError: if examples are no images, or targets belong to their pixels, in one sentence.
    """
    if size is None:
        return facts
    shape = facts.example_shape
    if len(shape) != 3:
        raise ValueError(
            f"examples with channels, height and width are needed, those of {facts.name!r} have the "
            f"shape {'x'.join(map(str, shape))}"
        )
    if len(facts.target_shape) > 1:
        raise ValueError(
            f"one target an example is needed, those of {facts.name!r} have the shape "
            f"{'x'.join(map(str, facts.target_shape))}: the image would change, and they would not"
        )
    return dataclasses.replace(facts, example_shape=(shape[0], size, size))


def resized(split: Split, size: int | None) -> Split:
    """A split whose images are brought to `size` pixels a side; the same for None, or if they have it."""
    if size is None or tuple(split.train.x.shape[2:]) == (size, size):
        return split
    from harness.datasets.on_demand import OnDemand, on_demand

    def part(given: Part) -> Part:
        source: OnDemand = on_demand(given.x)
        return Part(dataclasses.replace(source, size=(size, size)), given.y)

    return dataclasses.replace(
        split,
        facts=resized_facts(split.facts, size),
        train=part(split.train),
        validation=part(split.validation),
        test=part(split.test),
    )
