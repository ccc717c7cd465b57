"""Arms that begin from another's trials (`of:`): what may be written, and how their trials follow."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from harness.nearest import nearest
from harness.search.samplers import draw_paired
from harness.search.space import Choice, Domain, Float, Scalar, Space
from harness.study.beside import search_of
from harness.study.parts import StudyError
from harness.study.plan import Arm, Plan, Trial
from harness.study.schema import Method, Origin, Study

#: Data set and method: what an origin is told apart by within an architecture.
_Place = tuple[str, str]


def check_origins(study: Study, source: str) -> None:
    """What can be told before any data are touched.

    Raises:
        StudyError: one sentence, for an origin that is none, a circle of them, or a sampler of its own.
    """
    labels = [method.name for method in study.methods]
    datasets = [dataset.name for dataset in study.datasets]
    for method in study.methods:
        where = f"{source}: methods.{method.name}"
        if method.of is None:
            continue
        wanted = _wanted(method.of)
        if wanted.method not in labels:
            raise StudyError(
                f"{where}.of: {wanted.method!r} is no method of this study{nearest(wanted.method, labels)}"
            )
        if wanted.dataset is not None and wanted.dataset not in datasets:
            raise StudyError(
                f"{where}.of: {wanted.dataset!r} is no data set of this study"
                f"{nearest(wanted.dataset, datasets)}"
            )
        if method.sampler is not None:
            raise StudyError(
                f"{where}.sampler: its trials begin from those of {wanted.method} and share their values, so "
                "it has no sampler of its own; leave it out"
            )
    for dataset in datasets:
        for method in study.methods:
            if circle := _circle(study, (dataset, method.name)):
                names = ", ".join(f"{name} ({data})" for data, name in circle)
                raise StudyError(
                    f"{source}: methods.{circle[0][1]}.of: origins go round in a circle, in which no trial "
                    f"can be the first: {names}"
                )
    entries = {method.name: method for method in study.methods}
    for method in study.methods:
        theirs = {} if method.of is None else search_of(study, entries[_wanted(method.of).method])
        for name in method.search:
            if name in theirs:
                raise StudyError(
                    f"{source}: methods.{method.name}.search.{name}: its values are those of its origin; "
                    "leave it out"
                )


def origin_of(method: Method, dataset: str, architecture: str) -> str | None:
    """Key of the arm that a method's arm on a data set and an architecture begins from."""
    if method.of is None:
        return None
    wanted = _wanted(method.of)
    return f"{wanted.dataset or dataset}/{architecture}/{wanted.method}"


def in_order(origins: Mapping[str, str | None]) -> list[str]:
    """Arms so that each comes after its origin; else as they are. No circle is among them."""
    ordered: dict[str, None] = {}

    def add(key: str) -> None:
        origin = origins[key]
        if origin is not None:
            add(origin)
        ordered.setdefault(key)

    for key in origins:
        add(key)
    return list(ordered)


def as_control(arm: Arm, origin: Arm, written: Method) -> Arm:
    """An arm with as many trials as its origin, and the values of the parameters that both have.

    Raises:
        ValueError: if the entry asks for what its origin decides, or cannot take the origin's values.
    """
    for name in written.space:
        if name in origin.space:
            raise ValueError(f"space.{name}: its values are those of its origin {origin.key}; leave it out")
    if written.trials is not None and written.trials > origin.trials:
        raise ValueError(
            f"trials: {written.trials} are asked for, and its origin {origin.key} has {origin.trials}; leave "
            "trials out for as many"
        )
    for name in arm.space.keys() & origin.space.keys():
        if not _takes(arm.space[name], origin.space[name]):
            raise ValueError(
                f"of: its parameter {name} does not take the values that its origin {origin.key} draws"
            )
    return replace(
        arm,
        origin=origin.key,
        sampler=origin.sampler,
        sampler_options=origin.sampler_options,
        sampler_text=f"points of {origin.key}: {origin.sampler_text}",
        sampling=origin.sampling,
        space={name: origin.space.get(name, domain) for name, domain in arm.space.items()},
        trials=written.trials or origin.trials,
    )


def draw_controls(
    plan: Plan, frozen: Mapping[tuple[str, int], tuple[Trial, ...]]
) -> dict[tuple[str, int], tuple[Trial, ...]]:
    """Frozen trials and the controls that begin from them, arms in the order of the plan."""
    drawn = dict(frozen)
    for key in in_order({arm.key: arm.origin for arm in plan.arms.values()}):
        arm = plan.arms[key]
        if arm.origin is None or (arm.origin, 0) not in drawn:
            continue  # an adaptive arm's controls are known when it is
        for replicate in range(arm.sampler.replicates):
            origins, own = drawn[arm.origin, replicate], own_draws(plan, arm, replicate)
            drawn[key, replicate] = tuple(
                follow(plan, arm, origin, own[origin.index]) for origin in origins if origin.index < len(own)
            )
    return {
        (key, replicate): drawn[key, replicate]
        for key, arm in plan.arms.items()
        for replicate in range(arm.sampler.replicates)
        if (key, replicate) in drawn
    }


def own_draws(plan: Plan, arm: Arm, replicate: int) -> list[dict[str, Scalar]]:
    """For each trial of a control the values of the parameters that its origin does not have.

    Drawn as paired arms draw, from the seed of the origin's search: controls of one origin share them.
    """
    return draw_paired(_own_space(plan, arm), plan.search_seed(arm, replicate), arm.trials)


def follow(plan: Plan, arm: Arm, origin: Trial, own: Mapping[str, Scalar]) -> Trial:
    """The trial of a control that begins from a trial of its origin."""
    values = {**origin.params, **own}
    params = {name: values[name] for name in arm.space}
    return plan.make_trial(arm, origin.replicate, origin.index, params, origin.id, origin.repeat)


def controls_of(plan: Plan, key: str) -> Iterator[str]:
    """Keys of the arms that begin from an arm, and of those that begin from these."""
    for arm in plan.arms.values():
        if arm.origin == key:
            yield arm.key
            yield from controls_of(plan, arm.key)


class Controls:
    """Makes the controls of trials that are asked for while a study runs."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._own: dict[tuple[str, int], list[dict[str, Scalar]]] = {}

    def of(self, trial: Trial) -> Iterator[Trial]:
        """The trials that begin from a trial, and those that begin from these."""
        for arm in self._plan.arms.values():
            if arm.origin == trial.arm and trial.index < arm.trials:
                control = follow(self._plan, arm, trial, self._draws(arm, trial.replicate)[trial.index])
                yield control
                yield from self.of(control)

    def _draws(self, arm: Arm, replicate: int) -> list[dict[str, Scalar]]:
        if (arm.key, replicate) not in self._own:
            self._own[arm.key, replicate] = own_draws(self._plan, arm, replicate)
        return self._own[arm.key, replicate]


def _wanted(of: str | Origin) -> Origin:
    return Origin(method=of) if isinstance(of, str) else of


def _circle(study: Study, start: _Place) -> list[_Place]:
    """The places of a circle that begins and ends at a place; empty if there is none."""
    entries = {method.name: method for method in study.methods}
    walked, place = [start], start
    while (of := entries[place[1]].of) is not None:
        wanted = _wanted(of)
        place = (wanted.dataset or place[0], wanted.method)
        if place == start:
            return [*walked, start]
        if place in walked:
            return []  # found from the places in it
        walked.append(place)
    return []


def _own_space(plan: Plan, arm: Arm) -> Space:
    assert arm.origin is not None, "only a control has draws beside its origin's"
    theirs = plan.arms[arm.origin].space
    return {name: domain for name, domain in arm.space.items() if name not in theirs}


def _takes(ours: Domain, theirs: Domain) -> bool:
    """Whether every value of a domain is of the kind of another's, or among its choices."""
    values = theirs.options if isinstance(theirs, Choice) else (theirs.low, theirs.high)
    if isinstance(ours, Choice):
        return isinstance(theirs, Choice) and set(theirs.options) <= set(ours.options)
    kinds = (int, float) if isinstance(ours, Float) else (int,)
    return all(isinstance(value, kinds) and not isinstance(value, bool) for value in values)
