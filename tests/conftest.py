"""Fixtures for all tests: the data folder, a cache of the run's own, small studies, the command line."""

import copy
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest
import yaml

if TYPE_CHECKING:
    from tests.making import Ended

# Networks here are tiny: more threads than one only wait for each other, worst on a busy machine.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# How long an example takes says how busy the machine is: other workers run tests beside it.
hypothesis.settings.register_profile("beside-others", deadline=None)
hypothesis.settings.load_profile("beside-others")

Fields = dict[str, Any]


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The folder of real data sets that HARNESS_DATA names; skips where it is unset."""
    named = os.environ.get("HARNESS_DATA")
    if not named:
        pytest.skip("HARNESS_DATA is not set: it names a folder with MNIST, FashionMNIST and cifar10-jpeg")
    return Path(named)


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Decoded data sets go to a folder that is thrown away, for this process and those it starts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HARNESS_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


_RAY = ("RAY_ADDRESS", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")


@pytest.fixture(scope="session", autouse=True)
def _hears_ctrl_c() -> None:
    """A shell starts what runs in the background deaf to Ctrl-C; tests that send it want to hear of it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _no_cluster_but_the_tests_own() -> Iterator[None]:
    """No test meets a cluster of the user's, nor what a run in this process told Ray before it."""
    found = {name: os.environ.pop(name) for name in _RAY if name in os.environ}
    yield
    for name in _RAY:
        os.environ.pop(name, None)
    os.environ.update(found)


@pytest.fixture(autouse=True)
def _process_as_it_was() -> Iterator[None]:
    """A trial run in this process sets torch to flush the smallest numbers, for all that comes after it."""
    path = [*sys.path]  # plug-ins add the folders they lie in
    yield
    sys.path[:] = path
    if "torch" in sys.modules:
        import torch

        torch.set_flush_denormal(False)


_TINY: Fields = {
    "name": "tiny",
    "datasets": ["digits"],
    "architectures": [
        {"name": "mlp", "options": {"hidden_layers": 1}, "widths": {"low": 4, "high": 16, "log": True}}
    ],
    "methods": ["fixed", "l2"],
    "trials": 3,
    "training": {"epochs": 2, "batch_size": 256},
    "claim": {"baseline": "fixed", "n": 1},
}


@pytest.fixture
def tiny() -> Fields:
    """The fields of a study of two arms with three trials each, seconds in all; a copy to be changed."""
    return copy.deepcopy(_TINY)


@pytest.fixture
def write_study(tmp_path: Path) -> Callable[[Fields], Path]:
    """Writes a study's fields to study.yaml in the test's folder."""

    def write(fields: Fields) -> Path:
        path = tmp_path / "study.yaml"
        path.write_text(yaml.safe_dump(fields, sort_keys=False), encoding="utf-8")
        return path

    return write


@pytest.fixture
def harness_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> "Callable[..., Ended]":
    """Runs `harness ARGUMENTS` in this process, as the installed command would."""

    from tests.making import Ended

    def run(*arguments: object) -> Ended:
        from harness.cli.main import dispatch

        monkeypatch.setattr(sys, "argv", ["harness", *map(str, arguments)])
        capsys.readouterr()
        try:
            dispatch()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        return Ended(code, *capsys.readouterr())

    return run
