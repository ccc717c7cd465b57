"""Augmentation: each operation against the same done to one example at a time; what draws depend on."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch import Tensor

from harness.datasets.augmentation import Augmentation, Batch, Crop, Cutout, Flip, Mixup, Operation
from harness.datasets.base import DatasetFacts

ALL = Augmentation((Crop(2), Flip(), Cutout(3), Mixup(0.3)))


def images(count: int, height: int = 5, width: int = 7) -> Batch:
    x = torch.randn(count, 2, height, width, generator=torch.Generator().manual_seed(count))
    return Batch(x, torch.arange(count) % 3)


def facts(
    shape: tuple[int, ...] = (3, 8, 6), target_shape: tuple[int, ...] = (), numbers: bool = False
) -> DatasetFacts:
    return DatasetFacts("d", shape, 3, 40, 10, "f", "numbers" if numbers else "classes", target_shape)


def drawn(operation: Operation, batch: Batch, seed: int) -> Tensor:
    return operation.draw(len(batch.x), batch.x.shape[1:], torch.Generator().manual_seed(seed))


def cropped(image: Tensor, padding: int, down: int, right: int) -> Tensor:
    blank = torch.zeros(image.shape[0], image.shape[1] + 2 * padding, image.shape[2] + 2 * padding)
    blank[:, padding : padding + image.shape[1], padding : padding + image.shape[2]] = image
    return blank[:, down : down + image.shape[1], right : right + image.shape[2]]


def with_hole(image: Tensor, size: int, row: int, column: int) -> Tensor:
    left = image.clone()
    for y in range(image.shape[1]):
        for x in range(image.shape[2]):
            if -(size // 2) <= y - row < size - size // 2 and -(size // 2) <= x - column < size - size // 2:
                left[:, y, x] = 0
    return left


@settings(max_examples=20)
@given(st.integers(1, 6), st.integers(1, 4), st.integers(0, 2**32))
def test_each_example_is_cropped_flipped_and_cut_as_its_own_draws_say(
    count: int, size: int, seed: int
) -> None:
    batch = images(count)
    references: list[tuple[Operation, Callable[..., Tensor]]] = [
        (Crop(size), lambda image, down, right: cropped(image, size, int(down), int(right))),
        (Flip(), lambda image, turned: image.flip(2) if turned else image),
        (Cutout(size), lambda image, row, column: with_hole(image, size, int(row), int(column))),
    ]
    before = batch.x.clone()
    for operation, reference in references:
        draws = drawn(operation, batch, seed)
        found = operation.apply(batch, draws)
        expected = [reference(image, *own) for image, own in zip(batch.x, draws.T, strict=True)]
        assert torch.equal(found.x, torch.stack(expected))
        assert torch.equal(found.y, batch.y)
    assert torch.equal(batch.x, before), "the data set itself stays as it was"


def test_each_example_is_mixed_with_the_one_before_it() -> None:
    batch = images(4)
    share = drawn(Mixup(0.4), batch, 1)
    found = Mixup(0.4).apply(batch, share)
    assert found.partner_y is not None
    for i, own in enumerate(share[0]):
        torch.testing.assert_close(found.x[i], own * batch.x[i] + (1 - own) * batch.x[i - 1])
        assert found.partner_y[i] == batch.y[i - 1]
    alone = Mixup(0.4).apply(images(1), share[:, :1])
    torch.testing.assert_close(alone.x, images(1).x)


@pytest.mark.parametrize("alpha", [0.01, 0.2, 0.5, 1.0, 4.0])
def test_shares_are_beta_distributed(alpha: float) -> None:
    shares = Mixup(alpha).draw(40_000, (), torch.Generator().manual_seed(0))[0].double().numpy()
    assert np.isfinite(shares).all()
    # At points, since nearly whole shares are rounded to 1. 4.5 standard errors at the most.
    for point in (1e-6, 0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99):
        assert abs((shares <= point).mean() - stats.beta(alpha, alpha).cdf(point)) < 4.5 * 0.5 / 200


def test_places_and_flips_are_uniform() -> None:
    generator = torch.Generator().manual_seed(0)
    for operation, shape, counts in (
        (Crop(2), (1, 9, 9), [5, 5]),
        (Flip(), (1, 9, 9), [2]),
        (Cutout(2), (1, 4, 6), [4, 6]),
    ):
        for row, count in zip(operation.draw(20_000, shape, generator), counts, strict=True):
            seen = torch.bincount(row.long(), minlength=count)
            assert len(seen) == count
            assert stats.chisquare(seen.numpy()).pvalue > 1e-4


def test_a_batch_is_changed_by_the_columns_of_its_own_examples() -> None:
    batch = images(10)
    draws = ALL.draw(10, batch.x.shape[1:], torch.Generator().manual_seed(3), torch.device("cpu"))
    steps = (ALL.apply(Batch(batch.x[i : i + 4], batch.y[i : i + 4]), draws, i) for i in range(0, 10, 4))
    for start, found in zip(range(0, 10, 4), steps, strict=True):
        one = Batch(batch.x[start : start + 4], batch.y[start : start + 4])
        for operation, own in zip(ALL.operations, draws, strict=True):
            one = operation.apply(one, own[:, start : start + 4])
        assert torch.equal(found.x, one.x)
        assert found.weight is not None
        assert torch.equal(found.weight, draws[3][0, start : start + 4])


def test_a_pass_draws_as_many_numbers_whatever_they_are() -> None:
    # Two generators that gave other numbers so far are equally far on afterwards.
    generators = [torch.Generator().manual_seed(7) for _ in range(2)]
    torch.rand(1000, generator=generators[0])
    for generator in generators:
        ALL.draw(50, (2, 5, 7), generator, torch.device("cpu"))
    torch.rand(1000, generator=generators[1])
    assert torch.equal(generators[0].get_state(), generators[1].get_state())


def test_no_value_is_read_back_from_the_device() -> None:
    # "meta" holds no values, so whatever looked at one would fail.
    draws = ALL.draw(6, (2, 5, 7), torch.Generator(), torch.device("meta"))
    x, y = torch.empty(6, 2, 5, 7, device="meta"), torch.empty(6, dtype=torch.long, device="meta")
    batch = ALL.apply(Batch(x, y), draws, 0)
    assert batch.weight is not None
    assert (batch.x.shape, batch.weight.device.type) == ((6, 2, 5, 7), "meta")


@pytest.mark.parametrize(
    ("operation", "about", "message"),
    [
        (Crop(2), facts((64,)), "random_crop: examples with channels, height and width are needed, those "),
        (Flip(), facts((4, 64)), "flip: examples with channels, height and width are needed, those of 'd' h"),
        (Cutout(2), facts((64,)), "cutout: examples with channels, height and width are needed, those of "),
        (Crop(6), facts(), "random_crop: a padding below 6 is needed, the smaller side of the examples of "),
        (Cutout(8), facts(), "cutout: a size below 8 is needed, or nothing may be left of the examples of "),
        (Crop(2), facts(target_shape=(8, 6)), "random_crop: one target an example is needed, those of 'd' "),
        (Flip(), facts(target_shape=(8, 6)), "flip: one target an example is needed, those of 'd' have the"),
        (Mixup(0.2), facts(numbers=True), "mixup: targets that are classes, or 0 and 1, are needed, those "),
    ],
)
def test_what_does_not_suit_the_data_is_refused_in_a_sentence(
    operation: Operation, about: DatasetFacts, message: str
) -> None:
    with pytest.raises(ValueError, match=message) as raised:
        Augmentation((operation,)).check(about)
    assert "\n" not in str(raised.value)


def test_what_suits_the_data_is_not_refused() -> None:
    Augmentation((Crop(5), Flip(), Cutout(7), Mixup(0.2))).check(facts())
    Augmentation((Cutout(7), Mixup(0.2))).check(facts(target_shape=(8, 6)))
    Augmentation((Mixup(0.2),)).check(facts((64,)))
