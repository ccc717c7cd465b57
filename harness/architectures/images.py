"""What families of convolutional networks ask of examples."""


def check_images(family: str, example_shape: tuple[int, ...], least: int) -> None:
    """Raise ValueError, in one sentence, unless examples are images of at least so many pixels a side."""
    if len(example_shape) != 3 or min(example_shape[1:]) < least:
        shape = "x".join(map(str, example_shape))
        raise ValueError(
            f"{family} needs images (channels x height x width) of at least {least}x{least}, found {shape}"
        )
