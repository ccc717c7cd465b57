"""Tables: features and targets by column, and every column that does not fit refused by its name."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from harness.datasets import DatasetSpec, prepare
from harness.datasets.preparation import decoded
from tests.datasets.kinds import Refusal

ROWS = [(number, number % 3, number / 4, "abc"[number % 3]) for number in range(12)]
CSV = "size,age,price,kind\n" + "".join(f"{a},{b},{c},{d}\n" for a, b, c, d in ROWS)


def _spec(path: str = "houses.csv", **settings: Any) -> DatasetSpec:
    return DatasetSpec("houses", "table", path, {"test_fraction": 0.25, **settings})


@pytest.fixture(autouse=True)
def _houses(tmp_path: Path) -> None:
    (tmp_path / "houses.csv").write_text(CSV)


def test_a_fractional_column_is_a_number_to_be_told(tmp_path: Path, cache: Path) -> None:
    spec = _spec(target="price", features=["size", "age"])
    facts = prepare(spec, tmp_path, cache)
    assert (facts.target, facts.target_shape, facts.outputs, facts.example_shape) == ("numbers", (), 1, (2,))
    entry = decoded(spec, tmp_path, cache)
    assert entry.array("y_train").dtype == np.float32
    np.testing.assert_array_equal(entry.array("x_train")[:, 0] / 4, entry.array("y_train"))
    assert len(entry.array("y_test")) == 3


def test_several_targets_are_numbers(tmp_path: Path, cache: Path) -> None:
    facts = prepare(_spec(target=["price", "age"], features=["size"]), tmp_path, cache)
    assert (facts.target, facts.target_shape, facts.outputs) == ("numbers", (2,), 2)


@pytest.mark.parametrize(("target", "features"), [("kind", ["size", "price"]), ("age", ["size", "price"])])
def test_words_and_whole_numbers_are_classes_in_their_order(
    tmp_path: Path, cache: Path, target: str, features: list[str]
) -> None:
    entry = decoded(_spec(target=target, features=features), tmp_path, cache)
    np.testing.assert_array_equal(entry.array("x_test")[:, 0] % 3, entry.array("y_test"))
    assert sorted(entry.array("y_test")) == [0, 1, 2]


def test_whole_numbers_may_be_said_to_be_measured(tmp_path: Path, cache: Path) -> None:
    spec = _spec(target="age", features=["size"])
    assert prepare(spec, tmp_path, cache).target == "classes"
    said = replace(spec, settings={**spec.settings, "kind": "numbers"})
    assert prepare(said, tmp_path, cache).target == "numbers"


def test_forms_of_a_table_make_no_difference(tmp_path: Path, cache: Path) -> None:
    spec = _spec(target="price", features=["size", "age"])
    facts = prepare(spec, tmp_path, cache)
    columns = dict(zip(("size", "age", "price", "kind"), zip(*ROWS, strict=True), strict=True))
    pq.write_table(pa.table({name: list(values) for name, values in columns.items()}), tmp_path / "h.parquet")
    (tmp_path / "h.tsv").write_text(CSV.replace(",", "\t"))
    (tmp_path / "h.csv").write_text("\ufeff" + CSV.replace(",", ";"))
    for file in ("h.parquet", "h.tsv", "h.csv"):
        assert prepare(replace(spec, path=file), tmp_path, cache).fingerprint == facts.fingerprint


def test_the_test_part_may_be_a_file(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "apart.csv").write_text("age,size,kind\n1,100,b\n")
    settings = {"target": "kind", "features": ["size"]}
    spec = DatasetSpec("houses", "table", "houses.csv", {**settings, "test": "apart.csv"})
    entry = decoded(spec, tmp_path, cache)
    assert (entry.array("x_test").tolist(), entry.array("y_test").tolist()) == ([[100]], [1])
    (tmp_path / "both").mkdir()
    (tmp_path / "houses.csv").rename(tmp_path / "both" / "train.csv")
    (tmp_path / "apart.csv").rename(tmp_path / "both" / "test.csv")
    both = prepare(DatasetSpec("houses", "table", "both", settings), tmp_path, cache)
    assert both.fingerprint == entry.about["fingerprint"]


BAD = {
    "a column of words": (
        CSV,
        {"target": "price"},
        "houses.csv: column 'kind' holds no numbers (string, 'a' for one); numbers are needed, or another ch",
    ),
    "no such column": (
        CSV,
        {"target": "prize"},
        "houses.csv: no column 'prize' found; did you mean 'price'?",
    ),
    "no target": (CSV, {}, "data set 'houses', field 'target': nothing found, a column's name is needed"),
    "a gap": (
        CSV.replace("3,0,", "3,,"),
        {"target": "price", "features": ["age"]},
        "houses.csv: column 'age', row 3: nothing found, a value is needed",
    ),
    "not a number": (
        CSV.replace("3,0,0.75", "3,0,nan"),
        {"target": "price", "features": ["age"]},
        "houses.csv: column 'price', row 3: nan found, finite numbers of 32 bits are allowed",
    ),
    "row numbers": (
        CSV.replace("size", ""),
        {"target": "price"},
        "houses.csv: a column '' found, which looks like row numbers",
    ),
    "a target that is seen": (
        CSV,
        {"target": "price", "features": ["price"]},
        "houses.csv: column 'price' is named as a feature and as a target",
    ),
    "one class": (
        "a,b\n1,x\n2,x\n",
        {"target": "b", "test_fraction": 0.5},
        "houses.csv: column 'b': only the class 'x' found, at least two are needed",
    ),
    "a class that is too rare": (
        "a,b\n1,x\n2,x\n3,y\n",
        {"target": "b", "test_fraction": 0.9},
        "data set 'houses', field 'test_fraction': 0.9 found, which of 3 examples leaves none ",
    ),
    "fractions as classes": (
        CSV,
        {"target": "price", "features": ["age"], "kind": "classes"},
        "houses.csv: column 'price', row 1: 0.25 found as a class, whole numbers or words are allowed",
    ),
    "rows of other lengths": (
        "a,b\n1,2\n3\n",
        {"target": "b"},
        "houses.csv: not readable as a table (CSV parse error: Expected 2 columns, got 1: 3)",
    ),
    "an empty file": ("", {"target": "b"}, "houses.csv: not readable as a table (Empty CSV file)"),
    "no rows": ("a,b\n", {"target": "b"}, "houses.csv: no rows found, at least one is needed"),
    "two columns of a name": ("a,a,b\n1,2,3\n", {"target": "b"}, "houses.csv: two columns 'a' found"),
}


@pytest.mark.parametrize(("text", "settings", "sentence"), BAD.values(), ids=BAD.keys())
def test_bad_tables(
    text: str, settings: dict[str, Any], sentence: str, refusal: Refusal, tmp_path: Path
) -> None:
    (tmp_path / "houses.csv").write_text(text)
    assert refusal(_spec(**settings), tmp_path).startswith(sentence)


def test_one_table_needs_a_test_part(refusal: Refusal, tmp_path: Path) -> None:
    spec = DatasetSpec("houses", "table", "houses.csv", {"target": "age"})
    assert refusal(spec, tmp_path) == (
        "data set 'houses': houses.csv is one table; `test: FILE` or `test_fraction` is needed"
    )


def test_all_places_are_named(refusal: Refusal, tmp_path: Path) -> None:
    spec = replace(_spec("gone.csv", target="age"), beside=tmp_path / "study")
    assert refusal(spec, tmp_path) == (
        "data set 'houses', field 'path': 'gone.csv' found, but there is no study/gone.csv (beside the "
        "study) and gone.csv (in the data folder)"
    )
