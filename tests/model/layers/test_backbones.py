import typing

import numpy as np
import pytest

from tfmaskrcnn.config.model import BackboneConfig, BackboneName
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.model.layers.backbones import make_backbone
from tfmaskrcnn.model.layers.efficientnet_lite import EfficientNetLite
from tfmaskrcnn.model.layers.resnet import ResNet


@pytest.mark.parametrize("name", typing.get_args(BackboneName))
def test_every_configured_name_makes_its_backbone(name):
    backbone = make_backbone(BackboneConfig(name=name))
    if "lite" in name:
        assert isinstance(backbone, EfficientNetLite) and name.endswith(str(backbone.variant))
    else:
        assert isinstance(backbone, ResNet)
        wide = f"wide_resnet{backbone.depth}_{backbone.width // 64}"
        kind = f"resnext{backbone.depth}_{backbone.groups}x{backbone.width}d"
        plain = f"resnet{backbone.depth}" if backbone.width == 64 else wide
        assert name == (kind if backbone.groups > 1 else plain)
    assert backbone.name == "backbone"
    assert list(backbone.out_channels) == ["c2", "c3", "c4", "c5"]


@pytest.mark.parametrize("name", ["resnet18", "efficientnet_lite0"])
def test_out_channels_are_those_of_the_outputs(name):
    backbone = make_backbone(BackboneConfig(name=name))
    backbone.build((None, None, None, 3))
    outputs = backbone(np.zeros((1, 32, 64, 3), np.float32))
    assert {key: x.shape[-1] for key, x in outputs.items()} == backbone.out_channels


def test_every_option_reaches_the_backbone():
    config = BackboneConfig(name="resnet50", norm="bn", stride_in_1x1=False, freeze_at=4)
    found = make_backbone(config, name="body").get_config()
    wanted = {"depth": 50, "norm": "bn", "stride_in_1x1": False, "freeze_at": 4, "name": "body"}
    assert {key: found[key] for key in wanted} == wanted
    lite = make_backbone(BackboneConfig(name="efficientnet_lite1", norm="bn", freeze_at=4))
    assert (lite.variant, lite.norm, lite.freeze_at) == (1, "bn", 4)
    strides = [
        make_backbone(BackboneConfig(name=n)).stride_in_1x1
        for n in typing.get_args(BackboneName)[:6]
    ]
    assert strides == [True] * 5 + [False]  # a ResNeXt has it in the 3x3
    assert (lite.epsilon, make_backbone(BackboneConfig()).epsilon) == (1e-3, 1e-5)
    for name in ("efficientnet_lite0", "resnet18"):
        assert make_backbone(BackboneConfig(name=name, norm_epsilon=0)).stem.norm.epsilon == 0


@pytest.mark.parametrize("name, norm", [("resnet18", "bn"), ("efficientnet_lite0", "frozen_bn")])
def test_recomputation_is_refused_where_it_would_be_wrong_or_is_not_there(name, norm):
    with pytest.raises(InputError, match=f"recompute is for ResNets.* found {name} with {norm}"):
        make_backbone(BackboneConfig(name=name, norm=norm, recompute=True))
    assert make_backbone(BackboneConfig(name="resnet18", norm="gn", recompute=True)).recompute
