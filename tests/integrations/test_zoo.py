"""Networks of timm and transformers are cut exactly, or left where a reason is given."""

import pytest

from tests.surgery.zoo import ENTRIES
from tests.surgery.zoo_trial import is_cut_exactly

_FOREIGN = [name for name, entry in ENTRIES.items() if entry.source in ("timm", "transformers")]


@pytest.mark.parametrize("name", _FOREIGN)
def test_networks_of_the_zoo(name: str) -> None:
    source = ENTRIES[name].source
    pytest.importorskip(source, reason=f"{source} is not installed: make test-integrations")
    is_cut_exactly(name)
