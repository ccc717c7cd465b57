"""Whose fault an exception is: guards, proposals of wrong types, memory."""

import os
import signal
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from harness import surgery
from harness.sizing.base import Cell, Params, Phase, Situation, State
from harness.surgery import NextPhase, Remove, Reset, Stop, SurgeryError, Widen
from harness.training.fault import (
    TrialFaultError,
    heeding_interrupts,
    is_out_of_memory,
    refusals,
    strangers,
)
from harness.training.leaving import exit_at_once, staying
from harness.training.proposals import checked_edits
from tests.training.small import Scripted, a_job, trained


def caused(error: BaseException, cause: BaseException | None) -> BaseException:
    error.__cause__ = cause
    return error


# --- guards


@pytest.mark.parametrize("kind", [ValueError, SystemExit, GeneratorExit, KeyboardInterrupt, BaseException])
def test_whatever_strangers_raise_is_theirs(kind: type[BaseException]) -> None:
    with heeding_interrupts(), pytest.raises(TrialFaultError) as told, strangers:
        raise kind("mine")
    assert isinstance(told.value.cause, kind)
    assert str(told.value) == f"{kind.__name__}: mine"


def test_where_nobody_heeds_ctrl_c_it_is_never_taken_for_a_strangers() -> None:
    with pytest.raises(KeyboardInterrupt), strangers:
        raise KeyboardInterrupt


@pytest.mark.parametrize("disguised", [False, True])
def test_ctrl_c_goes_through_whatever_a_library_makes_of_it(disguised: bool) -> None:
    def library() -> None:
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt as error:
            if disguised:
                raise ValueError("cannot build a schema") from error

    with pytest.raises(KeyboardInterrupt), heeding_interrupts():
        library()


def test_of_surgery_only_its_refusals_are_a_trials() -> None:
    with pytest.raises(TrialFaultError), refusals:
        raise SurgeryError("no")
    with pytest.raises(TrialFaultError), refusals:
        raise SystemExit  # of the network, which surgery runs
    with pytest.raises(KeyError), refusals:
        raise KeyError("ours")


def test_a_guard_within_a_guard_changes_nothing() -> None:
    with pytest.raises(TrialFaultError) as told, strangers, strangers:
        raise ValueError("mine")
    assert isinstance(told.value.cause, ValueError)


# --- in a training


def proposing(*edits: Any) -> Scripted:
    return Scripted((Phase(2, 0.1),), lambda now: edits if now.moment.epoch == 1 else ())


def test_an_error_in_surgery_itself_is_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise KeyError("ours")

    monkeypatch.setattr(surgery, "apply", broken)
    assert isinstance(trained(a_job(proposing(Remove("hidden1", (0,))))).error, KeyError)


def test_a_network_that_cannot_be_changed_is_its_own_fault() -> None:
    @dataclass(frozen=True)
    class OfFixedSize(Scripted):
        def build(self, cell: Cell, params: Params) -> tuple[nn.Module, State]:
            network, state = super().build(cell, params)

            def look_up(module: nn.Module, inputs: Any, output: Tensor) -> Tensor:
                return {5: output}[output.shape[1]]

            network.get_submodule("hidden1").register_forward_hook(look_up)
            return network, state

    left = trained(a_job(OfFixedSize((Phase(2, 0.1),), proposing(Remove("hidden1", (0,))).propose)))
    assert isinstance(left.error, TrialFaultError)
    assert isinstance(left.error.cause, SurgeryError)
    assert len(left.journal.epochs) == 0


@pytest.mark.parametrize(
    "kind",
    [
        dict,
        lambda: {"hidden1": 2},
        lambda: [None],
        lambda: 7,
        lambda: [Remove("hidden1", 0.5)],  # type: ignore[arg-type]
    ],
)
def test_nonsense_is_the_methods_fault(kind: Any) -> None:
    def propose(now: Situation) -> Any:
        return kind() if now.moment.epoch == 1 else ()

    left = trained(a_job(Scripted((Phase(2, 0.1),), propose)))
    assert left.error is None if kind is dict else isinstance(left.error, TrialFaultError)


# --- proposals


@pytest.mark.parametrize(
    "edit",
    [
        Remove(1, (0,)),  # type: ignore[arg-type]
        Remove("hidden1", ("a",)),  # type: ignore[arg-type]
        Remove("hidden1", 3),  # type: ignore[arg-type]
        Widen("hidden1", [1.0], None, {}),  # type: ignore[arg-type]
        Widen("hidden1", torch.ones(1), None, {"output": 1.0}),  # type: ignore[dict-item]
        Reset("hidden1", (0,), 1.0),  # type: ignore[arg-type]
        "remove something",
        None,
    ],
)
def test_edits_of_wrong_types_are_refused(edit: Any) -> None:
    with pytest.raises(TypeError):
        checked_edits([edit])


def test_edits_of_right_types_are_left_as_they_are() -> None:
    edits = (
        Remove("hidden1", (0, 1)),
        Remove("hidden1", torch.tensor([0, 1])),  # type: ignore[arg-type]
        Widen("hidden1", torch.ones(1, 4), None, {"output": torch.ones(3, 1)}),
        NextPhase(),
        Stop("enough"),
    )
    assert all(a is b for a, b in zip(checked_edits(iter(edits)), edits, strict=True))


# --- memory


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate"),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate(handle)"),
        caused(SurgeryError("The network does not run"), torch.OutOfMemoryError("CUDA out of memory")),
    ],
)
def test_memory_that_ran_out(error: BaseException) -> None:
    assert is_out_of_memory(error)


def test_what_is_no_lack_of_memory() -> None:
    assert not is_out_of_memory(RuntimeError("CUDA error: an illegal memory access was encountered"))
    assert not is_out_of_memory(ValueError("can't allocate memory"))
    circular = ValueError("a")
    assert not is_out_of_memory(caused(circular, caused(ValueError("b"), circular)))


# --- leaving


def test_a_trial_cannot_end_its_process() -> None:
    with pytest.raises(TrialFaultError, match=r"SystemExit: os\._exit\(0\) was called"), staying(), strangers:
        os._exit(0)
    assert os._exit is exit_at_once


@pytest.mark.parametrize("guarded", [True, False])
def test_a_fork_ends_where_the_strangers_code_is_left(guarded: bool) -> None:
    def left() -> int:
        with staying(), strangers if guarded else nullcontext():
            return os.fork()

    child = left()
    if child == 0:  # must not be reached
        exit_at_once(1)
    assert os.waitpid(child, 0)[1] == 0
