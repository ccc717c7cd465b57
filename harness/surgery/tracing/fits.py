"""Numbers that modules hold beside their tensors, such as that of heads, and that follow their sizes."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fit:
    """A number that is a fixed part, or all, of the size of an axis.

    layer: path of the module. name: of its attribute. path, axis: the parameter and its axis.
    """

    layer: str
    name: str
    path: str
    axis: int
