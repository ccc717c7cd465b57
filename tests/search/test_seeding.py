"""Seeds from names."""

import pytest

from harness.search.seeding import derive_seed, digest


def test_seeds_are_the_same_on_every_machine_and_in_every_version() -> None:
    # Pinned: a change would silently give every study other networks and other ids.
    assert derive_seed("init", 0, "digits/mlp/l2", 0, 0) == 6216966361898307153
    assert digest({"b": 1, "a": [True, None, 0.5]})[:16] == "6192a312b83c4155"


def test_every_part_and_its_place_count() -> None:
    parts = [("a", 1), ("a", 2), ("b", 1), (1, "a"), ("a", "1"), ("a",), ("a1",), ("a", 1, None)]
    assert len({derive_seed(*part) for part in parts}) == len(parts)


def test_order_of_fields_does_not_count() -> None:
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})


@pytest.mark.parametrize("bits", [1, 8, 32, 63])
def test_seeds_fit_their_bits(bits: int) -> None:
    assert all(0 <= derive_seed("x", i, bits=bits) < 2**bits for i in range(200))


def test_what_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        digest(float("nan"))
