"""Training mode without the noise that it brings: what is drawn could not be drawn alike for two sizes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from harness.surgery.errors import SurgeryError

#: Functions that give what they are given, but for noise.
_DROPOUTS = frozenset(
    {
        F.dropout,
        F.dropout1d,
        F.dropout2d,
        F.dropout3d,
        F.alpha_dropout,
        F.feature_alpha_dropout,
        torch.dropout,
        torch.dropout_,
        torch.alpha_dropout,
        torch.alpha_dropout_,
        torch.feature_dropout,
        torch.feature_dropout_,
        torch.feature_alpha_dropout,
        torch.feature_alpha_dropout_,
    }
)
#: Those that put something else than zero in the place of what they drop.
_SHIFTING = frozenset(func for func in _DROPOUTS if "alpha" in func.__name__)
#: Is told what such a dropout would have been given.
Shifted = Callable[[Tensor], None]
#: Ends of the names of modules that drop whole branches, as torchvision, timm and transformers have them.
_DROPPING = ("StochasticDepth", "DropPath", "Dropout", "DropBlock2d")


@contextmanager
def training_without_noise(network: nn.Module, shifted: Shifted | None = None) -> Iterator[None]:
    """All modules in training mode, but no dropout and no stochastic depth; `quiet` puts the modes back.

    Noise that a network draws by other means stays.

    Args:
        shifted: is told of what would have been dropped in exchange for other numbers than zero.
    """
    network.train()
    modules = list(network.modules())
    heads = [module for module in modules if isinstance(module, nn.MultiheadAttention)]
    shares = [module.dropout for module in heads]
    for module in modules:
        if isinstance(module, nn.modules.dropout._DropoutNd):
            continue  # calls one of the functions
        if type(module).__name__.endswith(_DROPPING) and next(module.parameters(), None) is None:
            module.training = False
    try:
        for module in heads:
            module.dropout = 0.0
        with _NoDropout(shifted):
            yield
    finally:
        for module, share in zip(heads, shares, strict=True):
            module.dropout = share


class _NoDropout(TorchFunctionMode):
    """Takes the noise out of dropout that is called as a function.

    Refuses hooks that a forward pass hangs on gradients, which may go by their size like any code.
    """

    def __init__(self, shifted: Shifted | None) -> None:
        super().__init__()
        self._shifted = shifted

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in _DROPOUTS:
            given: Tensor = args[0] if args else kwargs["input"]
            if func in _SHIFTING and self._shifted is not None:
                share = args[1] if len(args) > 1 else kwargs.get("p", 0.5)
                on = args[2] if len(args) > 2 else kwargs.get("training", kwargs.get("train", False))
                if on and share:
                    self._shifted(given)
            return given
        if func is Tensor.register_hook and self._shifted is not None:
            raise SurgeryError(
                "The network hangs a hook on the gradient of a tensor each time it runs, and surgery cannot "
                "see what that makes of a gradient of another size; only networks whose gradients are "
                "PyTorch's own can be followed."
            )
        if func is F.scaled_dot_product_attention:
            args, kwargs = (*args[:4], 0.0, *args[5:]) if len(args) > 4 else args, {**kwargs}
            kwargs.pop("dropout_p", None)
        return func(*args, **kwargs)
