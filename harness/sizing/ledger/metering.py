"""Counts the floating-point operations of whatever is computed in a block: products and convolutions."""

from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry


class Meter(TorchDispatchMode):
    """Two operations a multiply-accumulate, forward and backward, of second derivatives too.

    `flops` is the count so far. It sees what torch computes, and not what is said of it: so no method has to
    say what its Hessian costs. Operations on a whole network are slowed by some microseconds each.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.flops = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run an operation, and count it if it is one of those that cost."""
        out = func(*args, **(kwargs or {}))
        count = flop_registry.get(func._overloadpacket)
        if count is not None:
            self.flops += int(count(*args, **(kwargs or {}), out_val=out))
        return out
