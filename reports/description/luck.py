"""How much of an arm's spread is luck, from points that were trained more than once."""

import numpy as np
import pandas as pd

from reports.arms.arm import Arm
from reports.results.luck import Luck
from reports.scope import FEWEST_TRIALS
from reports.statistics.arrays import Integers
from reports.statistics.luck import components

#: What tells points apart within an arm.
_POINT = ["replicate", "index", "split"]


def describe_luck(arm: Arm, again: Arm | None) -> Luck | None:
    """Shares of luck in the spread between an arm's trials; None if no point was trained again.

    Args:
        arm: its trials, each point once.
        again: their repeats.
    """
    if again is None:
        return None
    rows = pd.concat([arm.facts, again.facts], ignore_index=True)
    scored = np.concatenate([arm.scored, again.scored])
    test = np.concatenate([arm.test, again.test])[scored]
    failed = int((~scored).sum())
    if "index" not in rows or rows["index"].isna().any():
        return _unknown(0, test.size, failed, arm, "the column index does not tell which rows are one point")
    places = pd.DataFrame(
        {name: rows[name].fillna(0) if name in rows else 0.0 for name in ("replicate", "index", "repeat")}
    )
    if places.duplicated().any():
        return _unknown(0, test.size, failed, arm, "its rows come from several runs that number theirs alike")
    places["start"] = (places["repeat"] + 1) // 2
    places["split"] = rows["split_seed"].fillna(-1) if "split_seed" in rows else 0.0
    places = places[scored]
    point, start = (_numbers(places, names) for names in (_POINT, [*_POINT, "start"]))
    points = int((np.bincount(point) > 1).sum()) if point.size else 0
    if points < FEWEST_TRIALS:
        why = f"{points} points were trained to a score more than once, and {FEWEST_TRIALS} are needed"
        return _unknown(points, test.size, failed, arm, why)
    found = components(test, point, start, places["split"].to_numpy(dtype=np.int64))
    if found is None:
        why = "its scores are all equal, or no two trainings differ in one thing alone"
        return _unknown(points, test.size, failed, arm, why)
    whole = found.sizes + found.training + (found.split or 0.0)
    order = None if found.order is None else found.order / whole
    training, sizes = found.training / whole, found.sizes / whole
    split = None if found.split is None else found.split / whole
    luck = training + (split or 0.0)
    parts = [f"training {training:.0%}"]
    if order is not None:
        parts = [f"initialisation {training - order:.0%}", f"order of examples {order:.0%}"]
    parts += [] if split is None else [f"validation split {split:.0%}"]
    return Luck(
        points=points,
        trainings=int(test.size),
        failed=failed,
        spread=float(np.sqrt(whole)),
        sizes=sizes,
        split=split,
        training=training,
        initialisation=None if order is None else training - order,
        order=order,
        luck=luck,
        sentence=f"{luck:.0%} of the variance between trials of {arm.method} on {arm.dataset} / "
        f"{arm.architecture} is luck ({', '.join(parts)}), {sizes:.0%} is what was searched; from {points} "
        f"points trained more than once, without limits{_left_out(failed)}.",
    )


def _numbers(places: pd.DataFrame, names: list[str]) -> Integers:
    """[rows], a number for each combination of values."""
    return np.asarray(places.groupby(names).ngroup(), dtype=np.int64)


def _left_out(failed: int) -> str:
    return f", {failed} trainings without a score left out" if failed else ""


def _unknown(points: int, trainings: int, failed: int, arm: Arm, why: str) -> Luck:
    sentence = f"How much of the spread of {arm.method} on {arm.dataset} / {arm.architecture} is luck cannot "
    return Luck(
        points, trainings, failed, *(None,) * 7, sentence=f"{sentence}be said: {why}.", note=why
    )  # fmt: skip
