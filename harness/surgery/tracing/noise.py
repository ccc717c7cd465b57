"""Training mode without the noise that it brings: what is drawn could not be drawn alike for two sizes."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

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
#: Ends of the names of modules that drop whole branches, as torchvision, timm and transformers have them.
_DROPPING = ("StochasticDepth", "DropPath", "Dropout", "DropBlock2d")


@contextmanager
def training_without_noise(network: nn.Module) -> Iterator[None]:
    """All modules in training mode, but no dropout and no stochastic depth; `quiet` puts the modes back.

    Noise that a network draws by other means stays.
    """
    network.train()
    modules = list(network.modules())
    heads = [module for module in modules if isinstance(module, nn.MultiheadAttention)]
    shares = [module.dropout for module in heads]
    for module in modules:
        drops = type(module).__name__.endswith(_DROPPING) and next(module.parameters(), None) is None
        if drops or isinstance(module, nn.modules.dropout._DropoutNd):
            module.training = False
    try:
        for module in heads:
            module.dropout = 0.0
        with _NoDropout():
            yield
    finally:
        for module, share in zip(heads, shares, strict=True):
            module.dropout = share


class _NoDropout(TorchFunctionMode):
    """Takes the noise out of dropout that is called as a function."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in _DROPOUTS:
            return args[0] if args else kwargs["input"]
        if func is F.scaled_dot_product_attention:
            args, kwargs = (*args[:4], 0.0, *args[5:]) if len(args) > 4 else args, {**kwargs}
            kwargs.pop("dropout_p", None)
        return func(*args, **kwargs)
