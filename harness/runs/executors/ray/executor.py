"""Runs a study on Ray: one Tuner for all arms, long-lived workers that take bundles.

Every Tune "trial" is a bundle. Ray Tune places workers, reuses them, and notices when one dies; the searcher
deals. Records are written by the workers, so that nothing finished is lost with the driver; the run
directory must therefore be visible to all nodes.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ray import tune

from harness.records.directory import RunDirectory
from harness.records.record import Record
from harness.runs.executors.ray.connection import connection
from harness.runs.executors.ray.searcher import DealingSearcher, StartsWatcher
from harness.runs.executors.ray.worker import Worker
from harness.study.plan import Plan

if TYPE_CHECKING:  # brings Optuna, which workers do without: every import is time before their first trial
    from harness.runs.dealing import Dealer


@dataclass(frozen=True, slots=True)
class RayTuneExecutor:
    """Workers of a Ray cluster that is connected; made by `connected`."""

    plan: Plan
    data_root: Path | None
    directory: RunDirectory
    certify: bool
    workers: int

    def run(self, dealer: "Dealer", on_record: Callable[[Record], None], deadline: float | None) -> None:
        """See `Executor.run`."""
        os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(self.workers)
        scratch = self.directory.path / ".tune"
        shutil.rmtree(scratch, ignore_errors=True)
        searcher = DealingSearcher(dealer, self.directory, self.workers, on_record, deadline)
        resources = self.plan.study.resources
        trainable = tune.with_resources(
            tune.with_parameters(
                Worker,
                plan=self.plan,
                data_root=self.data_root,
                directory=self.directory,
                certify=self.certify,
            ),
            {"cpu": resources.cpus, "gpu": resources.gpus},
        )
        tuner = tune.Tuner(
            trainable,
            tune_config=tune.TuneConfig(search_alg=searcher, num_samples=-1, reuse_actors=True),
            run_config=tune.RunConfig(
                name="bundles",
                storage_path=str(scratch.resolve()),
                verbose=0,
                failure_config=tune.FailureConfig(max_failures=0),
                callbacks=[StartsWatcher(searcher)],
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            ),
        )
        try:
            tuner.fit()
        except KeyboardInterrupt:
            searcher.stop()
            raise
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        if searcher.fault:
            raise searcher.fault


@contextmanager
def connected(
    plan: Plan, data_root: Path | None, directory: RunDirectory, certify: bool, address: str | None
) -> Iterator[RayTuneExecutor]:
    """An executor on a cluster, for as long as the block runs; arguments and errors as in `connection`."""
    with connection(plan, address) as workers:
        yield RayTuneExecutor(plan, data_root, directory, certify, workers)
