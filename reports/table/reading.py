"""Reads trial tables from CSV and parquet files, a block at a time, keeping only what a report uses."""

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from harness.trial_table import COLUMNS, PARAMETER_PREFIX
from reports.errors import TableError

#: More trials than this are no trial table but a log; reading stops there, so memory stays bounded (about
#: 1.5 GB at this many rows with every column of the schema filled).
MAX_TRIALS = 1_000_000
#: A searched value has a column each; a table of more columns is no trial table either.
MAX_COLUMNS = 5_000
#: Longest text kept of one field: a traceback of a megabyte would be held once a trial.
MAX_TEXT = 300
#: A column whose texts are longer, an entry a layer; what is longer still is cut, and then not used.
_LONGER = {"layer_weights": 30_000}
_BLOCK_ROWS = 20_000
#: Never shown or judged, and the longest field of most tables.
_UNUSED = frozenset({"units"})
_KNOWN = frozenset(column.name for column in COLUMNS) - _UNUSED
#: A column that says which metric the scores are: one table, one metric.
METRIC_COLUMN = "metric"


def read_table(path: Path, extra_columns: Sequence[str] = ()) -> pd.DataFrame:
    """Reads one trial table, unchecked (`reports.table.checks.check_table` checks it).

    Args:
        path: a `.csv` or `.parquet` file; compressed CSV is not read.
        extra_columns: names of score columns outside the schema that the caller asks for.

    Returns:
        One row a trial, columns in the file's order; of CSV every value is text, "" where empty. Columns that
        no report uses are left out while reading.

    Raises:
        TableError: the file is absent, empty, not in its format, or holds more than `MAX_TRIALS` trials.
    """
    wanted = _KNOWN | set(extra_columns) | {METRIC_COLUMN}
    if not path.is_file():
        found = "a folder" if path.is_dir() else "nothing"
        raise TableError(f"{path}: found {found}; allowed is a trial table, a .csv or .parquet file")
    if path.stat().st_size == 0:
        raise TableError(f"{path}: the file is empty; a trial table starts with a line of column names")
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        return _read_parquet(path, wanted)
    if suffix in (".csv", ".txt"):
        return _read_csv(path, wanted)
    raise TableError(f"{path}: found the ending {suffix!r}; allowed are .csv and .parquet")


def longest_text(column: str) -> int:
    """How many characters of a column's texts are kept."""
    return _LONGER.get(column, MAX_TEXT)


def _check_width(path: Path, columns: int) -> None:
    if columns > MAX_COLUMNS:
        raise TableError(f"{path}: {columns:,} columns; allowed are at most {MAX_COLUMNS:,}")


def _is_wanted(name: str, wanted: frozenset[str] | set[str]) -> bool:
    return name in wanted or name.startswith(PARAMETER_PREFIX)


def _read_csv(path: Path, wanted: frozenset[str] | set[str]) -> pd.DataFrame:
    # The csv module, not pandas: pandas fills short rows and cuts long ones without a word, and a file whose
    # last line was cut off by a full disk must not pass as a table with one failed trial.
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(file, strict=True)
            header = [name.strip() for name in next(rows, [])]
            kept = _kept_columns(path, header, wanted)
            blocks = list(_csv_blocks(path, rows, header, kept))
    except UnicodeDecodeError as error:
        raise TableError(
            f"{path}: not UTF-8 text (byte {error.start}); allowed is a CSV file in UTF-8"
        ) from None
    except csv.Error as error:
        raise TableError(f"{path}: not a CSV file that can be read ({error})") from None
    except OSError as error:
        raise TableError(f"{path}: cannot be read ({error.strerror})") from None
    if not blocks:
        return pd.DataFrame({header[position]: pd.Series(dtype=str) for position in kept})
    return pd.concat(blocks, ignore_index=True)


def _kept_columns(path: Path, header: list[str], wanted: frozenset[str] | set[str]) -> list[int]:
    _check_width(path, len(header))
    times = Counter(name for name in header if name)
    twice = sorted(name for name, count in times.items() if count > 1)
    if twice:
        raise TableError(f"{path}: column {twice[0]} is there {times[twice[0]]} times; allowed is once")
    if len(header) == 1 and (";" in header[0] or "\t" in header[0]):
        raise TableError(f"{path}: columns are not separated by commas; allowed is a CSV file with commas")
    return [position for position, name in enumerate(header) if _is_wanted(name, wanted)]


def _csv_blocks(
    path: Path, rows: Iterator[list[str]], header: list[str], kept: list[int]
) -> Iterator[pd.DataFrame]:
    columns: list[list[str]] = [[] for _ in kept]
    count = 0
    for number, row in enumerate(rows, start=2):
        if not row:
            continue
        if len(row) != len(header):
            raise TableError(
                f"{path}: line {number} has {len(row)} fields where the first line names {len(header)} "
                "columns; "
                "the file may have been cut short"
            )
        count += 1
        if count > MAX_TRIALS:
            raise TableError(
                f"{path}: more than {MAX_TRIALS:,} rows; allowed is one row a trial, at most that many"
            )
        for values, position in zip(columns, kept, strict=True):
            values.append(row[position][: longest_text(header[position])])
        if count % _BLOCK_ROWS == 0:
            yield _text_frame(header, kept, columns)
            columns = [[] for _ in kept]
    if columns and columns[0]:
        yield _text_frame(header, kept, columns)


def _text_frame(header: list[str], kept: list[int], columns: list[list[str]]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            header[position]: pd.Series(values, dtype=str)
            for position, values in zip(kept, columns, strict=True)
        }
    )


def _read_parquet(path: Path, wanted: frozenset[str] | set[str]) -> pd.DataFrame:
    try:
        file = pq.ParquetFile(path)
        rows = file.metadata.num_rows
        if rows > MAX_TRIALS:
            raise TableError(f"{path}: {rows:,} rows; allowed is one row a trial, at most {MAX_TRIALS:,}")
        _check_width(path, file.metadata.num_columns)
        columns = [name for name in file.schema_arrow.names if _is_wanted(name, wanted)]
        # Without what pandas notes in a file about itself, which may be damaged where the table is sound.
        table = file.read(columns=columns, use_threads=False).replace_schema_metadata(None)
        frame: pd.DataFrame = table.to_pandas()
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0]
        raise TableError(f"{path}: not a parquet file that can be read ({reason})") from None
    return frame
