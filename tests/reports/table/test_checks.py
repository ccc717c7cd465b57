"""Every bad table gives one clear sentence, or is read in the one sensible way and says so."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from reports.errors import TableError
from reports.settings import Settings
from reports.table import reading
from reports.table.checks import check_table
from reports.table.joining import load_tables
from tests.reports.made import made_table

LOSS = Settings(score="loss", validation_column="val_loss", test_column="test_loss", lower_is_better=True)


def changed(column: str, row: int, value: float | str) -> pd.DataFrame:
    """A good table with one wrong value."""
    table = made_table().astype(object)
    table.loc[row, column] = value
    return table


def refusal(table: pd.DataFrame, settings: Settings | None = None) -> str:
    """The sentence that refuses a table."""
    with pytest.raises(TableError) as caught:
        check_table(table, settings=settings or Settings(), source="trials.csv")
    message = str(caught.value)
    assert message.startswith("trials.csv: ")
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (made_table().drop(columns="test_accuracy"), ["column test_accuracy is missing", "val_accuracy"]),
        (made_table().rename(columns={"method": "methods"}), ["column method", "did you mean 'methods'"]),
        (changed("test_accuracy", 0, np.nan), ["test_accuracy, row 1", "found nothing", "status ok"]),
        (changed("val_accuracy", 3, 1.7), ["val_accuracy, row 4", "1.7", "0 to 1"]),
        (changed("val_accuracy", 3, -0.1), ["val_accuracy, row 4", "-0.1"]),
        (changed("test_accuracy", 3, np.inf), ["test_accuracy, row 4", "inf"]),
        (changed("val_accuracy", 5, "high"), ["val_accuracy, row 6", "'high'", "a number"]),
        (changed("trial_id", 1, "digits-mlp-fixed-0"), ["trial_id, row 2", "once"]),
        (changed("trial_id", 1, ""), ["trial_id, row 2"]),
        (changed("method", 2, ""), ["method, row 3", "a name"]),
        (changed("status", 2, "fine"), ["status, row 3", "'fine'", "out_of_memory"]),
        (changed("sampling", 2, "random"), ["sampling, row 3", "'random'", "adaptive"]),
        (changed("parameters", 2, -5), ["parameters, row 3", "'-5'", "from 0 up"]),
        (changed("parameters", 2, 5.5), ["parameters, row 3", "whole number"]),
        (made_table().iloc[:0], ["no trials"]),
        (made_table().assign(status="lost"), ["every row has status lost"]),
        (made_table().assign(metric=["accuracy", "f1"] * 30), ["2 metrics", "accuracy, f1"]),
    ],
)
def test_a_wrong_table_is_refused_in_one_sentence(table: pd.DataFrame, words: list[str]) -> None:
    message = refusal(table)
    for word in words:
        assert word in message


def test_a_table_half_in_per_cent_is_refused() -> None:
    table = made_table()
    of_l2 = table["method"] == "l2"
    table.loc[of_l2, ["val_accuracy", "test_accuracy"]] *= 100
    assert "never both in one table" in refusal(table)


def test_a_table_in_per_cent_is_read_as_such_and_says_so() -> None:
    table = made_table()
    table[["val_accuracy", "test_accuracy"]] *= 100
    checked = check_table(table)
    assert checked.trials["test_accuracy"].max() <= 1
    assert any("per cent" in note for note in checked.notes)


def test_a_table_without_statuses_and_sampling_says_how_it_is_read() -> None:
    columns = ["dataset", "architecture", "method", "val_accuracy", "test_accuracy"]
    checked = check_table(made_table()[columns])
    assert not checked.has_sampling
    assert set(checked.trials["status"]) == {"ok", "crashed"}
    assert len(checked.trials) == len(made_table())
    notes = " ".join(checked.notes)
    assert "does not say how its trials were sampled" in notes
    assert "counted as failed" in notes


def test_optunas_names_of_states_are_read() -> None:
    frame = made_table()
    names = {"ok": "COMPLETE", "crashed": "FAIL", "diverged": "FAIL"}
    frame["status"] = frame["status"].replace(names)
    frame.loc[frame.index[0], "status"] = "RUNNING"
    checked = check_table(frame)
    assert checked.lost == 1
    assert {"ok", "crashed"} <= set(checked.trials["status"])
    assert "COMPLETE as ok" in " ".join(checked.notes)


def test_lost_rows_are_counted_apart() -> None:
    checked = check_table(changed("status", 0, "lost"))
    assert (checked.lost, len(checked.trials)) == (1, len(made_table()) - 1)


def test_failed_trials_stay_and_lose_infinite_scores() -> None:
    table = changed("status", 0, "diverged")
    table.loc[0, "val_accuracy"] = np.inf
    trials = check_table(table).trials
    assert len(trials) == len(table)
    assert np.isnan(trials["val_accuracy"][0])


def test_another_score_may_have_any_range() -> None:
    table = made_table().rename(columns={"val_accuracy": "val_loss", "test_accuracy": "test_loss"})
    table[["val_loss", "test_loss"]] *= 40
    assert check_table(table, settings=LOSS).trials["test_loss"].max() > 1
    assert "column val_loss is missing" in refusal(made_table(), LOSS)


def test_empty_columns_are_as_if_not_there() -> None:
    assert "joules" not in check_table(made_table().assign(joules=np.nan)).trials


def test_csv_and_parquet_give_the_same_table(tmp_path: Path) -> None:
    table = made_table()
    table.to_csv(tmp_path / "t.csv", index=False)
    table.to_parquet(tmp_path / "t.parquet")
    first, second = (load_tables([tmp_path / name]).trials for name in ("t.csv", "t.parquet"))
    pd.testing.assert_frame_equal(first, second)


def test_two_tables_may_not_share_a_trial(tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv"):
        made_table().to_csv(tmp_path / name, index=False)
    with pytest.raises(
        TableError, match=r"a\.csv and .*b\.csv both hold trial digits-mlp-fixed-0 \(and 59 more\)"
    ):
        load_tables([tmp_path / "a.csv", tmp_path / "b.csv"])


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("t.csv", b"", "is empty"),
        ("t.parquet", b"PAR1 and no more", "not a parquet file"),
        ("t.csv", b"dataset,method\nx", "line 2 has 1 fields"),
        ("t.csv", b"dataset;method\nx;y\n", "not separated by commas"),
        ("t.csv", b"dataset,dataset\nx,y\n", "column dataset is there 2 times"),
        ("t.csv", b"dataset,method\n\xff\xfe,y\n", "not UTF-8"),
        ("t.csv", b'dataset,method\n"x,y\n', "not a CSV file"),
        ("t.xlsx", b"PK", "'.xlsx'"),
    ],
)
def test_a_damaged_file_is_refused_in_one_sentence(
    tmp_path: Path, name: str, content: bytes, words: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(TableError, match=re.escape(words)) as caught:
        load_tables([path])
    assert str(path) in str(caught.value)


def test_a_missing_file_or_a_folder_is_refused(tmp_path: Path) -> None:
    for path, found in ((tmp_path / "no.csv", "found nothing"), (tmp_path, "found a folder")):
        with pytest.raises(TableError, match=found):
            load_tables([path])


def test_a_file_that_is_no_trial_table_stops_early(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A 3 GB log is refused after so many rows, with what was read so far in memory and no more."""
    monkeypatch.setattr(reading, "MAX_TRIALS", 50)
    made_table().to_csv(tmp_path / "t.csv", index=False)
    made_table().to_parquet(tmp_path / "t.parquet")
    for name in ("t.csv", "t.parquet"):
        with pytest.raises(TableError, match="at most"):
            load_tables([tmp_path / name])


def test_columns_that_no_report_uses_are_not_kept(tmp_path: Path) -> None:
    table = made_table().assign(weights="0.1 " * 10_000, units='{"hidden_1": 8}', message="x" * 5000)
    table.to_csv(tmp_path / "t.csv", index=False)
    trials = load_tables([tmp_path / "t.csv"]).trials
    assert not {"weights", "units"} & set(trials.columns)
    assert trials["message"].str.len().max() == reading.MAX_TEXT
