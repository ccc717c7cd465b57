"""The report as files: complete, reproducible, self-contained, and unharmed by odd tables."""

import csv
import json
import math
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from harness.design import StudyDesign
from reports import write
from reports.arms.from_table import read_arms
from reports.description.accounting import account
from reports.errors import TableError
from reports.settings import Settings
from reports.table.checks import check_table
from reports.write import short_table, write_report
from tests.reports.made import made_design, made_histories, made_table

#: Few permutations and resamples: these tests are about what is written, not about the last digit.
QUICK = Settings(permutations=199, resamples=100)


def report(table: pd.DataFrame, out: Path, design: StudyDesign | None = None, **more: Any) -> dict[str, Any]:
    """Writes a report and returns its `results.json`; the page must hold no sign of a missing value."""
    page = write_report(table, out, design=design, settings=more.pop("settings", QUICK), **more)
    text = re.sub(r"<svg.*?</svg>", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert not re.search(r"\bnan\b|\binf\b|>None<|Undefined", text, flags=re.IGNORECASE)
    document = json.loads((out / "results.json").read_text(encoding="utf-8"), parse_constant=_no_constant)
    assert isinstance(document, dict)
    return document


def _no_constant(name: str) -> float:
    raise AssertionError(f"{name} in results.json")


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a finished study of two cells with histories."""
    table = made_table(cells=2)
    out = tmp_path_factory.mktemp("full")
    report(table, out, made_design(table), histories=made_histories(table, "shrinknets"))
    return out


def test_all_files_are_there_and_small(full: Path) -> None:
    page = full / "report.html"
    assert page.stat().st_size < 10_000_000
    assert {path.name for path in full.iterdir()} == {
        "report.html",
        "report.md",
        "results.json",
        "figures",
        "tables",
    }
    document = json.loads((full / "results.json").read_text(encoding="utf-8"))
    names = [figure["name"] for figure in document["figures"]]
    assert len(names) == len(set(names))
    for ending in ("svg", "pdf"):
        assert {path.stem for path in (full / "figures").glob(f"*.{ending}")} == set(names)
    assert {figure["family"] for figure in document["figures"]} == {
        "forest",
        "budget",
        "profile",
        "distributions",
        "curves",
        "targets",
        "sizes",
        "win",
        "histories",
    }
    assert all(len(figure["alt"]) > 40 for figure in document["figures"])
    stems = {path.stem for path in (full / "tables").glob("*.csv")}
    assert stems == {path.stem for path in (full / "tables").glob("*.tex")}
    assert {"accounting", "arms", "contrasts", "savings", "tests"} <= stems


def test_the_same_trials_give_the_same_bytes(tmp_path: Path) -> None:
    """Also in another process, with other hashes of strings, and with the rows in another order."""
    script = (
        "import sys; from pathlib import Path; from reports.settings import Settings;"
        "from reports.write import write_report;"
        "from tests.reports.made import made_design, made_histories, made_table;"
        "t = made_table(trials=12); d = made_design(t); h = made_histories(t, 'shrinknets');"
        "t = t.sample(frac=1, random_state=int(sys.argv[2]));"
        "write_report(t, Path(sys.argv[1]), design=d, histories=h,"
        " settings=Settings(permutations=99, resamples=50))"
    )
    root = Path(__file__).parents[2]
    written = []
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(root)}
        out = tmp_path / seed
        subprocess.run([sys.executable, "-c", script, str(out), seed], check=True, env=environment, cwd=root)
        written.append(
            {str(p.relative_to(out)): p.read_bytes() for p in sorted(out.rglob("*")) if p.is_file()}
        )
    assert written[0].keys() == written[1].keys()
    assert [name for name in written[0] if written[0][name] != written[1][name]] == []


class _Addresses(HTMLParser):
    """Collects everything that could make a browser fetch something, and every script."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "iframe", "object", "embed", "link", "base", "form"):
            self.found.append(tag)
        for name, value in attrs:
            value = value or ""
            if name == "id":
                self.ids.append(value)
            if name.startswith("on"):
                self.found.append(f"{tag} {name}")
            is_inside = value.startswith(("#", "data:image/png;base64,"))
            if name in ("src", "href", "xlink:href", "srcset", "action", "data", "poster") and not is_inside:
                self.found.append(f"{tag} {name}={value}")


def test_the_page_fetches_nothing_and_runs_nothing(full: Path) -> None:
    text = (full / "report.html").read_text(encoding="utf-8")
    parser = _Addresses()
    parser.feed(text)
    assert parser.found == []
    assert len(parser.ids) == len(set(parser.ids))
    assert "default-src 'none'" in text
    assert not re.search(r"@import|url\((?!#)", text)
    assert not re.search(r"https?:", text)
    for svg in (full / "figures").glob("*.svg"):
        assert not re.search(r'(?:href|src)="https?:', svg.read_text(encoding="utf-8"))


def test_numbers_on_the_page_come_from_results_json(full: Path) -> None:
    """Figures that the page shows for the arms are those of results.json, said as percentages."""
    document = json.loads((full / "results.json").read_text(encoding="utf-8"))
    text = (full / "report.html").read_text(encoding="utf-8")
    for arm in document["summaries"]:
        for value in (arm["test_median"], arm["best_test"], arm["test_max"]):
            assert f"{value * 100:.2f}" in text
    for cell in document["analysis"]["cells"]:
        for contrast in cell["contrasts"]:
            kind = contrast["verdict"]["kind"]
            assert re.search(rf'<span class="kind[^"]*">{kind}</span>', text)


def test_odd_names_stay_text_everywhere(tmp_path: Path) -> None:
    odd = ("<script>alert(1)</script>", "=1+1|cmd", 'a,b "c"', "$x^2$ & 50%", "@x", "長い\n名前")
    methods = ("fixed", *odd)
    table = made_table(trials=6, methods=methods)
    table["dataset"] = "<img src=x>"
    document = report(table, tmp_path, made_design(table))
    assert {arm["method"] for arm in document["summaries"]} == set(methods)
    for name in ("report.html", "report.md"):
        text = (tmp_path / name).read_text(encoding="utf-8")
        assert "<script" not in text
        assert "<img" not in text
    for path in (tmp_path / "tables").glob("*.csv"):
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.reader(file):
                assert not any(cell.startswith(("=", "@", "+")) for cell in row)


def test_negative_numbers_in_csv_stay_numbers(full: Path) -> None:
    for path in (full / "tables").glob("*.csv"):
        frame = pd.read_csv(path)
        numbers = frame.select_dtypes("number").columns
        texts = [c for c in frame.columns if c not in numbers]
        assert not any(frame[c].astype(str).str.fullmatch(r"'-[\d.]+").any() for c in texts), path.name


def test_accounting_adds_up_or_says_so(tmp_path: Path) -> None:
    table = made_table(trials=8)
    arms = read_arms(check_table(table).trials, QUICK)
    fine = account(arms, made_design(table), 0, "fixed")
    assert (fine.planned, fine.total, fine.not_run, fine.problems) == (24, 24, 0, ())
    unfinished = account(arms, made_design(table, missing=2), 3, "fixed")
    assert (unfinished.planned, unfinished.not_run, unfinished.is_finished) == (30, 6, False)
    assert unfinished.lost_attempts == 3

    stranger = table.assign(method=table["method"].replace("l2", "stranger"))
    document = report(stranger, tmp_path, made_design(table, missing=-1))
    problems = document["accounting"]["problems"]
    assert len(problems) == 3
    assert "digits / mlp / fixed: 8 outcomes for 7 planned trials" in problems[0]
    assert "digits / mlp / stranger: 8 trials of an arm that the study's design does not have" in problems[2]
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "The trials do not add up" in page
    assert "This study is not finished: 7 of 21 planned trials" in page


def _all_failed(table: pd.DataFrame) -> pd.DataFrame:
    empty = dict.fromkeys(("val_accuracy", "test_accuracy", "parameters"), np.nan)
    return table.assign(status="crashed", **empty)


def _tied(table: pd.DataFrame) -> pd.DataFrame:
    ok = table["status"] == "ok"
    return table.assign(val_accuracy=np.where(ok, 0.9, np.nan), test_accuracy=np.where(ok, 0.9, np.nan))


def _separated(table: pd.DataFrame) -> pd.DataFrame:
    down = np.where(table["method"] == "fixed", 0.5, 1.0)
    return table.assign(
        val_accuracy=table["val_accuracy"] * down, test_accuracy=table["test_accuracy"] * down
    )


def _identical(table: pd.DataFrame) -> pd.DataFrame:
    first = table[table["method"] == "fixed"]
    copies = [first.assign(method=m, trial_id=first["trial_id"] + m) for m in ("fixed", "l2", "shrinknets")]
    return pd.concat(copies)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda t: t.iloc[:1], id="one trial"),
        pytest.param(lambda t: t[t["method"] == "fixed"], id="one arm"),
        pytest.param(lambda t: t[(t["method"] != "l2") | (t["index"] == 0)], id="an arm of one trial"),
        pytest.param(_all_failed, id="all failed"),
        pytest.param(lambda t: pd.concat([_all_failed(t[:15]), t[15:]]), id="one arm failed"),
        pytest.param(_tied, id="ties everywhere"),
        pytest.param(_identical, id="identical arms"),
        pytest.param(_separated, id="complete separation"),
        pytest.param(lambda t: t.iloc[:25], id="unfinished"),
        pytest.param(lambda t: t.assign(sampling="adaptive", replicate=0), id="adaptive"),
        pytest.param(lambda t: t.assign(sampling="design"), id="grid"),
        pytest.param(
            lambda t: t.drop(columns=["parameters", "train_seconds", "train_flops"]), id="scores alone"
        ),
    ],
)
def test_odd_tables_give_a_report(tmp_path: Path, change: Any) -> None:
    whole = made_table(trials=15)
    table = change(whole)
    has_design = len(table) % 2 == 0
    design = made_design(whole) if has_design else None
    settings = QUICK if has_design else Settings(baseline="fixed", permutations=99, resamples=50)
    document = report(table, tmp_path, design, settings=settings)
    assert document["accounting"]["total"] == len(table)
    summaries = short_table(table, design=design, settings=settings)
    assert sum(arm.trials for arm in summaries) == len(table)


def test_a_study_of_which_nothing_has_run_gives_a_report(tmp_path: Path) -> None:
    design = made_design(made_table(trials=4))
    for name, nothing in (("columns", made_table().iloc[:0]), ("bare", pd.DataFrame())):
        document = report(nothing, tmp_path / name, design)
        assert document["accounting"]["not_run"] == 12
        assert [arm.trials for arm in short_table(nothing, design=design)] == [0, 0, 0]


def test_a_loss_is_told_the_right_way_round(tmp_path: Path) -> None:
    table = made_table().rename(columns={"val_accuracy": "val_loss", "test_accuracy": "test_loss"})
    table["val_loss"], table["test_loss"] = 1 - table["val_loss"], 1 - table["test_loss"]
    settings = Settings(
        score="loss",
        validation_column="val_loss",
        test_column="test_loss",
        lower_is_better=True,
        permutations=99,
        resamples=50,
    )
    document = report(table, tmp_path, made_design(table), settings=settings)
    for arm in document["summaries"]:
        part = table[(table["method"] == arm["method"]) & (table["status"] == "ok")]
        assert math.isclose(arm["best_val"], part["val_loss"].min())


def test_more_methods_than_colours_split_the_curves(tmp_path: Path) -> None:
    methods = ("fixed", "a", "b", "c", "d", "e")
    table = made_table(trials=10, methods=methods)
    document = report(table, tmp_path, made_design(table))
    curves = [figure for figure in document["figures"] if figure["family"] == "curves"]
    assert len(curves) == 2
    assert all("fixed:" in figure["alt"] for figure in curves)


def test_many_points_are_drawn_as_an_image(tmp_path: Path) -> None:
    table = made_table(trials=1000, methods=("fixed", "l2", "shrinknets"))
    report(table, tmp_path, settings=Settings(permutations=9, resamples=9))
    svg = (tmp_path / "figures" / "scores-digits-mlp.svg").read_text(encoding="utf-8")
    assert "<image" in svg
    assert svg.count("<use") < 1000


def test_histories_may_hold_infinite_losses_but_not_lack_columns(tmp_path: Path) -> None:
    table = made_table(trials=8)
    histories = made_histories(table, "shrinknets")
    histories.loc[:3, "train_loss"] = [np.inf, np.nan, 0.0, 1.0]
    document = report(table, tmp_path, histories=histories)
    assert "histories" in {figure["family"] for figure in document["figures"]}
    with pytest.raises(TableError, match="no column units_total"):
        write_report(table, tmp_path, histories=histories.drop(columns="units_total"), settings=QUICK)


def test_an_earlier_report_leaves_nothing_behind(tmp_path: Path) -> None:
    report(made_table(cells=2, trials=6), tmp_path)
    document = report(made_table(cells=1, trials=6), tmp_path)
    assert {path.stem for path in (tmp_path / "figures").iterdir()} == {
        f["name"] for f in document["figures"]
    }


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(TableError, match="cannot be written"):
        write_report(made_table(trials=4), tmp_path / "taken", settings=QUICK)


def test_a_page_without_room_names_the_figures_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write, "PAGE_FIGURE_BYTES", 100_000)
    document = report(made_table(trials=8), tmp_path)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    last = document["figures"][-1]["name"]
    assert f"It is figures/{last}.svg" in page
    assert (tmp_path / "figures" / f"{last}.svg").stat().st_size > 1000
