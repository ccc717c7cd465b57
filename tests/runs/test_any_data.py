"""Data of the user's own in study files: beside the file, in the data folder, of a plug-in's code."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image

import harness
from harness.datasets.registry import FROM_FILES
from harness.runs.run import plan_study
from harness.study.parts import StudyError
from harness.study.plan import Plan
from tests.making import Ended, Fields

_RINGS = """
from dataclasses import dataclass
import numpy as np
from harness.datasets import RawData, RawPart

@dataclass(frozen=True)
class Rings:
    noise: float = 0.1

    def source_identity(self, spec, data_root):
        return ()

    def __call__(self, spec, data_root):
        rng = np.random.default_rng(0)
        y = np.arange(60) % 2
        x = rng.normal(size=(60, 2)) * self.noise + y[:, None]
        part = RawPart(x, y, "rings: x", "rings: y")
        return RawData(part, part)

DATASETS = {"rings": Rings}
"""


@pytest.fixture
def study(tiny: Fields, write_study: Callable[[Fields], Path], tmp_path: Path) -> Path:
    """A study of a folder of images and a set of a plug-in, both beside its file, in a folder of its own."""
    for number in range(40):
        folder = tmp_path / "pets" / ("train" if number < 30 else "test") / ("dog" if number % 2 else "cat")
        folder.mkdir(parents=True, exist_ok=True)
        Image.new("L", (6, 5), number).save(folder / f"{number}.png")
    (tmp_path / "rings.py").write_text(_RINGS)
    tiny["datasets"] = [
        {"name": "pets", "source": "images", "path": "pets"},
        {"name": "rings", "options": {"noise": 0.2}},
    ]
    return write_study(tiny | {"methods": ["fixed"], "trials": 1, "plugins": ["rings.py"]})


@pytest.fixture(autouse=True)
def _registered_for_the_test_alone() -> Iterator[None]:
    yield
    FROM_FILES.clear()


def _ids(plan: Plan) -> list[str]:
    return [trial.id for trials in plan.frozen.values() for trial in trials]


def test_a_study_runs_on_images_and_a_plug_in_beside_it(study: Path, tmp_path: Path) -> None:
    result = harness.run(study, tmp_path / "out", executor="inline")
    records, _ = result.directory.store.read_all()
    assert [record.status for record in records.values()] == ["ok", "ok"]
    assert "rings.py" in result.plan.sources["rings/mlp/fixed"]
    assert "rings.py" not in result.plan.sources["pets/mlp/fixed"]


def test_where_data_lie_is_no_part_of_a_trial(study: Path, tmp_path: Path) -> None:
    plan = plan_study(str(study), None)
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    for name in ("study.yaml", "rings.py"):
        shutil.move(tmp_path / name, moved / name)
    shutil.move(tmp_path / "pets", tmp_path / "data" / "pets")
    again = plan_study(str(moved / "study.yaml"), tmp_path / "data")
    assert _ids(again) == _ids(plan)
    assert again.to_json() == plan.to_json()
    (moved / "rings.py").write_text(_RINGS + "\n# changed")
    changed = dict(
        zip(_ids(plan), _ids(plan_study(str(moved / "study.yaml"), tmp_path / "data")), strict=True)
    )
    assert [before == after for before, after in changed.items()] == [True, False]


def test_what_is_not_there_is_told_with_every_place(study: Path, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "pets")
    with pytest.raises(StudyError) as raised:
        plan_study(str(study), tmp_path / "data")
    assert str(raised.value) == (
        f"{study}: datasets.0: data set 'pets', field 'path': 'pets' found, but there is no {tmp_path}/pets "
        f"(beside the study) and {tmp_path}/data/pets (in the data folder)"
    )


def test_a_plug_in_file_is_held_against_the_contract(
    study: Path, tmp_path: Path, harness_command: Callable[..., Ended]
) -> None:
    assert study.is_file()
    assert harness_command("check", tmp_path / "rings.py").code == 0
    unsteady = _RINGS.replace("default_rng(0)", "default_rng()")
    (tmp_path / "rings.py").write_text(unsteady)
    ended = harness_command("check", tmp_path / "rings.py")
    assert ended.code == 1
    assert ended.out.count("BROKEN") == 1
    assert "x_train, x_test changed" in ended.out


def test_a_name_that_ships_is_not_taken(study: Path, tmp_path: Path) -> None:
    (tmp_path / "rings.py").write_text(_RINGS.replace('{"rings"', '{"mnist"'))
    with pytest.raises(StudyError, match=r"DATASETS\['mnist'\] ships; another name is needed"):
        plan_study(str(study), None)
