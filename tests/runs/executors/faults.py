"""Studies of methods that go wrong, and what each fault must leave in its record."""

from pathlib import Path
from typing import Any

from tests.making import Fields
from tests.runs.executors.driving import records_of

FAULTY = str(Path(__file__).parent / "faulty.py")


def faulty(name: str, fault: str, **more: Any) -> Fields:
    """A method entry with one fault."""
    options = {"fault": fault} | more.pop("options", {})
    return {"name": name, "method": "faulty", "options": options, **more}


#: Fault -> status and message of its trial's record.
FAULTS = {
    "build": ("crashed", "RuntimeError: broken in build"),
    "penalty": ("crashed", "RuntimeError: broken in penalty"),
    "after_step": ("crashed", "RuntimeError: broken in after_step"),
    "edits": ("crashed", "RuntimeError: broken in edits"),
    "second_epoch": ("crashed", "RuntimeError: broken in second_epoch"),
    "strange_tensor": ("crashed", "KeyError: 'no.such.tensor'"),
    "strange_edit": ("crashed", None),
    "no_edit": ("crashed", "TypeError: a method proposed 'remove something', which is no edit"),
    "wrong_types": ("crashed", None),
    "network": ("crashed", "LookupError: broken in forward"),
    "cuda": ("crashed", "RuntimeError: CUDA error: invalid configuration argument"),
    "exit": ("crashed", "SystemExit: 3"),
    "interrupt": ("crashed", "KeyboardInterrupt: mine"),
    "generator_exit": ("crashed", "GeneratorExit: mine"),
    "base_exception": ("crashed", "BaseException: mine"),
    "exit_at_once": ("crashed", "SystemExit: os._exit(0) was called in a trial"),
    "fork": ("ok", ""),
    "deaf_fork": ("ok", ""),
    "sets_everything": ("ok", ""),
    "draws": ("ok", ""),
    "nan": ("diverged", "the training loss was nan in epoch 1"),
    "collapse": ("collapsed", "hidden1 lost its last unit in epoch 1"),
    "memory": ("out_of_memory", "MemoryError: no room"),
    "device_memory": ("out_of_memory", "OutOfMemoryError: CUDA out of memory"),
    "huge_tensor": ("out_of_memory", None),
    "half_a_character": ("crashed", "OSError: no such file: \\udcff.png"),
    "huge_message": ("crashed", None),
    "speechless": ("crashed", "SpeechlessError: (its message cannot be had: __str__ raised RuntimeError)"),
    "stop": ("ok", ""),
}


def study_of_faults(tiny: Fields) -> Fields:
    """One arm a fault, one trial each, between two arms that are sound."""
    methods = ["fixed", *(faulty(fault, fault) for fault in FAULTS), "l2"]
    return tiny | {"methods": methods, "trials": 1, "plugins": [FAULTY]}


def check_faults(out: Path) -> None:
    """Every trial of `study_of_faults` has the record that its fault must leave."""
    records = {method: found[0] for method, found in records_of(out).items()}
    for method in ("fixed", "l2"):
        assert records[method].status == "ok", "the study goes on"
    for fault, (status, message) in FAULTS.items():
        record = records[fault]
        assert record.status == status, (fault, record.message)
        assert message is None or record.message == message
        assert (record.message == "") == (status == "ok")
        assert record.attempt == (2 if status == "out_of_memory" else 1), "short of memory, it is tried twice"
        has_traceback = status in ("crashed", "out_of_memory")
        assert ("Traceback" in record.traceback) == has_traceback, fault
        if status != "ok":
            nothing = (record.selected_epoch, record.val_score, record.test_score, record.selected_size)
            assert nothing == (None,) * 4
    assert "faulty.py" in records["penalty"].traceback, "the traceback leads to the line"
    assert len(records["second_epoch"].epochs) == 1, "what was measured before is kept"
    assert records["second_epoch"].costs.train_flops > 0
    assert records["build"].start_size is None
    assert len(records["stop"].epochs) == 1
    assert {name for name, record in records.items() if record.stop_reason} == {"stop"}
    assert records["stop"].stop_reason == "enough"
    huge = records["huge_message"]
    assert huge.message.startswith("ValueError: xxx")
    assert "characters left out" in huge.message
    assert (out / "records" / f"{huge.trial_id}.json").stat().st_size < 100_000


def slow_study(tiny: Fields) -> Fields:
    """Eight trials of two epochs of 0.15 s, half of them adaptive: time to be stopped in the middle."""
    tpe = {"name": "TPESampler", "round_size": 2, "options": {"n_startup_trials": 2}}
    methods = [faulty("slow", "slow"), faulty("tpe", "slow", sampler=tpe)]
    return tiny | {"methods": methods, "trials": 4, "plugins": [FAULTY], "claim": {"baseline": "slow"}}
