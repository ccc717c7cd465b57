"""What results may hold."""

import math

import pytest

from reports.results.estimate import Estimate, Interval
from reports.results.results import to_json_able


def test_results_refuse_what_json_cannot_say() -> None:
    assert to_json_able(Estimate(1.0, Interval(None, 2.0, 0.95))) == {
        "value": 1.0,
        "interval": {
            "low": None,
            "high": 2.0,
            "level": 0.95,
            "low_censored": False,
            "high_censored": False,
            "method": "",
        },
        "censored": "",
        "note": "",
    }
    for bad in (math.nan, math.inf):
        with pytest.raises(ValueError, match="finite"):
            to_json_able({"value": [bad]})
    with pytest.raises(TypeError, match="plain data"):
        to_json_able({1, 2})
