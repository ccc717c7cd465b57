"""Study files: what is read, and one sentence for each thing that is wrong."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from harness.study.file import find_study, json_schema, load_study, shipped_studies
from harness.study.parts import StudyError
from harness.study.schema import Study
from tests.making import put

Fields = dict[str, Any]
Write = Callable[[Fields], Path]


def test_defaults_and_short_forms(tiny: Fields, write_study: Write) -> None:
    study = load_study(str(write_study(tiny)))
    assert [entry.name for entry in study.datasets] == ["digits"]
    assert [entry.name for entry in study.methods] == ["fixed", "l2"]
    assert study.sampler.name == "RandomSampler"
    assert (study.seeds.study, study.resources.gpus, study.paired) == (0, 0, False)


@pytest.mark.parametrize("name", sorted(shipped_studies()))
def test_shipped_studies_are_sound(name: str) -> None:
    assert load_study(name).name == name


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ("trails", 3, "trails: unknown field; did you mean 'trials'?"),
        ("training.epoch", 3, "training.epoch: unknown field; did you mean 'epochs'?"),
        ("training.optimizer.lr", 1, "training.optimizer.lr: unknown field; allowed: learning_rate, name"),
        ("architectures.0.width", 3, "architectures.0.width: unknown field; did you mean 'widths'?"),
        (
            "architectures.0.widths.hihg",
            3,
            "architectures.0.widths.hihg: unknown field; did you mean 'high'?",
        ),
        ("methods.0", {"name": "l2", "spaces": 1}, "methods.0.spaces: unknown field; did you mean 'space'?"),
        ("sampler", {"name": "R", "option": 1}, "sampler.option: unknown field; did you mean 'options'?"),
        ("resources", {"gpu": 1}, "resources.gpu: unknown field; did you mean 'gpus'?"),
        ("claim.basline", "l2", "claim.basline: unknown field; did you mean 'baseline'?"),
        ("trials", 0, "trials: input should be greater than or equal to 1, found 0"),
        ("trials", "many", "trials: input should be a valid integer"),
        ("training.epochs", 0, "training.epochs: input should be greater than or equal to 1, found 0"),
        ("architectures.0.widths", {"low": 9, "high": 4}, "architectures.0.widths: low 9 is above high 4"),
        ("architectures.0.widths", {"low": 0, "high": 4}, "architectures.0.widths.low: input should be gre"),
        (
            "architectures.0.widths",
            {"hidden1": {"low": 9, "high": 4}},
            "architectures.0.widths.hidden1: low 9 is above high 4",
        ),
        ("architectures.0.widths", 5, "architectures.0.widths: fields are needed here (low, high, log)"),
        ("architectures.0.start", 0, "architectures.0.start: input should be greater than or equal to 1"),
        ("methods.0", {"name": "l2", "space": {"a": {"low": 2, "high": 1}}}, "methods.0.space.a: low 2 is a"),
        (
            "methods.0",
            {"name": "l2", "space": {"a": {"low": 0, "high": 1, "log": True}}},
            "methods.0.space.a: a logarithmic range needs a low above 0, found 0",
        ),
        ("methods.0", {"name": "l2", "space": {"a": None}}, "methods.0.space.a: a number, a word, true or"),
        ("methods.0", {"name": "l2", "space": {"a": [None]}}, "methods.0.space.a.0: a number, a word, tru"),
        ("methods.0", {"name": "l2", "space": {"a": []}}, "methods.0.space.a: list should have at least 1"),
        (
            "methods.0",
            {"name": "l2", "space": {"a": {"low": 1, "high": float("inf")}}},
            "methods.0.space.a.high: input should be a finite number, found inf",
        ),
        ("sampler", "TPESampler", "sampler: fields are needed here (name, options, round_size, replicates)"),
        (
            "training.optimizer.name",
            "Adm",
            "training.optimizer: there is no optimizer 'Adm'; did you mean 'A",
        ),
        (
            "training.optimizer.options",
            {"beta": 1},
            "training.optimizer: Adam has no option 'beta'; did you mean 'betas'?",
        ),
        (
            "training.optimizer.options",
            {"eps": float("nan")},
            "training.optimizer.options: finite numbers, words, lists and fields are allowed, found {'eps'",
        ),
        ("training.optimizer.learning_rate", 0, "training.optimizer.learning_rate: input should be greater"),
        ("training.validation_fraction", 1.0, "training.validation_fraction: input should be less than 1"),
        ("training.time_limit_seconds", float("inf"), "training.time_limit_seconds: input should be a fin"),
        ("resources.cpus", 1.5, "resources: cpus 1.5: a fraction must be below 1, above 1 only whole num"),
        ("resources.gpus", 2, "resources: gpus 2: a trial uses one GPU at most"),
        ("seeds.study", -1, "seeds.study: input should be greater than or equal to 0, found -1"),
        (
            "claim.cost",
            "flops",
            "claim.cost: input should be 'trials', 'train_flops', 'train_seconds', ",
        ),
        ("claim.n", 0, "claim.n: input should be greater than or equal to 1, found 0"),
        ("name", "a/b", "name: string should match pattern"),
        ("name", "..", "name: string should match pattern"),
        ("methods", ["l2", "l2"], "methods: 'l2' is named twice; give one of them another name"),
        ("methods", ["a/b"], "methods.0.name: string should match pattern"),
        ("methods", [], "methods: list should have at least 1 item"),
        ("datasets", "digits", "datasets: input should be a valid list, found 'digits'"),
        ("plugins", ["a/m.py", "b/m.py"], "plugins: two files are called 'm.py'"),
        ("plugins", ["no.py"], "plugins: plug-in file "),
    ],
)
def test_one_sentence_names_file_and_field(
    tiny: Fields, write_study: Write, place: str, value: Any, message: str
) -> None:
    path = write_study(put(tiny, place, value))
    with pytest.raises(StudyError) as raised:
        load_study(str(path))
    assert str(raised.value).startswith(f"{path}: {message}")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "field", ["name", "datasets", "architectures", "methods", "trials", "training", "claim"]
)
def test_a_field_that_is_missing(tiny: Fields, write_study: Write, field: str) -> None:
    del tiny[field]
    path = write_study(tiny)
    with pytest.raises(StudyError) as raised:
        load_study(str(path))
    assert str(raised.value) == f"{path}: {field}: this field is needed and not there"


def test_every_mistake_is_told_at_once(tiny: Fields, write_study: Write) -> None:
    put(put(tiny, "trials", 0), "trails", 1)
    with pytest.raises(StudyError) as raised:
        load_study(str(write_study(tiny)))
    assert len(str(raised.value).split("\n")) == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: [", "is not YAML: "),
        ("- a\n- b\n", "a study file holds fields (name: ..., trials: ...), found ['a', 'b']"),
        ("", "a study file holds fields (name: ..., trials: ...), found None"),
        ("trials: 3\ntrials: 4\n", "is not YAML: the field 'trials' is written twice"),
        ("training: {epochs: 3, epochs: 4}\n", "is not YAML: the field 'epochs' is written twice"),
    ],
)
def test_files_that_are_no_study(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(StudyError) as raised:
        load_study(str(path))
    assert str(raised.value).startswith(f"{path}: {message}")
    assert "\n" not in str(raised.value)


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_bytes(b"name: \xff\xfe")
    with pytest.raises(StudyError, match="cannot be read"):
        load_study(str(path))


def test_a_study_that_is_nowhere() -> None:
    with pytest.raises(StudyError, match=r"quikstart: neither a file nor .*; did you mean 'quickstart'\?"):
        find_study("quikstart")


def test_a_file_of_a_shipped_name_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "quickstart").write_text("")
    monkeypatch.chdir(tmp_path)
    assert find_study("quickstart") == Path("quickstart")


def test_plugins_are_looked_for_beside_the_study(tiny: Fields, write_study: Write, tmp_path: Path) -> None:
    code = "from harness.sizing.methods.fixed import Fixed\nMETHODS = {'beside-the-study': Fixed}\n"
    (tmp_path / "beside.py").write_text(code, encoding="utf-8")
    study = load_study(str(write_study(tiny | {"plugins": ["beside.py"]})))
    assert study.plugins == [str((tmp_path / "beside.py").resolve())]


def test_the_schema_knows_every_field() -> None:
    schema = json.loads(json_schema())
    assert schema["properties"].keys() == Study.model_fields.keys()
    assert schema["additionalProperties"] is False
    entry = schema["$defs"]["Method"]["properties"]["space"]["additionalProperties"]
    assert "oneOf" in entry or "anyOf" in entry


@pytest.mark.parametrize("name", sorted(shipped_studies()))
def test_the_schema_accepts_every_shipped_study(name: str) -> None:
    written = yaml.safe_load(shipped_studies()[name].read_text())
    jsonschema.validate(written, json.loads(json_schema()))


def test_the_schema_refuses_what_the_study_refuses(tiny: Fields) -> None:
    for wrong in ({"trials": 0}, {"trails": 3}, {"datasets": [5]}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(tiny | wrong, json.loads(json_schema()))
