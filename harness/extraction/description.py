"""architecture.json: all that rebuilds an extracted network, and what it needs to be fed."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from harness.datasets.base import Normalisation
from harness.extraction.alteration import Alteration
from harness.extraction.errors import ExtractionError
from harness.records.files import NoFileError, read_file
from harness.study.versions import VersionError, check_version

FILE = "architecture.json"
#: 1 knew neither alterations, shapes nor packages.
SCHEMA_VERSION = 2
WEIGHTS = "model.safetensors"
_MOST_BYTES = 10_000_000


@dataclass(frozen=True, slots=True)
class Description:
    """An extracted network.

    family, options: the architecture, as the registry of the harness knows it.
    plugins: file name -> SHA-256 of the plug-in files that define the family and inserted blocks; none if
        these ship or come from installed packages. sources: the same of all that these files import
        (`harness.plugins.sources`). packages: installed package -> version, of those that the network's code
        is from.
    example_shape: of one example, without the batch axis. outputs: length of the output, one logit a class.
    sizes: sized layer -> units, as the architecture is asked to build them.
    alterations: blocks that were then taken out and put in, in this order. shapes: path -> shape, of tensors
        that were cut or grown beyond what sizes say, after the alterations.
    normalisation: the network takes (x - mean) / std, one number for each entry of the axis after the batch,
        where x are the values of the source: 0 to 255 for images.
    val_score, test_score: accuracy of this very network.
    is_resized: normalised images of any height and width are brought to those of `example_shape` first,
        bilinear and antialiased.
    """

    study: str
    trial_id: str
    arm: str
    family: str
    options: dict[str, Any]
    plugins: dict[str, str]
    example_shape: tuple[int, ...]
    outputs: int
    classes: int
    sizes: dict[str, int]
    normalisation: Normalisation
    selected_epoch: int
    val_score: float
    test_score: float
    sources: dict[str, str] = field(default_factory=dict)
    is_resized: bool = False
    alterations: tuple[Alteration, ...] = ()
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    packages: dict[str, str] = field(default_factory=dict)
    schema_version: int = SCHEMA_VERSION


_DESCRIPTIONS = TypeAdapter(Description)


def write_description(folder: Path, description: Description) -> None:
    """Write architecture.json into a folder."""
    fields = {"schema_version": description.schema_version} | asdict(description)
    (folder / FILE).write_text(json.dumps(fields, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def read_description(folder: Path) -> Description:
    """Read a folder's architecture.json. Raises ExtractionError."""
    path = folder / FILE
    try:
        text = read_file(path)
    except FileNotFoundError as error:
        raise ExtractionError(f"{folder} holds no extracted network: there is no {FILE}") from error
    except NoFileError as error:
        raise ExtractionError(f"{path} {error}") from error
    except OSError as error:
        raise ExtractionError(f"{path} cannot be read: {error}") from error
    if len(text) > _MOST_BYTES:
        raise ExtractionError(f"{path} has {len(text):,} bytes; up to {_MOST_BYTES:,} are read")
    try:
        fields = json.loads(text)
        if isinstance(fields, dict):
            check_version(fields.get("schema_version"), SCHEMA_VERSION, path)
        return _DESCRIPTIONS.validate_python(fields)
    except VersionError as error:
        raise ExtractionError(str(error)) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(step) for step in first["loc"]) or "the file"
        raise ExtractionError(
            f"{path}: {where}: {first['msg'][0].lower()}{first['msg'][1:]}; another version wrote this file, "
            "or it was changed"
        ) from error
    except (ValueError, RecursionError) as error:  # no JSON, no text, or a number of thousands of digits
        raise ExtractionError(f"{path}: is not JSON: {error}") from error
