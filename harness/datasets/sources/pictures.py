"""Pictures to arrays: formats that are opened, turned upright, brought to one size.

Decoded by one thread, about 7,000 small JPEG files a second: Pillow holds the interpreter's lock while it
decodes, and four threads took longer than one.
"""

import io
import warnings
from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from harness.datasets.base import DataError
from harness.datasets.sources.extent import check_extent

if TYPE_CHECKING:
    from PIL import Image

#: Formats that are opened. Pillow knows dozens more, among them EPS, which it hands to Ghostscript: a program
#: in a picture, with the run of the disk.
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")
#: Pixels of more than 8 bits, which a conversion to RGB would cut off.
_DEEP_MODES = ("I", "I;16", "I;16B", "I;16L", "F")

#: Height and width in pixels.
Size = tuple[int, int]


def decoder() -> str:
    """What decoded values depend on beside the bytes: decoders differ in last bits between versions."""
    return f"Pillow {version('pillow')}, upright"


def decode(data: bytes, where: str, size: Size | None = None) -> NDArray[np.uint8]:
    """One picture as [channels, height, width]: see `pixels`.

    Args:
        where: how messages call it.
        size: to be resized to.

    Raises:
        DataError: if it cannot be decoded, or has more pixels than Pillow takes to be safe.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                return pixels(image, where, size)
    except DataError:
        raise
    except UnidentifiedImageError as error:
        raise DataError(f"{where}: no image found; formats that are read: {', '.join(FORMATS)}") from error
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise DataError(
            f"{where}: an image of more than {Image.MAX_IMAGE_PIXELS:,} pixels found, no more are allowed"
        ) from error
    except Exception as error:  # Pillow's readers raise whatever they stumble over in damaged bytes
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{where}: not readable as an image ({reason}): truncated or damaged") from error


def pixels(image: "Image.Image", where: str, size: Size | None = None) -> NDArray[np.uint8]:
    """An image as [channels, height, width]: one channel if it is grey, else RGB.

    Turned as its EXIF orientation says. Transparency is dropped; of several frames the first is taken.

    Args:
        where: how messages call it.
        size: to be resized to, by bilinear interpolation with antialiasing.

    Raises:
        DataError: if its channels have more than 8 bits.
    """
    from PIL import Image, ImageOps

    if image.mode in _DEEP_MODES:
        raise DataError(f"{where}: an image of mode {image.mode} found, 8 bits a channel are allowed")
    mode = "L" if image.mode in ("1", "L", "LA") else "RGB"
    upright = ImageOps.exif_transpose(image)
    plain = upright if upright.mode == mode else upright.convert(mode)
    if size is not None:
        plain = plain.resize((size[1], size[0]), Image.Resampling.BILINEAR)
    values = np.asarray(plain)
    return values[None] if mode == "L" else values.transpose(2, 0, 1)


class Stack:
    """Pictures of one size, gathered one by one into an array; grey among coloured get three channels."""

    def __init__(self, count: int) -> None:
        self._count, self._next = count, 0
        self._array: NDArray[np.uint8] | None = None

    def add(self, image: NDArray[np.uint8], where: str) -> None:
        """Append a picture [channels, height, width]. Raises DataError if its size is not the first's."""
        if self._array is None:
            check_extent(f"{where} and {self._count - 1:,} more of its size", self._count * image.nbytes)
            self._array = np.empty((self._count, *image.shape), np.uint8)
        height, width = self._array.shape[2:]
        if image.shape[1:] != (height, width):
            raise DataError(
                f"{where}: an image of {image.shape[2]}×{image.shape[1]} found, {width}×{height} like the "
                f"others is needed; `resize: [{height}, {width}]` brings all to one size"
            )
        if len(image) > self._array.shape[1]:
            self._array = np.repeat(self._array, len(image), axis=1)
        self._array[self._next] = image
        self._next += 1

    def array(self) -> NDArray[np.uint8]:
        """All pictures, [count, channels, height, width]. There must be one at least."""
        assert self._array is not None
        assert self._next == self._count
        return self._array
