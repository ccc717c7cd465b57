"""Two small runs, an MLP's and a LeNet-5's, and what was extracted from them: made once a process."""

import pytest

from tests.extraction.runs import LENET, MLP, Extracted, Run, run_inline


@pytest.fixture
def _no_exports(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave ONNX and torch.export out, which take seconds, where a test is about something else."""
    monkeypatch.setattr("harness.extraction.extract.export_all", lambda *_: {})


@pytest.fixture(scope="session")
def mlp_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run_inline(MLP, tmp_path_factory.mktemp("mlp"))


@pytest.fixture(scope="session")
def lenet_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run_inline(LENET, tmp_path_factory.mktemp("lenet"))


@pytest.fixture(scope="session", params=["mlp", "lenet"])
def extracted(request: pytest.FixtureRequest) -> Extracted:
    """The MLP's, then the LeNet-5's; records of shrinking trials, so that gates were there to be folded."""
    run: Run = request.getfixturevalue(f"{request.param}_run")
    folder, told = run.extract("best:shrinknets")
    return Extracted(run, run.record("best:shrinknets"), folder, told)
