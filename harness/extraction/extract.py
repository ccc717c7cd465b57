"""`harness extract`: from a trial's record to a folder that holds its network, ready to be used elsewhere."""

import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_model
from torch import nn

from harness import registry
from harness.cli.views.extraction import ExtractionView
from harness.extraction.choice import choose
from harness.extraction.description import FILE as DESCRIPTION
from harness.extraction.description import WEIGHTS, Description, write_description
from harness.extraction.exporting import export_all
from harness.extraction.folder import whole_or_nothing
from harness.extraction.plain import make_plain
from harness.extraction.replanning import replan
from harness.extraction.retraining import Retrained, on_this_machine, retrain
from harness.extraction.speed import measure_speed
from harness.extraction.summary import EXTRACTED, START, Summary
from harness.records.directory import RunDirectory
from harness.records.record import Record
from harness.runs.trial_runner import TrialRunner
from harness.sizing.base import Cell
from harness.study.plan import Plan, entry_named

#: Examples of the validation part that the plain network is compared with the trained one on.
_COMPARED = 1024


@dataclass(frozen=True, slots=True)
class ExtractionRequest:
    """What `harness extract` was asked for.

    run: a run's directory. trial: see `choice.choose`. out: the folder to write; None for one in the run.
    data_root: folder of the data sets, None for the cache's own. plugins: the study's plug-in files.
    """

    run: Path
    trial: str
    out: Path | None = None
    data_root: Path | None = None
    plugins: Sequence[Path] = ()


def extract_network(request: ExtractionRequest, view: ExtractionView) -> Path:
    """Train the chosen trial again up to its selected epoch, make it a plain network, and write all of it.

    Sets the process's number of threads to that of a trial.

    Returns:
        The folder, which holds model.safetensors, architecture.json, model.onnx, model.pt2, summary.json.

    Raises:
        ExtractionError, DirectoryError, DataError, StudyError: one sentence each, for the user; nothing is
            written then.
    """
    directory = RunDirectory(request.run)
    record = choose(directory, request.trial)
    plan, trial = replan(directory, record, request.data_root, request.plugins)
    out = (request.out or directory.path / "extracted" / record.trial_id).absolute()
    with whole_or_nothing(out) as folder:
        view.chosen(record)
        runner = TrialRunner(on_this_machine(plan), request.data_root)
        with view.training(record) as on_epoch:
            retrained = retrain(runner, trial, record, on_epoch)
        cell = plan.cell(plan.arms[record.arm])
        sizes = retrained.epochs[-1].size.units
        plain = make_plain(
            retrained.network,
            cell.architecture,
            cell.example_shape,
            cell.outputs,
            sizes,
            retrained.split.validation.x[:_COMPARED],
        )
        device = retrained.split.train.x.device
        network = plain.network.cpu()
        description = _describe(plan, record, retrained, cell)
        write_description(folder, description)
        _write_weights(folder, network)
        failed = export_all(network, retrained.split.validation.x[:2].cpu(), folder)
        start = _start_network(plan, record, cell)
        summary = Summary(
            record=record,
            description=description,
            retrained=retrained,
            folding_difference=plain.difference,
            speeds=[
                speed
                for place in dict.fromkeys((torch.device("cpu"), device))
                for speed in measure_speed({EXTRACTED: network, START: start}, cell.example_shape, place)
            ],
            failed_exports=failed,
        )
        summary.write(folder)
    view.done(summary, out)
    return out


def _write_weights(folder: Path, network: nn.Module) -> None:
    weights = folder / WEIGHTS
    save_model(network, str(weights))
    # safetensors makes the file for its owner alone; the folder's other files are as the user's umask says.
    weights.chmod(stat.S_IMODE((folder / DESCRIPTION).stat().st_mode))


def _describe(plan: Plan, record: Record, retrained: Retrained, cell: Cell) -> Description:
    entry = entry_named(plan.study.architectures, plan.arms[record.arm].architecture)
    family = entry.family or entry.name
    from_file = registry.names("architectures")[family].startswith("file ")
    assert record.selected_epoch is not None
    return Description(
        study=plan.study.name,
        trial_id=record.trial_id,
        arm=record.arm,
        family=family,
        options=dict(entry.options),
        plugins=dict(plan.plugin_digests) if from_file else {},
        example_shape=cell.example_shape,
        outputs=cell.outputs,
        classes=cell.outputs,
        sizes=retrained.epochs[-1].size.units,
        normalisation=retrained.split.normalisation,
        selected_epoch=record.selected_epoch,
        val_score=retrained.val_score,
        test_score=retrained.test_score,
    )


def _start_network(plan: Plan, record: Record, cell: Cell) -> nn.Module:
    """The plain network of the sizes that the method starts with, untrained: speed does not ask for more."""
    sizes = plan.method(plan.arms[record.arm]).start_sizes(cell, record.params)
    return cell.architecture.build(cell.example_shape, cell.outputs, sizes).eval()
