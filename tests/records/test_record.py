"""Records and their store: written whole, never changed, damage noticed."""

import json
import os
import re
import stat
from collections.abc import Callable
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.records.making import make_record, now
from harness.records.record import Costs, Event, Outcome
from harness.records.store import DamagedRecordError, RecordStore
from harness.sizing.interval import Epoch
from tests.making import SIZE, a_record, plan_of


def test_a_record_is_trial_and_outcome_and_costs(tiny: dict[str, Any]) -> None:
    plan = plan_of(tiny)
    trial = plan.frozen["digits/mlp/l2", 0][1]
    outcome = Outcome("crashed", 7, "m", "t", [Epoch(1, "train", 2.0, 1.9, 0.5, SIZE)], start_size=SIZE)
    costs, started_at = Costs(0.1, 0.2, 0.3, 0.4, 5, "a processor", 1.0), now()
    record = make_record(plan, trial, 2, outcome, costs, started_at)
    for name in ("arm", "replicate", "index", "pair_id", "params", "seeds"):
        assert getattr(record, name) == getattr(trial, name)
    for field in fields(Outcome):
        assert getattr(record, field.name) == getattr(outcome, field.name) or field.name == "events"
    assert (record.trial_id, record.attempt, record.costs, record.events) == (trial.id, 2, costs, [])
    assert (record.val_examples, record.test_examples) == (288, 359), "as the plan's data will be split"
    assert record.started_at == started_at <= record.finished_at


@pytest.fixture
def store(tmp_path: Path) -> RecordStore:
    return RecordStore(tmp_path)


def test_what_is_written_is_read(store: RecordStore) -> None:
    assert store.read("aa") is None
    assert store.write(a_record())
    again = store.read("aa")
    assert again == a_record()
    assert again is not None
    assert [type(value) for value in again.params.values()] == [int, float, float, bool, str]
    assert again.selected_size == SIZE
    assert store.read_all() == ({"aa": a_record()}, {})


def test_an_empty_store(store: RecordStore) -> None:
    assert store.read_all() == ({}, {})


@given(st.text(st.characters()))  # halves of surrogate pairs among them
def test_any_text_of_a_strangers_is_read_back(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    store = RecordStore(tmp_path_factory.mktemp("run"))
    store.write(a_record(message=text, traceback=text, events=[Event(1, 1, {text: {"layers": [text]}})]))
    read = store.read("aa")
    assert read is not None
    readable = text.encode("utf-8", errors="backslashreplace").decode("utf-8")
    assert (read.message, read.traceback) == (readable, readable)
    assert read.events[0].account == {readable: {"layers": [readable]}}


def test_a_record_that_would_not_be_read_back_is_not_kept(store: RecordStore) -> None:
    with pytest.raises(OSError, match=r"aa\.json would not be read back: it is not a record"):
        store.write(a_record(params={"a": "\ud800"}))
    assert list(store.folder.iterdir()) == []


@given(st.dictionaries(st.text(), st.one_of(st.text(), st.booleans(), st.integers(), st.floats(-9, 9))))
def test_any_words_and_numbers_survive(
    tmp_path_factory: pytest.TempPathFactory, params: dict[str, object]
) -> None:
    store = RecordStore(tmp_path_factory.mktemp("run"))
    record = a_record(params=params, message="".join(map(str, params)))
    store.write(record)
    assert store.read("aa") == record


def test_a_record_is_never_changed(store: RecordStore) -> None:
    store.write(a_record())
    before = store.path("aa").read_bytes()
    assert not store.write(a_record(attempt=2, val_score=0.9))
    assert store.path("aa").read_bytes() == before
    assert [path.name for path in store.folder.iterdir()] == ["aa.json"], "nothing partial is left"


def test_a_record_is_whole_or_not_there(store: RecordStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", killed)
    with pytest.raises(KeyboardInterrupt):
        store.write(a_record())
    assert store.read("aa") is None
    assert store.read_all() == ({}, {}), "what a kill leaves is no record and no damage"
    monkeypatch.undo()
    assert store.write(a_record())


def test_numbers_that_are_none_are_refused(store: RecordStore) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        store.write(a_record(val_score=float("nan")))
    assert list(store.folder.iterdir()) == []


def _cut_short(text: str) -> str:
    return text[: len(text) // 2]


def _without_last_byte(text: str) -> str:
    return text[:-1]


def _score_edited(text: str) -> str:
    return text.replace('"val_score":0.6,"test', '"val_score":0.7,"test')


def _reformatted(text: str) -> str:
    return json.dumps(json.loads(text), indent=1)


def _another_field(text: str) -> str:
    import hashlib

    body = text.split("\n")[1].replace('"val_score":0.6,"test', '"score":0.6,"test')
    return f'{{"sha256": "{hashlib.sha256(body.encode()).hexdigest()}", "record":\n{body}\n}}\n'


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_cut_short, "is cut short or not a record"),
        (_without_last_byte, "is cut short or not a record"),
        (lambda text: "", "is cut short or not a record"),
        (_score_edited, "does not match its checksum: it was changed after it was written"),
        (_reformatted, "is cut short or not a record"),
        (_another_field, "is not a record"),
    ],
)
def test_damage_is_noticed(store: RecordStore, damage: Callable[[str], str], message: str) -> None:
    store.write(a_record())
    store.write(a_record("bb"))
    text = store.path("aa").read_text()
    assert damage(text) != text
    store.path("aa").write_text(damage(text))
    with pytest.raises(DamagedRecordError, match=re.escape(message)):
        store.read("aa")
    records, damaged = store.read_all()
    assert list(records) == ["bb"]
    assert message in damaged["aa"]


def test_every_single_cut_is_noticed(store: RecordStore) -> None:
    store.write(a_record())
    whole = store.path("aa").read_bytes()
    for length in range(0, len(whole), 7):
        store.path("aa").write_bytes(whole[:length])
        with pytest.raises(DamagedRecordError):
            store.read("aa")


def test_bytes_that_are_no_text_are_damage(store: RecordStore) -> None:
    store.write(a_record())
    store.path("aa").write_bytes(b"\xff\xfe\x00")
    assert store.read_all() == ({}, {"aa": "is not text"})


def test_a_record_under_another_name_is_damage(store: RecordStore) -> None:
    store.write(a_record())
    store.path("aa").rename(store.path("bb"))
    assert store.read_all() == ({}, {"bb": "is the record of another trial, aa"})


def test_set_aside_keeps_the_file_and_makes_room(store: RecordStore) -> None:
    store.write(a_record())
    store.path("aa").write_text("damaged")
    first = store.set_aside("aa")
    assert store.write(a_record())
    store.path("aa").write_text("damaged again")
    second = store.set_aside("aa")
    assert (first.read_text(), second.read_text()) == ("damaged", "damaged again")
    assert store.read_all() == ({}, {})


def test_the_outcome_is_free_of_times_and_machines() -> None:
    one = a_record()
    other = a_record(
        attempt=2,
        traceback="elsewhere",
        provenance={"host": "other"},
        started_at="later",
        finished_at="later",
        costs=replace(one.costs, wait_seconds=9.0, train_seconds=9.0, device="another", device_share=0.5),
    )
    assert one.outcome() == other.outcome()
    for changed in (a_record(val_score=0.61), a_record(message="x"), a_record(events=[])):
        assert one.outcome() != changed.outcome()
    assert one.outcome() != a_record(costs=replace(one.costs, train_flops=1)).outcome()


def test_other_users_may_read_records(store: RecordStore) -> None:
    store.write(a_record())
    mode = store.path("aa").stat().st_mode
    assert mode & stat.S_IRUSR
    assert asdict(a_record())["version"] == 1


def test_a_file_system_without_links_keeps_the_first_record_too(
    store: RecordStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(source: object, target: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("os.link", no_links)
    assert store.write(a_record("aa", message="first"))
    assert not store.write(a_record("aa", message="second"))
    record = store.read("aa")
    assert record is not None
    assert record.message == "first"
    assert [path.name for path in store.folder.iterdir()] == ["aa.json"]
