"""Networks of torchvision, narrow where it allows that."""

from collections.abc import Callable
from typing import Any

from torch import nn

from tests.surgery.zoo.entry import Entry, pictures


def _made(name: str, **options: Any) -> Callable[[], nn.Module]:
    def build() -> nn.Module:
        from torchvision import models

        return getattr(models, name)(num_classes=5, **options)

    return build


def _windows() -> nn.Module:
    from torchvision.models.swin_transformer import SwinTransformer

    return SwinTransformer(
        [2, 2],
        24,
        [2, 2],
        [2, 4],
        [4, 4],
        dropout=0.0,
        attention_dropout=0.0,
        stochastic_depth_prob=0.0,
        num_classes=5,
    )


def _axes() -> nn.Module:
    from torchvision.models.maxvit import MaxVit

    return MaxVit((32, 32), 16, 2, [16, 24], [1, 1], 8, 0.0, num_classes=5)


ENTRIES = (
    Entry("shufflenet_v2_x1_0", "channel shuffle", _made("shufflenet_v2_x1_0"), pictures(32), "torchvision"),
    Entry("mnasnet0_5", "searched mobile", _made("mnasnet0_5", dropout=0.0), pictures(32), "torchvision"),
    Entry("regnet_x_400mf", "RegNet", _made("regnet_x_400mf"), pictures(32), "torchvision"),
    Entry("swin", "shifted windows", _windows, pictures(32), "torchvision"),
    Entry("maxvit", "attention along axes", _axes, pictures(32), "torchvision"),
)
