"""Which seeds a trial has: of its training, of its repeats, of the split of its data.

Independent draws are dealt over the splits one by one; a whole search, or a design, has one split, and its
replicates are dealt over them. So each arm covers all splits evenly at no cost, trials that share a number
share their split, and so do pairs. All points on all splits would cost as many times more and say little
more: what another split would select is a matter of the arms' means over splits, not of single points.

A repeat is a point trained once more, with other seeds. Repeat 0 has those of a study without repeats.
Repeats 1 and 2 share their initialisation, so do 3 and 4, and so on: only so can the luck of initialisation
be told from that of the order of examples (and of the method's own choices), which no two repeats share.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from harness.search.seeding import derive_seed
from harness.study.parts import StudyError
from harness.study.schema import Seeds, Study

if TYPE_CHECKING:
    from harness.study.plan import Arm


def split_seed(seeds: Seeds, sampling: str, replicate: int, index: int) -> int:
    """Seed of the validation split of a trial, the same in all its repeats.

    Args:
        sampling: of its arm.
    """
    place = replicate + index if sampling == "iid" else replicate
    return seeds.split + place % seeds.splits


def training_seeds(root: int, stream: str, replicate: int, index: int, repeat: int) -> dict[str, int]:
    """Purpose -> seed: "init" for weights, "order" for the order of examples, "method" for its choices."""
    numbers = {"init": (repeat + 1) // 2, "order": repeat, "method": repeat}
    return {
        purpose: derive_seed(purpose, root, stream, replicate, index, *([number] if number else []))
        for purpose, number in numbers.items()
    }


def splits_text(seeds: Seeds) -> str:
    """The seeds of a study's splits as a reader wants them: 'split seed 0', 'split seeds 0 to 4'."""
    if seeds.splits == 1:
        return f"split seed {seeds.split}"
    return f"split seeds {seeds.split} to {seeds.split + seeds.splits - 1}"


def check_repeats(study: Study, source: str, samplings: Iterable[tuple[str, str]]) -> None:
    """Refuse repeats of searches that learn.

    Args:
        samplings: name and sampling of the sampler of each method.

    Raises:
        StudyError: one sentence.
    """
    if study.seeds.repeats == 1:
        return
    for sampler, sampling in samplings:
        if sampling == "adaptive":
            raise StudyError(
                f"{source}: seeds.repeats: {study.seeds.repeats} found, and {sampler} learns from the trials "
                "it is told of, of which repeats are none; allowed with such a search: 1"
            )


def check_splits(study: Study, source: str, arm: "Arm") -> None:
    """Refuse more splits than an arm can cover: arms of a cell would lie on different ones.

    Raises:
        StudyError: one sentence.
    """
    wanted = study.seeds.splits
    if arm.sampling == "iid" and wanted > arm.trials:
        there = f"{arm.trials} trials"
    elif arm.sampling != "iid" and wanted > arm.replicates:
        there = f"{arm.replicates} replicate(s) of a search that is sampled {arm.sampling}, each on one split"
    else:
        return
    raise StudyError(
        f"{source}: seeds.splits: {wanted} found, more than {arm.key} can cover with its {there}"
    )
