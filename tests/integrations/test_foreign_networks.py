"""Networks that were written elsewhere are followed and cut exactly, as they come."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from harness.registry import make_architecture
from harness.surgery import apply, trace
from tests.surgery.helpers import (
    change,
    ids,
    images,
    measure,
    optimizer_parameters,
    parameters,
    removals,
    silence,
    some_classes,
    train,
)

#: Name in timm -> options. The small ones of families that are built unlike each other.
TIMM: dict[str, dict[str, Any]] = {
    "resnet10t": {},
    "regnetx_002": {},
    "mobilenetv3_small_050": {},
    "ghostnet_050": {},
    "densenet121": {},
    "repvgg_a0": {},
    "convnext_atto": {},
    "vit_tiny_patch16_224": {"img_size": 32, "patch_size": 8, "depth": 2},
}
#: Networks of which less can be cut: removals from some of their groups are refused.
_STIFF = {"convnext_atto", "vit_tiny_patch16_224", "ViT"}
_TOLERANCE = 1e-10


def is_cut_exactly(network: nn.Module, left: float) -> None:
    """Silences units by hand, removes them, and holds the outputs and the optimizer to what they were.

    left: largest share of the parameters that may be left.
    """
    x = images(4, 32)
    optimizer = torch.optim.SGD(network.parameters(), 1e-3, momentum=0.9)
    train(network, optimizer, x, 3)
    structure = trace(network, x[:2])
    classes = some_classes(structure)
    silence(network, structure, classes)
    before, size = measure(network, x), parameters(network)

    receipt = apply(network, optimizer, removals(structure, classes), x[:2])

    assert receipt.refused is None
    assert max(change(before, measure(network, x))) <= _TOLERANCE
    assert parameters(network) < left * size
    assert optimizer_parameters(optimizer) == ids(network.parameters())
    train(network, optimizer, x, 1)


@pytest.mark.parametrize("name", TIMM)
def test_networks_of_timm(name: str) -> None:
    timm = pytest.importorskip("timm", reason="timm is not installed: make test-integrations")
    torch.manual_seed(0)
    network = timm.create_model(name, num_classes=5, **TIMM[name]).double()
    is_cut_exactly(network, 0.9 if name in _STIFF else 0.7)


@pytest.mark.parametrize("name", TIMM)
def test_a_study_may_name_networks_of_timm(name: str) -> None:
    pytest.importorskip("timm", reason="timm is not installed: make test-integrations")
    make_architecture(f"timm:{name}", TIMM[name]).examine((3, 32, 32), 5, [{}], [(5,)])  # type: ignore[attr-defined]


class Scores(nn.Module):
    """A network of transformers as one that takes images and gives scores alone."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        scores: Tensor = self.model(pixel_values=images).logits
        return scores


@pytest.mark.parametrize(
    ("family", "options"),
    [
        ("ResNet", {"embedding_size": 16, "hidden_sizes": [16, 32], "depths": [1, 1], "layer_type": "basic"}),
        ("MobileNetV2", {"depth_multiplier": 0.35, "classifier_dropout_prob": 0.0}),
        (
            "ViT",
            {
                "hidden_size": 32,
                "num_hidden_layers": 2,
                "num_attention_heads": 4,
                "intermediate_size": 48,
                "image_size": 32,
                "patch_size": 8,
                "hidden_dropout_prob": 0.0,
                "attention_probs_dropout_prob": 0.0,
            },
        ),
    ],
)
def test_networks_of_transformers(family: str, options: dict[str, Any]) -> None:
    transformers = pytest.importorskip(
        "transformers", reason="transformers is not installed: make test-integrations"
    )
    torch.manual_seed(0)
    config = getattr(transformers, f"{family}Config")(num_labels=5, **options)
    network = Scores(getattr(transformers, f"{family}ForImageClassification")(config)).double()
    is_cut_exactly(network, 0.95 if family in _STIFF else 0.7)
