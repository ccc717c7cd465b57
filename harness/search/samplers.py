"""Searches: Optuna's samplers, asked and told by the driver alone.

A search is one arm's draws under one seed. What a sampler learns from is told in plan order, never in the
order in which trials happen to finish, so that every executor gives the same search.
"""

import inspect
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler, GPSampler, RandomSampler
from optuna.trial import TrialState

from harness.nearest import nearest
from harness.search.pruners import make_pruner
from harness.search.seeding import derive_seed
from harness.search.space import Choice, Domain, Float, Scalar

optuna.logging.set_verbosity(optuna.logging.WARNING)

_IID = {"RandomSampler"}
_DESIGNS = {"QMCSampler", "GridSampler", "BruteForceSampler"}
_EXHAUSTIVE = {"GridSampler", "BruteForceSampler"}
#: Abstract ones, and one that wraps another sampler, which a study file cannot write.
_NOT_OFFERED = {"BaseSampler", "BaseGASampler", "PartialFixedSampler"}


#: Epochs, from 1, with the validation score at each that has one.
Curve = Sequence[tuple[int, float]]

_NOT_WRITABLE = {
    "seed",
    "gamma",
    "weights",
    "constraints_func",
    "independent_sampler",
    "elite_population_selection_strategy",
    "child_generation_strategy",
    "after_trial_strategy",
    "mutation",
    "crossover",
    "source_trials",
}


def sampler_names() -> list[str]:
    """Names of the samplers a study may name."""
    found = (name for name in optuna.samplers.__all__ if name.endswith("Sampler"))
    return sorted(name for name in found if name not in _NOT_OFFERED)


def sampling_of(sampler_name: str) -> str:
    """Whether a sampler's points are "iid", a "design" or "adaptive"."""
    if sampler_name in _IID:
        return "iid"
    return "design" if sampler_name in _DESIGNS else "adaptive"


def check_sampler(name: str, options: Mapping[str, Any]) -> None:
    """Raise ValueError if there is no such sampler or it does not take these options."""
    if name not in sampler_names():
        raise ValueError(f"there is no sampler {name!r}{nearest(name, sampler_names())}")
    allowed = _options_of(name)
    for option in options:
        if option not in allowed:
            raise ValueError(f"{name} has no option {option!r}{nearest(option, allowed)}")
    needed = [o for o, p in allowed.items() if p.default is inspect.Parameter.empty and o not in options]
    if needed:
        raise ValueError(f"{name} needs the option {needed[0]!r}")
    try:
        make_sampler(name, options, seed=0)
    except (TypeError, ValueError, ImportError) as error:
        raise ValueError(f"{name}: {error}") from error


def describe_sampler(name: str, options: Mapping[str, Any]) -> str:
    """The sampler with every option written out, defaults of the installed Optuna included."""
    written = {
        option: options.get(option, parameter.default) for option, parameter in _options_of(name).items()
    }
    plain = {o: v for o, v in written.items() if not callable(v)}
    arguments = ", ".join(f"{option}={value!r}" for option, value in plain.items())
    return f"{name}({arguments}), Optuna {optuna.__version__}"


def all_options(name: str, options: Mapping[str, Any], pinned: Mapping[str, Any]) -> dict[str, Any]:
    """Every option of a sampler that a plan can hold, written out.

    Args:
        options: what the study says.
        pinned: what the plan of a run says that was begun; it goes before the defaults of the installed
            Optuna, which are not those of every other.

    Raises:
        ValueError: if this Optuna no longer has an option that the run was begun with.
    """
    known = _options_of(name)
    defaults = {
        option: parameter.default
        for option, parameter in known.items()
        if parameter.default is not inspect.Parameter.empty and not callable(parameter.default)
    }
    for option, value in pinned.items():
        if option not in known and value is not None:  # None left it to the sampler, and leaves it still
            raise ValueError(
                f"the run was begun with {name}'s {option} = {value!r}, and Optuna {optuna.__version__} has "
                "no such option; install the version that began it, or choose another directory with --out"
            )
    kept = {option: value for option, value in pinned.items() if option in known}
    return {**defaults, **kept, **options}


def make_sampler(name: str, options: Mapping[str, Any], seed: int) -> BaseSampler:
    """The sampler itself, seeded where it takes a seed (32 bits, as numpy's RandomState wants)."""
    kind = getattr(optuna.samplers, name)
    seeded = {"seed": seed % 2**32} if "seed" in inspect.signature(kind).parameters else {}
    with warnings.catch_warnings():
        # The study names the sampler: that it is experimental is the user's choice.
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        warnings.simplefilter("ignore", FutureWarning)
        sampler: BaseSampler = kind(**options, **seeded)
    return sampler


class Search:
    """One search: asks its sampler for points and tells it their scores."""

    def __init__(
        self,
        space: Mapping[str, Domain],
        sampler: BaseSampler,
        *,
        higher_is_better: bool = True,
        pruner: Mapping[str, Any] | None = None,
    ) -> None:
        """
        Args:
            pruner: {"name", "options", "study_name"}, all options written out; None for none.
        """
        self._has_pruner = pruner is not None
        self._distributions = {name: _distribution(domain) for name, domain in space.items()}
        self._study = optuna.create_study(
            storage=optuna.storages.InMemoryStorage(),
            sampler=sampler,
            pruner=optuna.pruners.NopPruner() if pruner is None else make_pruner(pruner),
            study_name=None if pruner is None else pruner["study_name"],
            direction="maximize" if higher_is_better else "minimize",
        )
        self._untold: list[optuna.Trial] = []

    def ask(self, count: int) -> list[dict[str, Scalar]]:
        """The next points, in order. All points asked for before must have been told."""
        assert not self._untold, "a round is asked only after the round before it was told"
        with _as_in_a_worker(self._study.sampler):
            self._untold = [self._study.ask(fixed_distributions=self._distributions) for _ in range(count)]
        return [dict(trial.params) for trial in self._untold]

    def tell(self, scores: Sequence[float | None], curves: Sequence[Curve] = ()) -> list[int | None]:
        """The scores of the last round's points, in the order they were asked; None for a failed trial.

        Args:
            curves: what each trial reports before its score, where a pruner looks at it. The sampler is told
                of a trial that the pruner stops as such a one, with the last score that it then had reported.

        Returns:
            The epoch after which the pruner stopped each trial; None for one that went to its end.
        """
        stops = []
        for trial, score, curve in zip(self._untold, scores, curves or [()] * len(scores), strict=True):
            stop = _stop(trial, curve) if self._has_pruner else None
            if stop is not None:
                self._study.tell(trial, state=TrialState.PRUNED)
            elif score is None:
                self._study.tell(trial, state=TrialState.FAIL)
            else:
                self._study.tell(trial, score)
            stops.append(stop)
        self._untold = []
        return stops


def _stop(trial: optuna.Trial, curve: Curve) -> int | None:
    """The epoch after which the pruner stops a trial that reports a curve."""
    for epoch, score in curve:
        trial.report(score, epoch)
        if trial.should_prune():
            return epoch
    return None


def draw_frozen(
    space: Mapping[str, Domain], sampler_name: str, options: Mapping[str, Any], seed: int, count: int
) -> list[dict[str, Scalar]]:
    """All points of a search that learns nothing, in order.

    Raises:
        ValueError: if the sampler visits every point once and there are fewer points than asked for.
    """
    points = Search(space, make_sampler(sampler_name, options, seed)).ask(count)
    if sampler_name in _EXHAUSTIVE:
        distinct = len({tuple(sorted(point.items())) for point in points})
        if distinct < count:
            raise ValueError(f"{sampler_name} holds {distinct} points, but {count} trials are asked for")
    return points


def draw_paired(space: Mapping[str, Domain], seed: int, count: int) -> list[dict[str, Scalar]]:
    """Independent random points, drawn one parameter at a time from a stream of that parameter's own.

    So two arms with the same seed share the draws of the parameters they share (by quantile, where their
    ranges differ), whatever else they search.
    """
    columns = {
        name: draw_frozen({name: domain}, RandomSampler.__name__, {}, derive_seed(seed, name), count)
        for name, domain in space.items()
    }
    return [{name: column[i][name] for name, column in columns.items()} for i in range(count)]


@contextmanager
def _as_in_a_worker(sampler: BaseSampler) -> Iterator[None]:
    """Let a sampler that calculates with torch do so with a worker's settings: the same draws whether or not
    trials run in this process, and quicker, because what it calculates is small."""
    if not isinstance(sampler, GPSampler):
        yield
        return
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _options_of(name: str) -> dict[str, inspect.Parameter]:
    """The options a study may set: not the seed, which is derived, and not functions and samplers, which a
    study file cannot write."""
    parameters = inspect.signature(getattr(optuna.samplers, name)).parameters
    return {option: parameter for option, parameter in parameters.items() if option not in _NOT_WRITABLE}


def _distribution(domain: Domain) -> BaseDistribution:
    if isinstance(domain, Choice):
        return CategoricalDistribution(domain.options)
    kind = FloatDistribution if isinstance(domain, Float) else IntDistribution
    return kind(domain.low, domain.high, log=domain.log)  # type: ignore[arg-type]
