"""Which networks surgery can work on: plain modules with dense tensors that are there."""

import torch
from torch import Tensor, fx, nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter

from harness.surgery.errors import SurgeryError
from harness.surgery.tracing.example import Example, devices

#: Names of classes, so that no package has to be there.
_WRAPPERS = {
    "OptimizedModule": "compiled",
    "DistributedDataParallel": "wrapped for distributed training",
    "DeepSpeedEngine": "wrapped for distributed training",
    "DataParallel": "wrapped for several devices",
    "FullyShardedDataParallel": "sharded",
    "FSDPModule": "sharded",
    "_FabricModule": "wrapped by Lightning Fabric",
    "ScriptModule": "scripted or traced by torch.jit",
    "TopLevelTracedModule": "scripted or traced by torch.jit",
}


def check_plain(network: nn.Module) -> None:
    """Refuse what is wrapped or made by a compiler, and tensors that cannot be exchanged for others.

    Raises:
        SurgeryError: naming the module or parameter, and what to do.
    """
    if not isinstance(network, nn.Module):
        raise SurgeryError(f"Surgery works on an nn.Module, not on a {type(network).__name__}.")
    for path, module in network.named_modules():
        where = f"The module at {path or 'the root'}"
        for kind in type(module).__mro__:
            if kind.__name__ in _WRAPPERS:
                raise SurgeryError(
                    f"{where} is {_WRAPPERS[kind.__name__]}; give the plain network inside to surgery."
                )
        if isinstance(module, fx.GraphModule) and "eval" in vars(module):
            raise SurgeryError(
                f"{where} was made by torch.export, which fixes modes and sizes; give the network that was "
                "exported to surgery."
            )
    for path, tensor in [*network.named_parameters(), *network.named_buffers()]:
        _check_tensor(path, tensor)


def _check_tensor(path: str, tensor: Tensor) -> None:
    if isinstance(tensor, UninitializedParameter | UninitializedBuffer):
        raise SurgeryError(
            f"{path!r} belongs to a lazy layer and has no shape yet; run the network once first, on an input "
            "of the size it is for."
        )
    if not isinstance(tensor, nn.Parameter):
        return
    if not issubclass(type(tensor), nn.Parameter):
        raise SurgeryError(
            f"The parameter {path!r} is a {type(tensor).__name__}, a tensor of a class of its own (sharded, "
            "quantised, or somebody's), which surgery cannot follow; make it a plain one first."
        )
    if tensor.layout != torch.strided:
        raise SurgeryError(
            f"The parameter {path!r} is sparse ({tensor.layout}); surgery cuts dense ones: make it dense, "
            "and mask its entries."
        )
    if tensor.is_inference():
        raise SurgeryError(
            f"The parameter {path!r} was made in inference mode, and no gradient can be followed through it; "
            "make the network outside of torch.inference_mode."
        )


def check_values(network: nn.Module) -> None:
    """Refuse parameters without memory, whose values nobody can read.

    Raises:
        SurgeryError: naming the parameter.
    """
    for path, parameter in network.named_parameters():
        if parameter.is_meta:
            raise SurgeryError(
                f"The parameter {path!r} has no values (it is on the device 'meta'); give the network some "
                "first, with `to_empty` and an initialisation, or the weights it is to have."
            )


def check_example(network: nn.Module, example: Example) -> None:
    """Refuse an example that holds no tensor, or is on another device than the network.

    Raises:
        SurgeryError: naming the devices.
    """
    here = devices(example)
    elsewhere = {str(tensor.device) for tensor in network.parameters()} - here
    if elsewhere:
        raise SurgeryError(
            f"The network has parameters on {', '.join(sorted(elsewhere))} but the example is on "
            f"{', '.join(sorted(here))}; they must be on one device."
        )
