"""What `harness plan` says of the data and of what is done to them."""

import io
from typing import Any

from rich.console import Console

from harness.cli.views.plan import show_plan
from tests.making import plan_of, put


def shown(fields: dict[str, Any]) -> str:
    console = Console(file=io.StringIO(), width=300)
    show_plan(plan_of(fields), console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_it_says_what_is_kept_where_and_how_images_are_changed(tiny: dict[str, Any]) -> None:
    plain = shown(tiny)
    assert "449.2 KiB normalised, mapped into memory (up to " in plain
    assert "Augmentation" not in plain
    asked = put(tiny, "training.augmentation", {"random_crop": {"padding": 2}, "flip": True})
    text = shown(put(asked, "training.resize", 16))
    assert "of shape 1x16x16, 10 classes; resized batch by batch" in text
    assert "Augmentation: random crop (padding 2), flip\n" in text
    assert "on the GPU if half of what is free there holds it" in shown(
        put(put(asked, "training.resize", None), "resources.gpus", 0.5)
    )


def test_it_says_how_often_points_are_trained_and_on_which_splits(tiny: dict[str, Any]) -> None:
    assert "repeats" not in shown(tiny)
    text = shown(put(tiny, "seeds", {"split": 4, "splits": 3, "repeats": 2}))
    assert text.startswith("tiny: 12 trials in 2 arms\n")
    assert "Each of 6 points is trained 2 times, 12 trials in all; repeats tell how much is luck" in text
    assert "Trials are dealt over split seeds 4 to 6: independent draws one by one" in text
