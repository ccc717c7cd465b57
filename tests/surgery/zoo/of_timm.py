"""Networks of timm with random weights, the small ones of families that are built unlike each other."""

from collections.abc import Callable
from typing import Any

from torch import nn

from tests.surgery.zoo.entry import Entry, pictures


def _model(name: str, **options: Any) -> Callable[[], nn.Module]:
    def build() -> nn.Module:
        import timm

        return timm.create_model(name, pretrained=False, num_classes=5, **options)

    return build


def _part(module: str, name: str, *arguments: Any, **options: Any) -> Callable[[], nn.Module]:
    """A class of timm's, given its widths; options that name a class of its module are that class."""

    def build() -> nn.Module:
        from importlib import import_module

        place = import_module(f"timm.models.{module}")
        known = {
            key: getattr(place, value[1:]) if isinstance(value, str) and value.startswith("@") else value
            for key, value in options.items()
        }
        return getattr(place, name)(*arguments, num_classes=5, **known)

    return build


_NARROW = {"channels": (16, 24, 32, 48)}


def _entry(name: str, family: str, build: Callable[[], nn.Module], side: int = 32) -> Entry:
    return Entry(name, family, build, pictures(side), "timm")


ENTRIES = (
    _entry(
        "timm_se_resnet",
        "squeeze and excitation",
        _part(
            "resnet",
            "ResNet",
            block="@Bottleneck",
            layers=(1, 1, 1, 1),
            block_args={"attn_layer": "se"},
            **_NARROW,
        ),
    ),
    _entry(
        "timm_res2net",
        "Res2Net",
        _part(
            "res2net",
            "ResNet",
            block="@Bottle2neck",
            layers=(1, 1, 1, 1),
            base_width=26,
            block_args={"scale": 4},
            **_NARROW,
        ),
    ),
    _entry("timm_dla", "deep layer aggregation", _model("dla46_c")),
    _entry(
        "timm_convnext_v2",
        "ConvNeXt V2",
        _part(
            "convnext",
            "ConvNeXt",
            depths=(1, 1, 1, 1),
            dims=(16, 24, 32, 48),
            use_grn=True,
            ls_init_value=None,
        ),
    ),
    _entry("timm_nf_net", "normaliser-free", _model("nf_regnet_b0")),
    _entry("timm_lcnet", "LCNet", _model("lcnet_050")),
    _entry("timm_tinynet", "TinyNet", _model("tinynet_e")),
    _entry("timm_regnety", "RegNet", _model("regnety_002")),
    _entry("timm_repghost", "ghost modules", _model("repghostnet_050", drop_rate=0.0)),
    _entry("timm_vovnet", "VoVNet", _model("ese_vovnet19b_slim_dw")),
    _entry("timm_mobile_one", "re-parametrised", _model("mobileone_s0")),
    _entry(
        "timm_cspnet",
        "cross stage partial",
        _model("cs3darknet_s"),
    ),
    _entry(
        "timm_vit_registers",
        "vision transformer",
        _part(
            "vision_transformer",
            "VisionTransformer",
            img_size=32,
            patch_size=4,
            embed_dim=48,
            depth=4,
            num_heads=4,
            reg_tokens=2,
            init_values=0.5,
            qk_norm=True,
        ),
    ),
    _entry(
        "timm_swin",
        "shifted windows",
        _part(
            "swin_transformer",
            "SwinTransformer",
            img_size=32,
            patch_size=2,
            embed_dim=24,
            depths=(2, 2),
            num_heads=(2, 4),
            window_size=4,
            drop_path_rate=0.0,
        ),
    ),
    _entry(
        "timm_mixer",
        "mixer",
        _part("mlp_mixer", "MlpMixer", img_size=32, patch_size=4, embed_dim=48, num_blocks=4),
    ),
    _entry(
        "timm_poolformer",
        "MetaFormer",
        _part("metaformer", "MetaFormer", depths=(1, 1, 4, 1), dims=(16, 24, 32, 48), drop_path_rate=0.0),
    ),
    _entry("timm_mobilevit", "MobileViT", _model("mobilevit_xxs"), 64),
    _entry("timm_edgenext", "EdgeNeXt", _model("edgenext_xx_small"), 64),
    _entry(
        "timm_xcit",
        "cross-covariance attention",
        _part(
            "xcit", "Xcit", img_size=32, patch_size=8, embed_dim=48, depth=2, num_heads=4, cls_attn_layers=1
        ),
    ),
    _entry(
        "timm_inception_next",
        "InceptionNeXt",
        _part("inception_next", "MetaNeXt", depths=(1, 1, 1, 1), dims=(32, 40, 48, 64)),
    ),
    _entry(
        "timm_levit",
        "LeViT",
        _part("levit", "Levit", img_size=32, embed_dim=(32, 48), key_dim=8, depth=(1, 1), num_heads=(2, 3)),
    ),
    _entry("timm_efficientvit", "linear attention", _model("efficientvit_b0")),
)
