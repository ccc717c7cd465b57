"""Networks that surgery was not developed on are cut exactly, or left where a reason is given.

Some of them in `make test`, all in `make test-surgery`, those of other packages in `make test-integrations`.
"""

import os

import pytest

from tests.surgery.zoo import ENTRIES
from tests.surgery.zoo_trial import is_cut_exactly

_OWN = [name for name, entry in ENTRIES.items() if entry.source == "own"]
_SOME = _OWN if "HARNESS_NETWORKS" in os.environ else _OWN[::4]


@pytest.mark.parametrize("name", _SOME)
def test_networks_of_the_zoo(name: str) -> None:
    is_cut_exactly(name)
