"""Networks to operate on: one of each way of coupling units, small enough to be tried in a second or two."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torchvision import models
from torchvision.models import convnext, vgg
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet

Make = Callable[[], nn.Module]


def mlp(activation: Callable[[], nn.Module] = nn.ReLU) -> nn.Module:
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(3 * 8 * 8, 24),
        activation(),
        nn.Linear(24, 20),
        activation(),
        nn.Linear(20, 5),
    )


def lenet() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 12, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(12 * 25, 40),
        nn.ReLU(),
        nn.Linear(40, 5),
    )


def vgg16_bn() -> nn.Module:
    """All convolutions of VGG-16; the classifier of its CIFAR versions (the other is 120 M parameters)."""
    network = vgg.VGG(vgg.make_layers(vgg.cfgs["D"], batch_norm=True), num_classes=5, dropout=0.0)
    network.avgpool = nn.AdaptiveAvgPool2d(2)
    network.classifier = nn.Sequential(nn.Linear(512 * 4, 64), nn.ReLU(), nn.Linear(64, 5))
    return network


def wide_resnet() -> nn.Module:
    return ResNet(Bottleneck, [1, 2, 1, 1], num_classes=5, width_per_group=128)


def resnext() -> nn.Module:
    return ResNet(Bottleneck, [1, 2, 1, 1], num_classes=5, groups=32, width_per_group=4)


def densenet() -> nn.Module:
    return models.DenseNet(16, (3, 4, 3), 32, num_classes=5)


def convnext_small() -> nn.Module:
    settings = [convnext.CNBlockConfig(64, 96, 2), convnext.CNBlockConfig(96, None, 2)]
    return convnext.ConvNeXt(settings, num_classes=5, layer_scale=0.5)


def vit() -> nn.Module:
    return models.VisionTransformer(
        image_size=32, patch_size=8, num_layers=3, num_heads=4, hidden_dim=64, mlp_dim=256, num_classes=5
    )


class UNet(nn.Module):
    """Two levels with skip concatenations and transposed convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.down1 = self._block(3, 8)
        self.down2 = self._block(8, 16)
        self.bottom = self._block(16, 32)
        self.up2 = nn.ConvTranspose2d(32, 16, 2, 2)
        self.join2 = self._block(32, 16)
        self.up1 = nn.ConvTranspose2d(16, 8, 2, 2)
        self.join1 = self._block(16, 8)
        self.head = nn.Conv2d(8, 2, 1)
        self.pool = nn.MaxPool2d(2)

    @staticmethod
    def _block(inputs: int, outputs: int) -> nn.Module:
        return nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
        )

    def forward(self, x: Tensor) -> Tensor:
        first = self.down1(x)
        second = self.down2(self.pool(first))
        bottom = self.bottom(self.pool(second))
        second = self.join2(torch.cat([self.up2(bottom), second], dim=1))
        return self.head(self.join1(torch.cat([self.up1(second), first], dim=1)))


class Narrow(ResNet):  # type: ignore[misc]
    """A residual network of torchvision's, written at another width than 64."""

    def __init__(self, width: int = 64, blocks: tuple[int, ...] = (2, 2, 2, 2)) -> None:
        nn.Module.__init__(self)
        self._norm_layer = nn.BatchNorm2d
        self.inplanes, self.dilation, self.groups, self.base_width = width, 1, 1, 64
        self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
        self.bn1, self.relu, self.maxpool = nn.BatchNorm2d(width), nn.ReLU(True), nn.MaxPool2d(3, 2, 1)
        self.layer1 = self._make_layer(BasicBlock, width, blocks[0])
        self.layer2 = self._make_layer(BasicBlock, 2 * width, blocks[1], 2)
        self.layer3 = self._make_layer(BasicBlock, 4 * width, blocks[2], 2)
        self.layer4 = self._make_layer(BasicBlock, 8 * width, blocks[3], 2)
        self.avgpool, self.fc = nn.AdaptiveAvgPool2d(1), nn.Linear(8 * width, 5)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


class Transformer(nn.Module):
    """A small vision transformer, its stream of any width, heads of four features."""

    def __init__(self, width: int = 16, inner: int = 24) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, 4, 4)
        self.places = nn.Parameter(torch.empty(1, 4, width).normal_(std=0.02))
        self.scale = nn.Parameter(torch.full((width,), 0.5))
        layer = nn.TransformerEncoderLayer(width, width // 4, inner, 0.0, batch_first=True)
        self.layer, self.norm, self.head = layer, nn.LayerNorm(width), nn.Linear(width, 5)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patches(x).flatten(2).transpose(1, 2) + self.places
        out: Tensor = self.head(self.norm(self.layer(tokens) * self.scale).mean(1))
        return out


#: Name -> (how to build it, side of its square images).
NETWORKS: dict[str, tuple[Make, int]] = {
    "mlp": (mlp, 8),
    "lenet5": (lenet, 32),
    "vgg16_bn": (vgg16_bn, 32),
    "resnet18": (partial(models.resnet18, num_classes=5), 32),
    "resnet50": (partial(models.resnet50, num_classes=5), 32),
    "basic_resnet": (partial(ResNet, BasicBlock, [1, 1, 1, 1], num_classes=5), 32),
    "wide_resnet": (wide_resnet, 32),
    "resnext": (resnext, 32),
    "densenet": (densenet, 32),
    "mobilenet_v2": (partial(models.mobilenet_v2, num_classes=5, dropout=0.0), 32),
    "mobilenet_v3": (partial(models.mobilenet_v3_small, num_classes=5, dropout=0.0), 32),
    "efficientnet_b0": (
        partial(models.efficientnet_b0, num_classes=5, dropout=0.0, stochastic_depth_prob=0.0),
        32,
    ),
    "shufflenet_v2": (partial(models.shufflenet_v2_x0_5, num_classes=5), 32),
    "googlenet": (
        partial(models.googlenet, num_classes=5, init_weights=False, dropout=0.0, dropout_aux=0.0),
        32,
    ),
    "squeezenet": (partial(models.squeezenet1_1, num_classes=5, dropout=0.0), 32),
    "convnext": (convnext_small, 32),
    "vit": (vit, 32),
    "unet": (UNet, 16),
}
