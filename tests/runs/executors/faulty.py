"""A plug-in file for tests: methods that go wrong in every way, one fault each."""

import os
import random
import signal
import sys
import time
import warnings
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from harness.sizing.base import Cell, Params, Situation, State
from harness.sizing.methods.fixed import Fixed
from harness.surgery.edits import Remove, Stop
from harness.training import loop


@dataclass(frozen=True)
class Faulty(Fixed):
    """Sizes searched, and one fault.

    fault: which. marker: a file that remembers, over processes, that the fault was shown.
    """

    fault: str = ""
    marker: str = ""

    def build(self, cell: Cell, params: Params) -> tuple[nn.Module, State]:
        self._show("build")
        network, state = super().build(cell, params)
        if self.fault == "draws":
            with torch.no_grad():
                network.get_parameter("output.bias").fill_(np.random.rand() + random.random())
        return (Broken(network) if self.fault == "network" else network), state

    def penalty(self, tensors: Mapping[str, Tensor], numbers: Mapping[str, Tensor]) -> Tensor | None:
        self._show("penalty")
        return tensors["output.bias"].sum() * float("nan") if self.fault == "nan" else None

    def after_step(
        self, tensors: Mapping[str, Tensor], numbers: Mapping[str, Tensor], learning_rate: float
    ) -> Mapping[str, Tensor]:
        self._show("after_step")
        return {"no.such.tensor": tensors["output.bias"]} if self.fault == "strange_tensor" else {}

    def edits(self, now: Situation) -> tuple[State, Sequence[Any]]:
        if now.moment.epoch == 0:
            return now.state, ()
        self._show("edits")
        if now.moment.epoch == 2 and self.fault == "sleeps":
            time.sleep(600)
        if now.moment.epoch == 2 and self.fault == "hangs":
            deque(repeat(0), maxlen=0)  # for ever, in native code that looks for no signal
        if now.moment.epoch == 2:
            self._show("second_epoch")
        if self.fault == "some_sizes" and int(now.params["hidden1"]) % 2:
            raise ValueError("odd sizes are not for me")
        if self.fault == "careless":
            return now.state, (Remove("hidden1", (0,)),)
        if self.fault == "collapse":
            return now.state, (Remove("hidden1", tuple(range(int(now.params["hidden1"])))),)
        if self.fault == "strange_edit":
            return now.state, (Remove("no_such_layer", (0,)),)
        if self.fault == "wrong_types":
            return now.state, (Remove("hidden1", ("first",)),)  # type: ignore[arg-type]
        if self.fault == "no_edit":
            return now.state, ("remove something",)
        if self.fault == "stop":
            return now.state, (Stop("enough"),)
        return now.state, ()

    def _show(self, where: str) -> None:
        if self.fault == where:
            raise RuntimeError(f"broken in {where}")
        if where == "edits":
            self._end_in_a_hard_way()

    def _end_in_a_hard_way(self) -> None:
        if self.fault == "half_a_character":
            raise OSError("no such file: \udcff.png")
        if self.fault == "huge_message":
            raise ValueError("x" * 30_000_000)
        if self.fault == "speechless":
            raise SpeechlessError
        if self.fault == "memory":
            raise MemoryError("no room")
        if self.fault == "device_memory":
            raise torch.OutOfMemoryError("CUDA out of memory")
        if self.fault == "huge_tensor":
            torch.empty(2**60)
        if self.fault == "memory_once" and self._is_first_time():
            raise MemoryError("no room")
        if self.fault == "exit":
            sys.exit(3)
        if self.fault == "interrupt":
            raise KeyboardInterrupt("mine")
        if self.fault == "generator_exit":
            raise GeneratorExit("mine")
        if self.fault == "base_exception":
            raise BaseException("mine")
        if self.fault == "exit_at_once":
            os._exit(0)
        if self.fault == "fork" and os.fork() == 0:
            return  # the copy goes on as the trial does
        if self.fault == "deaf_fork" and os.fork() == 0:
            raise KeyboardInterrupt("mine")
        if self.fault == "sets_everything":
            set_everything()
        if self.fault == "cuda":
            raise RuntimeError("CUDA error: invalid configuration argument")
        if self.fault == "engine_once" and self._is_first_time():
            damage_the_engine()
        if self.fault == "slow":
            time.sleep(0.15)
        if self.fault == "kill" or (self.fault == "quit_once" and self._is_first_time()):
            os.kill(os.getpid(), signal.SIGKILL)

    def _is_first_time(self) -> bool:
        if Path(self.marker).exists():
            return False
        Path(self.marker).touch()
        return True


def damage_the_engine() -> None:
    """From now on our own code raises in this process, whatever it trains."""

    def broken(*_: object) -> None:
        raise RuntimeError("the ledger is broken")

    vars(loop)["survey"] = broken


def set_everything() -> None:
    """Set all that a process has but once, so that whoever trains next would train otherwise."""
    torch.set_default_dtype(torch.float64)
    torch.set_flush_denormal(False)
    torch.set_num_threads(torch.get_num_threads() + 1)
    torch.use_deterministic_algorithms(True)
    torch.autograd.set_detect_anomaly(True)
    torch.backends.cudnn.benchmark = not torch.backends.cudnn.benchmark
    np.seterr(all="raise")
    np.random.seed(1)
    random.seed(1)
    warnings.simplefilter("error")
    os.environ["SET_BY_A_METHOD"] = "1"
    os.chdir("/")
    sys.setrecursionlimit(sys.getrecursionlimit() + 1)


class Broken(nn.Module):
    """Runs, but does not train."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.hidden1, self.output = inner.hidden1, inner.output
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            raise LookupError("broken in forward")
        return cast(Tensor, self.inner(x))


class SpeechlessError(Exception):
    """Cannot say what is wrong."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


METHODS = {"faulty": Faulty}
