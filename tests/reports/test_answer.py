"""The answer in short: verdicts counted as given, and the same words wherever it is said."""

import functools
import html
import io
import json
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from harness.cli.reports import show_report
from harness.reporting import report
from reports import write
from reports.page.bars import cost_bar, score_axis, score_bar
from reports.results.results import Results, to_json_able
from reports.settings import Settings
from reports.wording import ScoreWords
from tests.reports.tables import arm, judged, only, table

SPREAD = np.linspace(0.5, 0.9, 60)
#: What a method may score against `SPREAD`, by what comes of it.
OUTCOMES = {
    "one trial suffices": np.linspace(0.85, 0.95, 60),
    "worse": np.linspace(0.3, 0.5, 60),
    "worse again": np.linspace(0.2, 0.4, 60),
    "not matched": np.full(60, 0.83 - 0.047),
    "equal": SPREAD,
    "refused": SPREAD[:3],
}


def cells(*names: str) -> pd.DataFrame:
    arms = [arm("base", SPREAD, dataset=name) for name in names]
    return table(*arms, *(arm("new", OUTCOMES[name], dataset=name) for name in names))


TABLES = {
    "best outcomes and worse cells": tuple(OUTCOMES),
    "one cell": ("one trial suffices",),
    "one cell, nothing settled": ("equal",),
    "worse everywhere": ("worse", "worse again"),
}


@functools.cache
def answered(*names: str) -> Results:
    return judged(cells(*names), n=5, margin=0.05, permutations=9, resamples=9)


def verdicts(results: Results) -> Counter[str]:
    return Counter(contrast.verdict.kind for cell in results.cells for contrast in cell.contrasts)


@pytest.mark.parametrize("name", TABLES)
def test_the_headline_counts_verdicts_as_the_cells_give_them(name: str) -> None:
    results = answered(*TABLES[name])
    given, said = verdicts(results), results.answer
    assert Counter(card.kind for card in said.cards) == given
    if len(TABLES[name]) == 1:
        assert said.tallies == ()  # nothing is pooled from one cell
        return
    (tally,) = said.tallies
    assert tally.counts == given
    for kind, count in given.items():
        assert re.search(rf"\b{kind} in {count}\b", tally.sentence)
    assert results.headline == said.lines


@pytest.mark.parametrize("name", TABLES)
def test_page_markdown_results_and_terminal_say_the_same(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write, "draw_figures", lambda *_: iter(()))
    source = tmp_path / "trials.csv"
    cells(*TABLES[name]).to_csv(source, index=False)
    quick = Settings(baseline="base", n=5, margin=0.05, permutations=9, resamples=9)
    written = report(source, out=tmp_path / "out", settings=quick)
    shown = io.StringIO()
    show_report(written, Console(file=shown, width=200))
    document = json.loads((tmp_path / "out" / "results.json").read_text())
    answer = document["analysis"]["answer"]
    page = html.unescape(written.page.read_text())
    markdown = re.sub(r"\\(.)", r"\1", (tmp_path / "out" / "report.md").read_text())
    assert len(answer["cards"]) == len(TABLES[name])
    for text in (page, html.unescape(markdown), shown.getvalue()):
        for card in answer["cards"]:
            assert card["sentence"] in text
            for part in (card["score"], card["cost"]):
                assert part["words"] in text
        for sentence in (*answer["open"], *answer["turns"]):
            assert sentence in text
        assert all(tally["sentence"] in text for tally in answer["tallies"])
    kinds = Counter(c["verdict"]["kind"] for cell in document["analysis"]["cells"] for c in cell["contrasts"])
    assert Counter(card["kind"] for card in answer["cards"]) == kinds
    assert Counter(re.findall(r": \*\*([a-z ]+)\*\*\.", markdown)) == kinds
    assert Counter(re.findall(r"^new on .*?: ([a-z ]+)\.", shown.getvalue(), re.MULTILINE)) == kinds


def test_words_of_a_card_are_those_of_its_verdict() -> None:
    cards = {card.dataset: card for card in answered(*OUTCOMES).answer.cards}
    assert (cards["one trial suffices"].kind, cards["one trial suffices"].cost.word) == ("saves", "cheaper")
    assert "single trial suffices" in cards["one trial suffices"].cost.words
    assert cards["one trial suffices"].cost.value == pytest.approx(0.2)
    assert (cards["worse"].kind, cards["worse"].score.word) == ("worse", "worse")
    assert cards["not matched"].cost.bound == "at_least"
    assert "no upper limit known" in cards["not matched"].cost.words
    assert (cards["refused"].kind, cards["refused"].cost.value) == ("refused", None)
    assert "3 trials" in cards["refused"].sentence


def test_on_par_tells_the_cost_and_what_would_settle_it() -> None:
    results = judged(table(arm("base", SPREAD), arm("new", SPREAD)), n=5, margin=0.05)
    (card,) = results.answer.cards
    assert (card.kind, card.score.word, card.cost.word) == ("on par", "on par or better", "not settled")
    assert card.cost.value == pytest.approx(1.0)
    assert "about 1" in card.cost.words
    assert any("240 trials an arm" in sentence for sentence in results.answer.open)
    contrast = only(results)
    assert contrast.non_inferiority is not None
    assert card.score.low == contrast.non_inferiority.limit


def test_bars_share_an_axis_and_show_open_ends() -> None:
    said = answered(*OUTCOMES).answer
    plain = to_json_able(said)
    assert isinstance(plain, dict)
    cards, words = plain["cards"], ScoreWords("accuracy", True, False)
    half = score_axis(cards)
    assert half in (0.1, 0.2, 0.5, 1.0)
    for card in cards:
        drawn = score_bar(card, half, words), cost_bar(card)
        assert all("nan" not in svg and "None" not in svg for svg in drawn)
        assert ('class="dot' in drawn[0]) == (card["score"]["value"] is not None)
    middles = {re.findall(r'class="middle" x1="([\d.]+)"', score_bar(card, half, words))[0] for card in cards}
    assert middles == {"160.0"}
    by_name = {card["dataset"]: cost_bar(card) for card in cards}
    assert "arrow" in by_name["not matched"]
    assert "arrow" not in by_name["one trial suffices"]


def test_the_cost_axis_has_cheaper_on_the_right() -> None:
    part = {"label": "", "word": "cheaper", "value": 0.5, "low": 0.4, "high": 0.8, "bound": "", "words": ""}
    assert float(re.findall(r'cx="([\d.]+)"', cost_bar({"cost": part}))[0]) > 160
