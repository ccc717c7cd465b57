"""Criteria by which weights are deleted: against brute force, on losses whose Hessian is known."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from harness.datasets.base import Part
from harness.objectives.classification import Classification
from harness.objectives.regression import Regression
from harness.sizing.criteria import differences, double_backward, gauss_newton, hutchinson
from harness.sizing.criteria.candidates import at_places, candidates, count_of, marked, places_of
from harness.sizing.criteria.energy import Energy
from harness.sizing.criteria.magnitude import magnitudes, spreads
from harness.sizing.criteria.obs import floored_inverse, ridge_inverse, surgery_of
from harness.sizing.criteria.saliency import saliencies, saliency
from harness.sizing.criteria.smallest import apportioned, smallest
from harness.sizing.probe import Probe
from harness.surgery import Mask, apply


def drawn(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def energy_of(network: nn.Module, x: Tensor, y: Tensor, objective: Any = None) -> Energy:
    probe = Probe(Part(x, y), 16, objective or Regression("mse"))
    return Energy.of(network.double().eval(), probe, None, drawn(0))


def everywhere(network: nn.Module) -> dict[str, Tensor]:
    return places_of(candidates(network, biases=True, norms=True))


def a_quadratic() -> tuple[nn.Linear, Tensor, Tensor]:
    """A linear layer at the minimum of its squared error on 40 points with noise."""
    x = torch.randn(40, 6, generator=drawn(1), dtype=torch.float64)
    y = x @ torch.randn(6, generator=drawn(2), dtype=torch.float64) + 0.3 * torch.randn(
        40, generator=drawn(3)
    )
    layer = nn.Linear(6, 1, bias=False).double()
    with torch.no_grad():
        layer.weight.copy_(torch.linalg.lstsq(x, y.unsqueeze(1)).solution.T)
    return layer, x, y.double()


def a_curve(outputs: int = 1) -> tuple[nn.Module, Tensor]:
    torch.manual_seed(4)
    network = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, outputs)).double()
    return network, torch.randn(30, 2, generator=drawn(5), dtype=torch.float64)


def mse(layer: nn.Linear, weight: Tensor, x: Tensor, y: Tensor) -> float:
    return float(((x @ weight.flatten() - y) ** 2).mean())


@pytest.mark.parametrize("estimator", ["energies", "gradients", "double-backward", "gauss-newton"])
def test_on_a_quadratic_saliency_is_what_deleting_the_weight_costs(estimator: Any) -> None:
    layer, x, y = a_quadratic()
    probe = Probe(Part(x, y), 16, Regression("mse"))
    found = saliencies(
        layer,
        everywhere(layer),
        probe,
        drawn(0),
        estimator=estimator,
        examples=None,
        epsilon=1e-2,
        probes=1,
        negative="clip",
    )["weight"]
    before = mse(layer, layer.weight.detach(), x, y)
    for place in range(6):
        without = layer.weight.detach().clone()
        without[0, place] = 0
        rise = mse(layer, without, x, y) - before
        # Differences of energies lose digits to the division by epsilon squared.
        assert float(found[place]) == pytest.approx(rise, abs=1e-10 if estimator != "energies" else 1e-9)


@pytest.mark.parametrize("outputs", [1, 3])
def test_double_backward_is_the_diagonal_of_the_hessian_and_differences_agree(outputs: int) -> None:
    network, x = a_curve(outputs)
    y = torch.randint(0, 3, (30,), generator=drawn(6)) if outputs > 1 else torch.randn(30, generator=drawn(6))
    energy = energy_of(network, x, y, Classification() if outputs > 1 else None)
    places = everywhere(network)
    names, sizes = list(places), [len(own) for own in places.values()]

    def flat(weights: Tensor) -> Tensor:
        parts = dict(zip(names, weights.split(sizes), strict=True))
        shaped = {name: own.view_as(energy.parameters[name]) for name, own in parts.items()}
        return sum(energy.parts(shaped), weights.new_zeros(()))

    true = torch.func.hessian(flat)(torch.cat([energy.parameters[name].flatten() for name in names]))
    torch.testing.assert_close(double_backward.hessian(energy, places), true, atol=1e-12, rtol=0)
    exact = true.diagonal()
    for made, tolerance in (
        (double_backward.diagonal(energy, places), 1e-12),
        (differences.by_gradients(energy, places, 1e-4), 1e-7),
        (differences.by_energies(energy, places, 1e-3), 1e-5),
    ):
        torch.testing.assert_close(torch.cat(list(made.values())), exact, atol=tolerance, rtol=0)


@pytest.mark.parametrize("differ", [differences.by_energies, differences.by_gradients])
def test_the_error_of_differences_is_u_shaped_in_epsilon(
    differ: Callable[[Energy, Mapping[str, Tensor], float], dict[str, Tensor]],
) -> None:
    network, x = a_curve()
    energy = energy_of(network, x, torch.randn(30, generator=drawn(6)))
    places = everywhere(network)
    exact = torch.cat(list(double_backward.diagonal(energy, places).values()))
    errors = [
        float((torch.cat(list(differ(energy, places, epsilon).values())) - exact).abs().max())
        for epsilon in (1e-10, 1e-7, 1e-4, 1e-1, 1.0)
    ]
    best = errors.index(min(errors))
    assert best in (1, 2, 3)
    assert errors[0] > 100 * errors[best] < errors[-1]
    assert errors[: best + 1] == sorted(errors[: best + 1], reverse=True)
    assert errors[best:] == sorted(errors[best:])


@pytest.mark.parametrize("outputs", [1, 3])
def test_without_errors_gauss_newton_is_the_hessian(outputs: int) -> None:
    network, x = a_curve(outputs)
    with torch.no_grad():
        y = network(x)
    energy, places = energy_of(network, x, y), everywhere(network)
    true = double_backward.hessian(energy, places)
    torch.testing.assert_close(gauss_newton.matrix(energy, places), true, atol=1e-10, rtol=0)
    diagonal = torch.cat(list(gauss_newton.diagonal(energy, places).values()))
    torch.testing.assert_close(diagonal, true.diagonal(), atol=1e-10, rtol=0)


def test_gauss_newton_of_a_softmax_is_its_fisher_information() -> None:
    # For cross-entropy: the sum over classes of p_c times the squared gradient of -log p_c.
    network, x = a_curve(3)
    energy = energy_of(network, x, torch.zeros(30, dtype=torch.int64), Classification())
    places = everywhere(network)
    true = 0.0
    for example in x:
        logs = network(example).log_softmax(0)
        for log in logs.unbind():
            [gradient] = torch.autograd.grad(log, [network[0].weight], retain_graph=True)  # type: ignore[index]
            true = true + log.exp().detach() * gradient.flatten() ** 2 / len(x)
    torch.testing.assert_close(gauss_newton.diagonal(energy, places)["0.weight"], true, atol=1e-10, rtol=0)


def test_hutchinson_is_within_five_of_its_standard_deviations() -> None:
    network, x = a_curve()
    energy, places = energy_of(network, x, torch.randn(30, generator=drawn(6))), everywhere(network)
    true, probes = double_backward.hessian(energy, places), 100
    found = torch.cat(list(hutchinson.diagonal(energy, places, probes, drawn(7)).values()))
    others = true - torch.diag(true.diagonal())
    deviation = (others.square().sum(1) / probes).sqrt()
    assert ((found - true.diagonal()).abs() <= 5 * deviation + 1e-12).all()


def test_hutchinson_is_exact_where_the_hessian_is_diagonal() -> None:
    layer = nn.Linear(4, 1, bias=False).double()
    x = torch.diag(torch.tensor([1.0, 2.0, 3.0, 4.0], dtype=torch.float64))
    energy = energy_of(layer, x, torch.ones(4))
    found = hutchinson.diagonal(energy, everywhere(layer), 1, drawn(0))["weight"]
    torch.testing.assert_close(found, 2 * x.diagonal() ** 2 / 4, atol=1e-12, rtol=0)


def test_a_loss_that_is_linear_in_a_weight_has_no_curvature() -> None:
    class Linear(Regression):
        def loss(self, outputs: Tensor, y: Tensor, reduction: Any = "mean") -> Tensor:
            losses = outputs.squeeze(1) - y
            return losses.mean() if reduction == "mean" else losses

    layer = nn.Linear(2, 1).double()
    energy = energy_of(layer, torch.randn(5, 2), torch.zeros(5), Linear())
    places = everywhere(layer)
    for made in (
        double_backward.diagonal(energy, places),
        hutchinson.diagonal(energy, places, 2, drawn(0)),
        gauss_newton.diagonal(energy, places),
    ):
        assert not torch.cat(list(made.values())).any()
    assert not double_backward.hessian(energy, places).any()


def test_the_sign_rule() -> None:
    curvature, weight = torch.tensor([-2.0, 4.0]), torch.tensor([3.0, 0.5])
    assert saliency(curvature, weight, "clip").tolist() == [0.0, 0.5]
    assert saliency(curvature, weight, "absolute").tolist() == [9.0, 0.5]


def test_what_is_not_finite_is_refused_in_a_sentence() -> None:
    with pytest.raises(FloatingPointError, match="'conv' has 1 entries on its diagonal that are not finite"):
        saliency(torch.tensor([1.0, torch.nan]), torch.ones(2), "clip", "conv")
    wrong = torch.tensor([[1.0, torch.inf], [torch.inf, 1.0]])
    with pytest.raises(FloatingPointError, match="2 entries that are not finite"):
        ridge_inverse(wrong, 0.1)
    with pytest.raises(FloatingPointError, match="2 entries that are not finite"):
        floored_inverse(wrong, "clip", 0.1)


def test_obs_predicts_the_true_rise_on_a_quadratic_and_takes_the_best_weight_each_time() -> None:
    layer, x, y = a_quadratic()
    energy, places = energy_of(layer, x, y), everywhere(layer)
    inverse = floored_inverse(double_backward.hessian(energy, places), "clip", 1e-12)
    torch.testing.assert_close(inverse, ridge_inverse(gauss_newton.matrix(energy, places), 1e-15))
    weights = layer.weight.detach().flatten()
    left, before = list(range(6)), mse(layer, weights, x, y)
    for count in range(1, 5):
        gone, moved, rises = surgery_of(weights, inverse, count)

        def refitted(columns: list[int]) -> float:
            solution = torch.linalg.lstsq(x[:, columns], y.unsqueeze(1)).solution.flatten()
            return float(((x[:, columns] @ solution - y) ** 2).mean())

        best = min(left, key=lambda place: refitted([own for own in left if own != place]))
        left.remove(best)
        assert gone.nonzero().flatten().tolist() == sorted(set(range(6)) - set(left))
        assert not moved[gone].any()
        assert mse(layer, moved, x, y) == pytest.approx(refitted(left), abs=1e-8)
        assert before + float(rises.sum()) == pytest.approx(refitted(left), abs=1e-8)


def test_obs_deletes_the_weight_of_an_xor_network_that_costs_least_once_the_others_are_trained() -> None:
    # Exclusive or at the corners of the square, a + b - 2 a b between them, so that weights stay moderate.
    x = torch.rand(40, 2, generator=drawn(8), dtype=torch.float64)
    y = x.sum(1) - 2 * x.prod(1)
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(2, 2), nn.Tanh(), nn.Linear(2, 1)).double()
    descended(network, x, y)
    energy, places = energy_of(network, x, y), everywhere(network)
    inverse = floored_inverse(double_backward.hessian(energy, places), "clip", 1e-9)
    weights = torch.cat(list(at_places(energy.parameters, places).values()))
    gone, _, _ = surgery_of(weights, inverse, 1)
    costs = []
    for place in range(len(weights)):
        keep = torch.arange(len(weights)) != place
        start = weights - weights[place] / inverse[place, place] * inverse[place]
        torch.nn.utils.vector_to_parameters(start * keep, network.parameters())
        costs.append(descended(network, x, y, keep))
    assert int(gone.nonzero()) == costs.index(min(costs))
    assert int(gone.nonzero()) != int(weights.abs().argmin()), "by size another would have gone"


def descended(network: nn.Module, x: Tensor, y: Tensor, keep: Tensor | None = None) -> float:
    """The squared error after descending to a minimum, weights that are not kept held at zero."""
    sizes = [own.numel() for own in network.parameters()]
    parts = (keep if keep is not None else torch.ones(sum(sizes), dtype=torch.bool)).split(sizes)
    masks = [part.view_as(own) for part, own in zip(parts, network.parameters(), strict=True)]
    optimizer = torch.optim.LBFGS(
        network.parameters(), max_iter=100, line_search_fn="strong_wolfe", tolerance_grad=1e-8
    )

    def close() -> Tensor:
        optimizer.zero_grad()
        loss: Tensor = ((network(x).squeeze(1) - y) ** 2).mean()
        loss.backward()
        for own, mask in zip(network.parameters(), masks, strict=True):
            assert own.grad is not None
            own.grad *= mask
        return loss

    optimizer.step(close)
    return float(close().detach())


@given(
    st.lists(st.lists(st.integers(0, 4), min_size=1, max_size=8), min_size=1, max_size=4),
    st.floats(0, 1),
    st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_exactly_so_many_of_the_smallest_and_ties_in_their_order(
    values: list[list[int]], share: float, by_layer: bool
) -> None:
    scores = {str(i): torch.tensor(own, dtype=torch.float32) for i, own in enumerate(values)}
    total = sum(len(own) for own in values)
    count = round(share * total)
    chosen = smallest(scores, count, by_layer=by_layer)
    assert sum(int(own.sum()) for own in chosen.values()) == count
    if by_layer:
        counts = apportioned({name: len(own) for name, own in scores.items()}, count)
        for name, own in scores.items():
            inorder = sorted(range(len(own)), key=lambda place: float(own[place]))
            assert chosen[name].nonzero().flatten().tolist() == sorted(inorder[: counts[name]])
            assert abs(counts[name] - len(own) * count / total) < 1
    else:
        flat, kept = torch.cat(list(scores.values())), torch.cat(list(chosen.values()))
        inorder = sorted(range(total), key=lambda place: float(flat[place]))
        assert kept.nonzero().flatten().tolist() == sorted(inorder[:count])


def test_a_threshold_and_its_count_choose_the_same() -> None:
    scores = {"a": torch.randn(50, generator=drawn(0)).abs(), "b": torch.randn(9, generator=drawn(1)).abs()}
    below = {name: own < 0.5 for name, own in scores.items()}
    count = sum(int(own.sum()) for own in below.values())
    chosen = smallest(scores, count)
    assert all(torch.equal(below[name], chosen[name]) for name in scores)


def test_sizes_in_units_of_their_spread() -> None:
    weights = {"a": torch.tensor([-1.0, 1.0]), "b": torch.tensor([-4.0, 4.0]), "c": torch.tensor([7.0])}
    assert spreads(weights, by_layer=True) == {"a": 1.0, "b": 4.0, "c": 0.0}
    found = magnitudes(weights, spreads(weights, by_layer=True))
    assert [own.tolist() for own in found.values()] == [[1, 1], [1, 1], [torch.inf]]
    whole = spreads(weights, by_layer=False)
    assert len(set(whole.values())) == 1
    assert magnitudes(weights)["b"].tolist() == [4, 4]


def test_which_weights_may_be_deleted() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(2, 3))
    assert list(candidates(network, biases=False, norms=False)) == ["0.weight", "3.weight"]
    assert list(candidates(network, biases=True, norms=False)) == ["0.weight", "0.bias", "3.weight", "3.bias"]
    assert list(candidates(network, biases=False, norms=True)) == [
        "0.weight",
        "1.weight",
        "1.bias",
        "3.weight",
    ]
    keep = torch.ones(3, 2, dtype=torch.bool)
    keep[1] = False
    apply(network, None, [Mask("3.weight", keep)], torch.randn(1, 1, 3, 3))
    live = candidates(network, biases=True, norms=False)
    assert torch.equal(live["3.weight"], keep)
    assert count_of(live) == 18 + 2 + 4 + 3
    places = places_of(live)
    assert places["3.weight"].tolist() == [0, 1, 4, 5]
    marks = marked(
        live, places, {name: torch.ones(len(own), dtype=torch.bool) for name, own in places.items()}
    )
    assert torch.equal(marks["3.weight"], keep)


def test_a_shared_weight_is_one() -> None:
    network = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False))
    network[1].weight = network[0].weight
    assert list(candidates(network, biases=True, norms=True)) == ["0.weight"]
