"""The page in a real browser, at laptop and phone width: nothing cut off, no overlaps, no request."""

import html
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reports.settings import Settings
from reports.write import write_report
from tests.reports.made import made_design, made_histories, made_table

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="chromium is not on PATH: the page was not looked at"
)

QUIET = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
SCRIPT = Path(__file__).with_name("measure.js")
LONG = "a method with a name that goes on and on, <b>in bold</b>"


@pytest.fixture(scope="module", params=["plain", "crowded"])
def page(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of two cells; and one with seven methods, a long name, failures and an unfinished plan."""
    if request.param == "plain":
        table = made_table(cells=2)
        histories = made_histories(table, "shrinknets")
        design = made_design(table)
    else:
        table = made_table(trials=12, methods=("fixed", "l2", LONG, "d", "e", "f", "g"), failures=0.4)
        histories, design = None, made_design(table, missing=3)
    settings = Settings(permutations=199, resamples=100)
    return write_report(
        table, tmp_path_factory.mktemp(request.param), design=design, settings=settings, histories=histories
    )


@pytest.fixture
def chromium(tmp_path: Path) -> Callable[..., str]:
    """Runs Chromium with a profile of its own and returns what it prints."""

    def run(*arguments: str) -> str:
        command = [str(CHROMIUM), *QUIET, f"--user-data-dir={tmp_path / 'profile'}", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
        return done.stdout

    return run


def measured(page: Path, width: int, folder: Path, chromium: Callable[..., str]) -> dict[str, Any]:
    """What `measure.js` finds with the report in a frame of so many pixels."""
    outside = folder / "outside.html"
    outside.write_text(
        f'<!DOCTYPE html><body style="margin:0"><iframe src="{page.as_uri()}" '
        f'style="border:0;width:{width}px;height:900px"></iframe><script>{SCRIPT.read_text()}</script></body>',
        encoding="utf-8",
    )
    dumped = chromium(
        "--allow-file-access-from-files",
        "--virtual-time-budget=20000",
        "--window-size=1400,1000",
        "--dump-dom",
        outside.as_uri(),
    )
    found = re.search(r'<pre id="result">(.*?)</pre>', dumped, flags=re.DOTALL)
    assert found, "the browser did not measure the page"
    result = json.loads(html.unescape(found.group(1)))
    assert isinstance(result, dict)
    return result


@pytest.mark.parametrize("width", [390, 1366])
def test_nothing_is_cut_off_or_overlaps(
    page: Path, width: int, tmp_path: Path, chromium: Callable[..., str]
) -> None:
    result = measured(page, width, tmp_path, chromium)
    assert result["figures"] >= 6
    assert result["requests"] == []
    for state in ("closed", "open"):
        seen = result[state]
        assert seen["scrolls"] <= seen["width"], f"the page scrolls sideways: {seen['wide']}"
        for fault in ("overlaps", "wide", "cut", "labels", "small"):
            assert seen[fault] == [], f"{state}, {fault}"


def test_the_page_prints(page: Path, tmp_path: Path, chromium: Callable[..., str]) -> None:
    target = tmp_path / "page.pdf"
    chromium("--no-pdf-header-footer", f"--print-to-pdf={target}", page.as_uri())
    content = target.read_bytes()
    assert content.startswith(b"%PDF")
    assert content.count(b"/Type /Page\n") + content.count(b"/Type /Page ") >= 4
