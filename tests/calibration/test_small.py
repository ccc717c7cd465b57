"""The calibration in small: a few hundred studies a bar, so each bar is held with some slack.

The seed is fixed once for all bars. `make calibrate` runs the full size without slack.
"""

import pytest

from reports.statistics.savings import EVEN
from tests.calibration import (
    claims,
    drifting,
    exact,
    failures,
    intervals,
    looking,
    lopsided,
    pooled,
    powers,
    tests_of_arms,
    ties,
)
from tests.calibration.rows import Row
from tests.calibration.worlds import D1, D2, D3, D4, NEAR, WORLDS, World
from tests.reports.tables import arm, judged, table

SEED = 7
SLACK = 0.04


def hold(*rows: Row, slack: float = SLACK) -> None:
    broken = [str(row) for row in rows if not row.holds(slack)]
    assert not broken, "\n".join(broken)


def test_bar_1_error_rate_of_the_default_test() -> None:
    rows = [tests_of_arms.equal_arms(world, (20, 20), 200, SEED) for world in WORLDS]
    hold(*rows, slack=0.0)  # these bounds know the number of studies
    pooled = tests_of_arms.pooled(rows)
    hold(pooled, slack=0.02)


@pytest.mark.parametrize("sizes", [(50, 20), (20, 50)])
def test_bar_2_unequal_spread_and_the_control_that_must_fail(sizes: tuple[int, int]) -> None:
    hold(*tests_of_arms.unequal_spread(sizes, 300, SEED))


@pytest.mark.parametrize("world", WORLDS, ids=lambda world: world.name)
def test_bars_3_and_7b_best_of_n(world: World) -> None:
    hold(*intervals.best_of_n(world, 50, (3, 5, 10), 250, SEED))


def test_bar_4_cost_to_target() -> None:
    hold(
        *(
            intervals.cost_ratios(rates, trials, 1_000, SEED)
            for rates in intervals.RATES
            for trials in (20, 50)
        )
    )


def test_bar_5_and_7b_matched_trials_and_power() -> None:
    hold(*claims.matching(NEAR, 10, 100, 250, SEED), slack=0.06)  # a power near 1/2 is noisier than a level
    hold(*claims.matching(NEAR, 5, 50, 250, SEED))
    hold(*claims.equal_arms(D1, 5, 50, 250, SEED), *claims.equal_arms(D3, 10, 50, 250, SEED))


def test_bar_6_non_inferiority() -> None:
    hold(
        claims.non_inferiority(D1, 0.0025, 5, 50, 300, SEED),
        claims.non_inferiority(D3, 0.01, 5, 50, 300, SEED),
    )


@pytest.mark.parametrize("in_trials", [True, False])
def test_bar_7_whole_reports(in_trials: bool) -> None:
    hold(claims.whole_reports(50, 5, in_trials, 250, SEED))


TIED = [ties.CONSTANTS[0], ties.CONSTANTS[2], *ties.CEILINGS[-2:], ties.FLOORS[-1]]


@pytest.mark.parametrize("world", TIED, ids=lambda world: world.name)
def test_bar_11_ties_make_no_claims(world: ties.Tied) -> None:
    hold(ties.whole_reports(world, 50, 5, 40, SEED), slack=0.0)


@pytest.mark.parametrize("setting", [0, 3, 8], ids=lambda i: failures.settings()[i][0])
def test_bar_12_failures_not_yet_seen(setting: int) -> None:
    name, base, method = failures.settings()[setting]
    hold(*failures.matching(base, method, 20, 2, 100, SEED, name), slack=0.02)


@pytest.mark.parametrize("drift", [0.25, 4.0])
def test_bar_13_a_search_costs_what_it_spent_by_then(drift: float) -> None:
    hold(*drifting.coverage(0.2, drift, 100, SEED), slack=0.03)


@pytest.mark.parametrize("failing", lopsided.FAILURES)
def test_bar_14_lopsided_arms_make_no_claims(failing: str) -> None:
    hold(lopsided.whole_reports((100, 20), failing, 100, SEED))


@pytest.mark.parametrize("name", ["A/A", "losses"])
def test_bar_15_the_mean_over_cells_is_there_and_covers(name: str) -> None:
    hold(*pooled.coverage(name, 50, 5, name == "A/A", 60, SEED))


def test_bars_16_and_17_power() -> None:
    hold(*powers.announced(D1, 4, 50, 5, 200, SEED), *powers.plain(50, 5, 100, SEED), slack=0.06)


def test_bar_18_declared_looks_keep_the_level() -> None:
    declared, undeclared = looking.six_looks(D1, 5, 150, SEED)
    hold(declared, slack=0.0)
    assert declared.measured < undeclared.measured


def test_bar_8_pooling() -> None:
    for cells in (3, 6):
        hold(*intervals.pooling(cells, 0.3, 1_000, SEED))


def test_bar_9_adaptive_searches() -> None:
    hold(*tests_of_arms.adaptive(300, SEED))


def test_bar_10_exact() -> None:
    hold(*exact.largest_error(20, SEED), slack=0.0)


def test_further_intervals() -> None:
    hold(
        intervals.medians(D4, 50, 5, 300, SEED),
        intervals.win(D2, 50, 5, 5, 200, SEED),
        intervals.hypervolumes(50, 5, 200, SEED),
    )


def test_the_shortcut_of_bar_7_gives_the_reports_own_claims() -> None:
    """Whole studies through `analyse` and through the vectorised rules: the same claims."""
    names = {1: "saves", -1: "costs more", 2: "on par", -2: "worse"}
    claimed = []
    for seed in range(3):
        drawn = claims.drawn_table(seed, 50, NEAR)
        frame = table(*(arm(method, v, test=t, dataset=cell) for cell, method, v, t in drawn))
        results = judged(frame, n=5, margin=0.0, failed_score=0.0)
        verdicts = [contrast.verdict.kind for cell in results.cells for contrast in cell.contrasts]
        gaps = [claims.gap_of(drawn[2 * i], drawn[2 * i + 1], 5) for i in range(6)]
        kinds = claims.claims(gaps, [EVEN] * 6)[0]
        for verdict, kind in zip(verdicts, kinds, strict=True):
            if kind:
                assert verdict == names[int(kind)]
            else:
                assert verdict not in names.values()
        claimed += [kind for kind in kinds if kind]
    assert claimed  # three cells of each study hold a true saving: some must be claimed
