"""Where the user's files are looked for: beside the study first, then in the data folder."""

from pathlib import Path

from harness.datasets.base import DataError, DatasetSpec


def located(spec: DatasetSpec, data_root: Path, field: str = "path", path: str | None = None) -> Path:
    """The file or folder that a study names, where it lies. What it holds decides, never the place.

    Args:
        field, path: the study's field and what stands in it, where it is another than `path`.

    Raises:
        DataError: if it lies at no place that was looked at; all are named.
    """
    named = spec.path if path is None else path
    assert named is not None, "the registry asks formats for a path"
    if Path(named).is_absolute():
        places = {Path(named): "the path is absolute"}
    else:
        places = {} if spec.beside is None else {spec.beside / named: "beside the study"}
        places.setdefault(data_root / named, "in the data folder")
    for place in places:
        if place.exists():
            return place
    looked = " and ".join(f"{place} ({why})" for place, why in places.items())
    raise DataError(f"data set {spec.name!r}, field {field!r}: {named!r} found, but there is no {looked}")
