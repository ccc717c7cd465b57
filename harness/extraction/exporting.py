"""Writes a network for other runtimes: ONNX and torch.export, with a batch axis of any length."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

ONNX = "model.onnx"
PROGRAM = "model.pt2"


def export_all(network: nn.Module, example: Tensor, folder: Path) -> dict[str, str]:
    """Write model.onnx and model.pt2.

    Args:
        network: in evaluation mode, on the CPU.
        example: [2, ...]: tracers take a length of 1 for a constant.

    Returns:
        File name -> why it could not be written; empty if all were. A network that torch cannot trace is a
        fact about the network: its weights and description are worth having all the same.
    """
    failures = {}
    exporters: dict[str, Callable[[nn.Module, Tensor, Path], None]] = {
        ONNX: _write_onnx,
        PROGRAM: _write_program,
    }
    for name, write in exporters.items():
        path = folder / name
        try:
            write(network, example, path)
        except Exception as error:  # noqa: BLE001 - tracers raise of all kinds; the reason goes to the user
            failures[name] = f"{type(error).__name__}: {' '.join(str(error).split()):.300}"
            path.unlink(missing_ok=True)
    return failures


def _batch_axis() -> tuple[dict[int, torch.export.Dim]]:
    return ({0: torch.export.Dim("batch", min=1)},)


def _write_onnx(network: nn.Module, example: Tensor, path: Path) -> None:
    """One input `input` [batch, ...], one output `output` [batch, outputs]; weights inside the file."""
    torch.onnx.export(
        network,
        (example,),
        path,
        dynamo=True,
        dynamic_shapes=_batch_axis(),
        input_names=["input"],
        output_names=["output"],
        external_data=False,
        verbose=False,
    )


def _write_program(network: nn.Module, example: Tensor, path: Path) -> None:
    torch.export.save(torch.export.export(network, (example,), dynamic_shapes=_batch_axis()), path)
