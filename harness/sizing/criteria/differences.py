"""The diagonal of the Hessian by differences: each weight is moved by epsilon, up and down.

*Optimal Lobotomy* (Lee) speaks of "epsilon-approximations of the gradient" and gives no epsilon. Both
readings are here. What they err by is U-shaped in epsilon: rounding divided by epsilon squared (of energies)
or epsilon (of gradients) on the left, the next derivatives times epsilon squared on the right.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from harness.sizing.criteria.energy import Energy

#: Weights moved at once: so many networks go through the examples side by side.
_AT_ONCE = 64


def by_energies(energy: Energy, places: Mapping[str, Tensor], epsilon: float) -> dict[str, Tensor]:
    """(E(w + eps e_k) - 2 E(w) + E(w - eps e_k)) / eps^2 of each weight k.

    Args:
        places: parameter -> places [k] in the flattened parameter.

    Returns:
        Parameter -> [k].
    """
    with torch.no_grad():
        still = sum(energy.parts({}), torch.zeros(()))

        def second(name: str, moved: Tensor, chosen: Tensor) -> Tensor:
            made: Tensor = torch.vmap(lambda own: _total(energy, name, own))(moved)
            return made

        found = {}
        for name, own in places.items():
            up = _moved(energy, name, own, epsilon, second)
            down = _moved(energy, name, own, -epsilon, second)
            # The two differences first: each is small, so that less is lost than by adding up the ends.
            found[name] = ((up - still) + (down - still)) / epsilon**2
        return found


def by_gradients(energy: Energy, places: Mapping[str, Tensor], epsilon: float) -> dict[str, Tensor]:
    """(g_k(w + eps e_k) - g_k(w - eps e_k)) / 2 eps of each weight k; arguments as of `by_energies`."""

    def slope(name: str, moved: Tensor, chosen: Tensor) -> Tensor:
        gradients: Tensor = torch.vmap(torch.func.grad(lambda own: _total(energy, name, own)))(moved)
        return gradients.flatten(1).gather(1, chosen.unsqueeze(1)).squeeze(1)

    found = {}
    for name, own in places.items():
        up = _moved(energy, name, own, epsilon, slope)
        found[name] = (up - _moved(energy, name, own, -epsilon, slope)) / (2 * epsilon)
    return found


def _total(energy: Energy, name: str, value: Tensor) -> Tensor:
    return sum(energy.parts({name: value}), value.new_zeros(()))


def _moved(
    energy: Energy,
    name: str,
    places: Tensor,
    by: float,
    measure: Callable[[str, Tensor, Tensor], Tensor],
) -> Tensor:
    """A measurement of every network in which one of the weights was moved: [k]."""
    weight, found = energy.parameters[name], []
    for chosen in places.split(_AT_ONCE):
        moved = weight.expand(len(chosen), *weight.shape).clone()
        moved.view(len(chosen), -1)[torch.arange(len(chosen), device=chosen.device), chosen] += by
        found.append(measure(name, moved, chosen).detach())
    return torch.cat(found)
