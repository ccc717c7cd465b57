"""Prints a plan for a reader."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.cli.terminal import say
from harness.cli.views.origins import origin_lines
from harness.cli.views.power import power_lines
from harness.cli.views.seeds import seed_lines
from harness.datasets.residency import forecast as residence
from harness.design import BATCH_SIZE, pruner_text, span_text
from harness.search.space import domain_text
from harness.study.beside import optimizers_told, told
from harness.study.forecast import forecast
from harness.study.plan import Arm, Plan
from harness.study.telling import task_told, training_told
from harness.study.training import Task
from harness.trial_table import SEARCHED


def show_strangers(names: Sequence[str], console: Console) -> None:
    """Code of others that a study names: shown before any of it runs; a study without any says nothing."""
    for name in names:
        say(console, f"Code of the study's, which runs now to plan it: {name}")


def show_plan(plan: Plan, console: Console) -> None:
    """Arms, search spaces, numbers of trials, starting networks and what training them will take."""
    study, training = plan.study, plan.study.training
    console.print(Text(f"{study.name}: {plan.planned_trials} trials in {len(plan.arms)} arms", style="bold"))
    if study.description:
        console.print(Text(study.description.strip()))
    for facts in plan.facts.values():
        console.print(
            Text(
                f"Data {facts.name}: {facts.train_examples} training and {facts.test_examples} test examples "
                f"of shape {'x'.join(map(str, facts.example_shape))}, "
                f"{facts.outputs} {'classes' if facts.target == 'classes' else 'outputs'}; "
                f"{residence(facts, training.resize is not None, study.resources.gpus > 0)}"
            )
        )
    claim = study.claim
    console.print(
        Text(
            f"Claim: against {claim.baseline}, best of n = {claim.n}, cost in {claim.cost}, "
            f"margin {claim.margin:g}"
        )
    )
    console.print(
        Text(
            f"Training: {optimizers_told(study)}; batch size "
            f"{told(study, BATCH_SIZE, training.batch_size)}, "
            f"at most {training.time_limit_seconds:g} s a trial"
        )
    )
    if study.training.task != Task():
        console.print(Text(f"Task: {task_told(training.task, plan.score)}"))
    for label, asked in training_told(training).items():
        console.print(Text(f"{label}: {asked}"))
    _show_spaces(plan, console)
    _show_costs(plan, console)
    for line in (*seed_lines(plan), *origin_lines(plan)):
        console.print(Text(line))
    for replay in plan.replays.values():
        console.print(
            Text(
                f"{replay.dataset}/{replay.architecture}/{replay.method} replays {replay.replay_of} under "
                f"{replay.pruner_text}: no trials of its own, no cost."
            )
        )
    for line in power_lines(plan):
        console.print(Text(line))
    for warning in plan.warnings:
        console.print(Text(f"Note: {warning}"))


def _show_spaces(plan: Plan, console: Console) -> None:
    table = Table(box=None, pad_edge=False, title_justify="left")
    for heading in ("arm", "trials", "epochs", "sampler", "search space"):
        table.add_column(heading)
    for arm in plan.arms.values():
        space = "\n".join(f"{name}: {domain_text(domain)}" for name, domain in arm.space.items())
        sampler = f"{arm.sampler.name} ({arm.sampling})"
        if arm.sampler.replicates > 1:
            sampler += f", {arm.sampler.replicates} searches"
        if arm.sampling in SEARCHED:
            sampler += f", rounds of {arm.sampler.round_size}"
        if arm.pruner is not None:
            sampler += f", told as {pruner_text(arm.pruner)} would stop them"
        if arm.origin is not None:
            sampler = f"begins from {arm.origin}"
        table.add_row(Text(arm.key), str(arm.trials), Text(_epochs(arm)), Text(sampler), Text(space))
    console.print(table)


def _epochs(arm: Arm) -> str:
    """What a trial is trained for, and what the study asks for where that is other."""
    planned = arm.epochs_planned
    if planned is None:
        return f"by its origin (asked: {arm.epochs})"
    return span_text(planned) + ("" if planned == (arm.epochs, arm.epochs) else f" (asked: {arm.epochs})")


def _show_costs(plan: Plan, console: Console) -> None:
    table = Table(box=None, pad_edge=False)
    table.add_column("arm")
    for heading in (
        "start parameters: least",
        "median",
        "most",
        "peak memory",
        "examples a trial",
        "training FLOPs: a trial",
        "the arm",
    ):
        table.add_column(heading, justify="right")
    for arm in plan.arms.values():
        found = forecast(plan, arm)
        least, median, most = found.start_parameters
        table.add_row(
            Text(arm.key),
            f"{least:,}",
            f"{median:,}",
            f"{most:,}",
            f"{found.peak_bytes / 2**20:.1f} MiB",
            span_text(arm.examples) if arm.examples else "by its origin",
            "-".join(dict.fromkeys(f"{flops:.2e}" for flops in (found.start_flops[0], found.start_flops[2]))),
            f"{found.train_flops:.2e}",
        )
    console.print(table)
    console.print(Text("Peak memory is a trial's parameters, gradients, optimizer state and one batch; "
                       "FLOPs are those of networks that keep their starting size."))  # fmt: skip
