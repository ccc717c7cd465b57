"""A report takes away what an earlier one wrote, and nothing else, wherever its folder leads."""

import json
import tempfile
from pathlib import Path

import matplotlib as mpl
import pandas as pd
import pytest
from matplotlib import font_manager

from reports import write
from reports.errors import TableError
from reports.figures.fonts import font_families
from reports.settings import Settings
from reports.table import reading
from reports.table.reading import read_table
from reports.write import write_report
from tests.reports.made import made_table

QUICK = Settings(permutations=199, resamples=100)


def test_a_users_own_files_stay_where_the_folder_is_a_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write, "draw_figures", lambda *_: [])
    users, out = tmp_path / "paper", tmp_path / "report"
    (users / "figures").mkdir(parents=True)
    (users / "tables").mkdir()
    for name in ("figures/mine.svg", "figures/mine.pdf", "tables/mine.csv", "tables/mine.tex", "outside.svg"):
        (users / name).write_text("mine")
    out.symlink_to(users)
    listed = [{"name": "old"}, {"name": "../outside"}, {"name": 3}]
    (users / "results.json").write_text(json.dumps({"figures": listed}))
    (users / "figures" / "old.svg").write_text("ours, as the list says")
    write_report(made_table(), out, settings=QUICK)
    assert not (users / "figures" / "old.svg").exists()
    assert sum(path.read_text() == "mine" for path in users.rglob("*mine.*")) == 4
    assert (users / "outside.svg").exists()


def test_the_fonts_of_a_process_lie_in_a_cache_and_in_no_folder_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(font_manager.fontManager, "addfont", lambda path: added.append(Path(path)))
    added: list[Path] = []
    font_families.cache_clear()
    font_families()
    assert list(tmp_path.iterdir()) == []
    assert {path.parent for path in added} == {Path(mpl.get_cachedir())}
    assert all(path.is_file() for path in added)


def test_tables_of_thousands_of_columns_are_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    columns = {f"param_{number}": [1.0] for number in range(20_000)}
    table = pd.DataFrame({"dataset": ["d"], **columns})
    table.to_csv(tmp_path / "t.csv", index=False)
    monkeypatch.setattr(reading, "MAX_COLUMNS", 5)
    table.iloc[:, :6].to_parquet(tmp_path / "t.parquet")
    with pytest.raises(TableError, match=r"20,001 columns; allowed are at most"):
        read_table(tmp_path / "t.csv")
    with pytest.raises(TableError, match=r"6 columns; allowed are at most 5"):
        read_table(tmp_path / "t.parquet")


def test_a_sound_table_is_read_though_its_notes_are_damaged(tmp_path: Path) -> None:
    table = made_table()
    table.to_parquet(tmp_path / "t.parquet")
    content = (tmp_path / "t.parquet").read_bytes()
    assert content.count(b'"numpy_type"') > 3
    (tmp_path / "t.parquet").write_bytes(content.replace(b'"numpy_type"', b'"numpy_tyqe"'))
    assert len(read_table(tmp_path / "t.parquet")) == len(table)
