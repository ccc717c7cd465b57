"""Columns of a CSV or parquet file: read, and turned into numbers or classes."""

import gzip
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from harness.datasets.base import DataError
from harness.datasets.sources.extent import check_extent
from harness.nearest import nearest

if TYPE_CHECKING:
    import pyarrow as pa

#: A compressed table may be so many times larger than its file, and any may be of so many bytes.
_FOLD, _SMALL_BYTES = 100, 1 << 27


def read_table(file: Path) -> "pa.Table":
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet

    try:
        if file.suffix == ".parquet":
            about = pa.parquet.ParquetFile(file).metadata
            check_extent(str(file), 8 * about.num_rows * about.num_columns)
            table = pa.parquet.read_table(file)
        else:
            # Words are what is no number: "NA" may be a class, and in a column of numbers it is told of.
            convert = pa.csv.ConvertOptions(null_values=[""], strings_can_be_null=True)
            _check_packed(file)
            parse = pa.csv.ParseOptions(delimiter=_delimiter(file), newlines_in_values=True)
            table = pa.csv.read_csv(file, parse_options=parse, convert_options=convert)
    except (pa.ArrowException, OSError, UnicodeDecodeError, EOFError, zlib.error) as error:
        raise DataError(f"{file}: not readable as a table ({' '.join(str(error).split())})") from error
    if table.num_rows == 0:
        raise DataError(f"{file}: no rows found, at least one is needed")
    return table


def _check_packed(file: Path) -> None:
    """Refuse a compressed table that unfolds to far more than tables do, reading no more of it than that."""
    if file.suffix != ".gz":
        return
    most, count = max(_FOLD * file.stat().st_size, _SMALL_BYTES), 0
    with gzip.open(file) as stream:
        while block := stream.read(1 << 22):
            count += len(block)
            if count > most:
                raise DataError(
                    f"{file}: unpacked to more than {most:,} bytes, {_FOLD} times its size; unpack it "
                    "yourself if that is meant"
                )


def _delimiter(file: Path) -> str:
    """The one of comma, semicolon and tab that the heading has most of."""
    import pyarrow as pa

    with pa.input_stream(str(file), compression="detect") as stream:
        heading = stream.read(1 << 16).split(b"\n", 1)[0]
    return max(",;\t", key=lambda mark: heading.count(mark.encode()))


def check_named(file: Path, table: "pa.Table", names: Sequence[str]) -> None:
    for name in names:
        if name not in table.column_names:
            raise DataError(f"{file}: no column {name!r} found{nearest(name, table.column_names)}")


def _column(file: Path, table: "pa.Table", name: str) -> Any:
    """A column without gaps, as an array of Arrow."""
    import pyarrow as pa
    import pyarrow.compute as pc

    column = table.column(name).combine_chunks()
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if column.null_count:
        row = pc.index(column.is_null(), True).as_py()
        raise DataError(f"{file}: column {name!r}, row {row}: nothing found, a value is needed")
    return column


def numbers(file: Path, table: "pa.Table", name: str, others: str) -> NDArray[np.float64]:
    """A column of finite numbers; yes and no are 1 and 0."""
    import pyarrow as pa

    column = _column(file, table, name)
    held = column.type
    if pa.types.is_boolean(held):
        column = column.cast(pa.int8())
    elif not (pa.types.is_integer(held) or pa.types.is_floating(held) or pa.types.is_decimal(held)):
        raise DataError(
            f"{file}: column {name!r} holds no numbers ({held}, {column[0].as_py()!r:.40} for one); numbers "
            f"are needed, or another choice of `{others}`"
        )
    values: NDArray[np.float64] = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    with np.errstate(over="ignore"):
        bad = np.flatnonzero(~np.isfinite(values.astype(np.float32)))
    if len(bad):
        raise DataError(
            f"{file}: column {name!r}, row {bad[0]}: {values[bad[0]]} found, finite numbers of 32 bits "
            f"are allowed"
        )
    return values


def number_targets(
    files: Sequence[Path], tables: Sequence["pa.Table"], targets: Sequence[str]
) -> list[NDArray[Any]]:
    """Targets that are numbers: [rows] of one column, [rows, columns] of several."""
    columns = [
        [numbers(file, table, name, "target") for name in targets]
        for file, table in zip(files, tables, strict=True)
    ]
    return [part[0] if len(part) == 1 else np.stack(part, axis=1) for part in columns]


def class_targets(
    files: Sequence[Path], tables: Sequence["pa.Table"], targets: Sequence[str]
) -> list[NDArray[Any]]:
    """Targets that are classes, numbered in the order of the training table's values: [rows]."""
    if len(targets) > 1:
        raise DataError(f"{files[0]}: columns {', '.join(targets)} found as classes, one column is allowed")
    name = targets[0]
    values = [
        _whole(file, _column(file, table, name), name) for file, table in zip(files, tables, strict=True)
    ]
    kinds = [{type(value) for value in part} for part in values]
    if kinds[0] != kinds[-1]:
        raise DataError(f"{files[-1]}: column {name!r}: values of another type than in {files[0].name} found")
    numbers: Mapping[Any, int] = {value: number for number, value in enumerate(sorted(set(values[0])))}
    if len(numbers) < 2:
        raise DataError(
            f"{files[0]}: column {name!r}: only the class {values[0][0]!r:.40} found, at least two are needed"
        )
    for row, value in enumerate(values[-1]):
        if value not in numbers:
            raise DataError(
                f"{files[-1]}: column {name!r}, row {row}: class {value!r:.40} found, which "
                f"{files[0].name} lacks"
            )
    return [np.array([numbers[value] for value in part], dtype=np.int64) for part in values]


def _whole(file: Path, column: Any, name: str) -> list[Any]:
    import pyarrow as pa

    values: list[Any] = column.to_pylist()
    if pa.types.is_floating(column.type):
        for row, value in enumerate(values):
            if not float(value).is_integer():
                raise DataError(
                    f"{file}: column {name!r}, row {row}: {value} found as a class, whole numbers or words "
                    f"are allowed"
                )
        return [int(value) for value in values]
    allowed = (pa.types.is_integer, pa.types.is_boolean, pa.types.is_string, pa.types.is_large_string)
    if not any(is_one(column.type) for is_one in allowed):
        raise DataError(
            f"{file}: column {name!r} of type {column.type} found, words or whole numbers are allowed"
        )
    return values
