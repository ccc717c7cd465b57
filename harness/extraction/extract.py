"""`harness extract`: from a trial's record to a folder that holds its network, ready to be used elsewhere."""

import stat
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors.torch import save_model
from torch import nn

from harness import registry
from harness.datasets.base import data_root
from harness.extraction.choice import choose
from harness.extraction.description import FILE as DESCRIPTION
from harness.extraction.description import WEIGHTS, Description, write_description
from harness.extraction.exporting import export_all
from harness.extraction.folder import whole_or_nothing
from harness.extraction.modules import names_of
from harness.extraction.packages import versions_of
from harness.extraction.plain import Plain, make_plain
from harness.extraction.replanning import origin_replayed, replan
from harness.extraction.retraining import Retrained, on_this_machine, retrain
from harness.extraction.summary import EXTRACTED, START, Summary
from harness.plugins import attributes
from harness.plugins.sources import sources_of
from harness.records.directory import RunDirectory
from harness.records.record import Record
from harness.runs.trial_runner import TrialRunner
from harness.sizing.base import Cell
from harness.study.plan import Plan
from harness.study.resized import initialise_of
from harness.training.speed import measure_speed
from harness.watching import Silent, Watcher

#: Examples of the validation part that the plain network is compared with the trained one on.
_COMPARED = 1024


@dataclass(frozen=True, slots=True)
class Extracted:
    """A network that was taken out of a run. folder: where it lies; summary: how it compares."""

    folder: Path
    summary: Summary


def extract(
    run: Path | str,
    trial: str = "best",
    out: Path | str | None = None,
    *,
    data: Path | str | None = None,
    plugins: Sequence[Path | str] = (),
    watcher: Watcher | None = None,
) -> Extracted:
    """Take a trial's network along: `harness extract`.

    The trial is trained again up to its selected epoch, made a plain network, and written with all that is
    known of it: model.safetensors, architecture.json, model.onnx, model.pt2, summary.json. Sets the process's
    number of threads to that of a trial.

    Args:
        run: a run's directory.
        trial: an id, the beginning of one, `best` (by validation score) or `best:METHOD`.
        out: the folder to write; unless given, one in the run's directory.
        data: folder of the data sets; unless given, HARNESS_DATA's.
        plugins: plug-in files of the study.

    Raises:
        ExtractionError, DirectoryError, DataError, StudyError: one sentence each; nothing is written then.
    """
    watcher, root = watcher or Silent(), data_root(data)
    directory = RunDirectory(Path(run))
    record = choose(directory, trial)
    plan, planned = replan(directory, record, root, [Path(plugin) for plugin in plugins])
    origin = origin_replayed(plan, record, directory)
    target = Path(out or directory.path / "extracted" / record.trial_id).absolute()
    with whole_or_nothing(target) as folder:
        watcher.say(
            f"Trial {record.trial_id} of {record.arm}: epoch {record.selected_epoch} of "
            f"{len(record.epochs)}, validation score {record.val_score:.4f}, "
            f"test score {record.test_score:.4f}"
        )
        runner = TrialRunner(on_this_machine(plan), root)
        epochs = record.selected_epoch
        assert epochs is not None, "only a trial with a selected epoch is chosen"
        try:
            retrained = retrain(
                runner, planned, record, lambda epoch: watcher.trained(epoch.epoch, epochs), origin
            )
        finally:
            watcher.end()
        cell = replace(plan.cell(plan.arms[record.arm], record.params), origin=origin)
        summary = _write(folder, plan, record, retrained, cell)
    return Extracted(target, summary)


def _write(folder: Path, plan: Plan, record: Record, retrained: Retrained, cell: Cell) -> Summary:
    """The plain network in all its forms, and what is known of it."""
    plain = make_plain(
        retrained.network,
        cell.architecture,
        cell.example_shape,
        cell.outputs,
        retrained.epochs[-1].size.units,
        retrained.split.validation.x[:_COMPARED],
    )
    device = retrained.split.train.x.device
    network, start = plain.network.cpu(), _start_network(plan, record, cell)
    description = _describe(plan, record, retrained, cell, plain)
    write_description(folder, description)
    _write_weights(folder, network)
    summary = Summary(
        record=record,
        description=description,
        retrained=retrained,
        folding_difference=plain.difference,
        failed_exports=export_all(network, retrained.split.validation.x[:2].cpu(), folder),
        speeds=[
            speed
            for place in dict.fromkeys((torch.device("cpu"), device))
            for speed in measure_speed({EXTRACTED: network, START: start}, cell.example_shape, place)
        ],
    )
    summary.write(folder)
    return summary


def _write_weights(folder: Path, network: nn.Module) -> None:
    weights = folder / WEIGHTS
    save_model(network, str(weights))
    # safetensors makes the file for its owner alone; the folder's other files are as the user's umask says.
    weights.chmod(stat.S_IMODE((folder / DESCRIPTION).stat().st_mode))


def _describe(plan: Plan, record: Record, retrained: Retrained, cell: Cell, plain: Plain) -> Description:
    entry = plan.architecture(plan.arms[record.arm], record.params)
    family = entry.family or entry.name
    origins = [registry.origin("architectures", family)]
    origins += [attributes.origin(name) for name in [initialise_of(entry)] if name]
    made = {name for step in plain.alterations if step.module for name in names_of(step.module)}
    # One name a module is enough: looking for its package takes long.
    origins += [
        attributes.origin(name) for name in {name.rpartition(":")[0]: name for name in sorted(made)}.values()
    ]
    files = [each.file for each in origins if each is not None and each.file is not None and not each.module]
    used = {name: digest for file in files for name, digest in sources_of(file).items()}
    packages = {each.package for each in origins if each is not None and each.package is not None}
    assert record.selected_epoch is not None
    return Description(
        study=plan.study.name,
        trial_id=record.trial_id,
        arm=record.arm,
        family=family,
        options=dict(entry.options),
        plugins={file.name: used[file.name] for file in files},
        sources=used,
        example_shape=cell.example_shape,
        outputs=cell.outputs,
        classes=cell.outputs,
        sizes=plain.sizes,
        normalisation=retrained.split.normalisation,
        selected_epoch=record.selected_epoch,
        val_score=retrained.val_score,
        test_score=retrained.test_score,
        is_resized=plan.study.training.resize is not None,
        alterations=plain.alterations,
        shapes=plain.shapes,
        packages=versions_of(sorted(packages)),
    )


def _start_network(plan: Plan, record: Record, cell: Cell) -> nn.Module:
    """The plain network of the sizes that the method starts with, untrained: speed does not ask for more."""
    sizes = plan.method(plan.arms[record.arm]).start_sizes(cell, record.params)
    return cell.architecture.build(cell.example_shape, cell.outputs, sizes).eval()
