"""ImageNet backbones under the names that MSRA, torchvision and Detectron2 give them."""

import pickle
import re

import numpy as np
import pytest

import tfmaskrcnn as mr
from golden.weights_by_name import weight
from helpers.one_stack import on_stack_a, on_stack_b
from tfmaskrcnn.checkpoints import load_backbone
from tfmaskrcnn.checkpoints.imagenet import read_backbone
from tfmaskrcnn.checkpoints.resnet_names import Backbone, backbone_table, torchvision_name
from tfmaskrcnn.cli.main import main
from tfmaskrcnn.config.model import BackboneConfig, InputConfig
from tfmaskrcnn.model.layers.backbones import make_backbone
from tfmaskrcnn.model.layers.resnet import RESNETS
from tfmaskrcnn.model.weights import named_weights

VECTORS = {"weight": "s", "bias": "b", "running_mean": "rm", "running_var": "riv"}
BRANCHES = {"shortcut": "branch1", "conv1": "branch2a", "conv2": "branch2b", "conv3": "branch2c"}


def detectron2_state(name, norm="bn"):
    """A state dict in Detectron2's names, drawn by them; PyTorch's axis order."""
    backbone = make_backbone(BackboneConfig(name=name, norm="gn" if norm == "gn" else "bn"))
    backbone.build((None, None, None, 3))
    shapes = {key: tuple(v.shape) for key, v in named_weights(backbone).items()}
    state = {}
    for row in backbone_table(Backbone(name, norm), lambda n: n):
        shape = shapes[row.ours[len("backbone/") :]]
        state[row.theirs] = weight(
            row.theirs, shape[:1] if len(shape) == 1 else shape[3:1:-1] + shape[:2]
        )
    return state


def caffe2_name(name, norm="bn"):
    layer, _, vector = name.rpartition(".")
    normed = layer.endswith(".norm")
    layer = layer[: -len(".norm")] if normed else layer
    end = f"_{norm}_{VECTORS[vector]}" if normed else "_w"
    if layer == "stem.conv1":
        return ("res_conv1" if normed and norm == "bn" else "conv1") + end
    stage, block, conv = layer.split(".")
    return f"{stage}_{block}_{BRANCHES[conv]}{end}"


def written(path, tensors):
    path.write_bytes(pickle.dumps(tensors, protocol=2))
    return str(path)


def built(**config):
    config = BackboneConfig(**config)
    backbone = make_backbone(config)
    backbone.build((None, None, None, 3))
    return backbone, config


def image(seed=0):
    return np.random.default_rng(seed).normal(size=(1, 64, 64, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def resnet50():
    return detectron2_state("resnet50")


@on_stack_a
def test_caffe2_torchvision_and_detectron2_names_give_the_same_weights(tmp_path, resnet50):
    caffe2 = {caffe2_name(n): a for n, a in resnet50.items()}
    assert {"conv1_w", "res_conv1_bn_s", "res2_0_branch2a_w", "res5_2_branch2c_bn_riv"} < set(
        caffe2
    )
    caffe2["conv1_w"] = caffe2["conv1_w"][:, ::-1]  # its images are BGR
    caffe2.update(fc1000_w=np.zeros((4, 4)), fc1000_b=np.zeros(4), conv1_b=np.zeros(64))
    torchvision = {torchvision_name(n): a for n, a in resnet50.items()}
    assert {"conv1.weight", "bn1.running_var", "layer1.0.downsample.1.bias"} < set(torchvision)
    torchvision.update({"fc.weight": np.zeros((4, 4)), "bn1.num_batches_tracked": np.zeros(1)})
    converted = {"model": {**resnet50, "stem.fc.weight": np.zeros((4, 4))}, "__author__": "me"}
    files = {"a": caffe2, "b": torchvision, "c": converted}
    found = [read_backbone(written(tmp_path / name, t)) for name, t in files.items()]
    for one in found:
        assert one.backbone == ("resnet50", "bn")
        assert set(one.weights) == set(found[0].weights)
        for name, array in one.weights.items():
            np.testing.assert_array_equal(array, found[0].weights[name], name)
    expected = resnet50["stem.conv1.weight"].transpose(2, 3, 1, 0)
    np.testing.assert_array_equal(found[0].weights["stem/kernel"], expected)
    assert [one.stride_in_1x1 for one in found] == [True, False, False]
    assert [one.std[0] for one in found] == [1.0, 58.395, 58.395]


def test_a_file_starts_a_backbone(tmp_path, resnet50, caplog):
    torchvision = {torchvision_name(n): a for n, a in resnet50.items()}
    path = written(tmp_path / "resnet50-0676ba61.pth", torchvision)
    backbone, config = built(name="resnet50", stride_in_1x1=False, weights=path)
    before = backbone(image())["c5"].numpy()
    load_backbone(backbone, config, InputConfig())
    kernel = torchvision["layer1.0.conv2.weight"].transpose(2, 3, 1, 0)
    np.testing.assert_array_equal(backbone.res2[0].conv2.kernel.numpy(), kernel)
    assert np.abs(backbone(image())["c5"] - before).max() > 0.1 and not caplog.records
    load_backbone(backbone, config, InputConfig(std=(1, 1, 1)))
    assert "model.input.std=[58.395, 57.12, 57.375]" in caplog.text


@on_stack_a
def test_another_backbone_is_refused_with_the_settings_that_it_wants(tmp_path, resnet50):
    path = written(tmp_path / "R-50.pkl", {caffe2_name(n): a for n, a in resnet50.items()})
    with pytest.raises(mr.InputError, match=r"set model\.backbone\.name=resnet50\."):
        load_backbone(*built(name="resnet101", weights=path))
    with pytest.raises(mr.InputError, match=r"set model\.backbone\.stride_in_1x1=true\."):
        load_backbone(*built(name="resnet50", stride_in_1x1=False, weights=path))
    with pytest.raises(mr.InputError, match=r"set model\.backbone\.norm=frozen_bn\."):
        load_backbone(*built(name="resnet50", norm="gn", weights=path))
    load_backbone(*built(name="resnet50", norm="bn", weights=path))


@on_stack_b
def test_msras_statistics_are_pure_scale_and_shift_where_the_file_has_none(tmp_path, resnet50):
    fused = {n: a for n, a in resnet50.items() if "running" not in n}
    path = written(tmp_path / "R-50.pkl", {caffe2_name(n): a for n, a in fused.items()})
    backbone, config = built(name="resnet50", weights=path)
    load_backbone(backbone, config)
    norm = backbone.res3[1].conv2.norm
    x = np.random.default_rng(0).normal(size=(2, 128)).astype(np.float32)
    gamma, beta = (fused[f"res3.1.conv2.norm.{part}"] for part in ("weight", "bias"))
    np.testing.assert_allclose(norm(x), x * gamma + beta, atol=1e-5)


@on_stack_a
@pytest.mark.slow
@pytest.mark.parametrize(
    "name, norm, stride, std",
    [("resnet50", "gn", False, 1.0), ("resnext101_32x8d", "bn", False, 58.395)],
)
def test_facebooks_group_norm_and_resnext_have_the_stride_in_the_3x3(
    tmp_path, name, norm, stride, std
):
    state = detectron2_state(name, norm)
    path = written(tmp_path / "X.pkl", {caffe2_name(n, norm): a for n, a in state.items()})
    found = read_backbone(path)
    assert found.backbone == (name, norm)
    assert (found.stride_in_1x1, found.std[0]) == (stride, std)
    backbone, config = built(name=name, norm="gn" if norm == "gn" else "frozen_bn", weights=path)
    if norm == "gn":
        with pytest.raises(mr.InputError, match="stride_in_1x1=false"):
            load_backbone(backbone, config)
        return
    load_backbone(backbone, config)
    kernel = state["res2.0.conv2.weight"].transpose(2, 3, 1, 0)
    assert kernel.shape == (3, 3, 8, 256)
    np.testing.assert_array_equal(backbone.res2[0].conv2.kernel.numpy(), kernel)


def test_missing_superfluous_and_foreign_weights_are_named(tmp_path):
    state = {torchvision_name(n): a for n, a in detectron2_state("resnet18").items()}
    path = written(tmp_path / "a.pth", {**state, "layer9.weight": np.zeros(1)})
    with pytest.raises(mr.InputError, match=r"1 not used \(layer9\.weight\)"):
        read_backbone(path)
    del state["layer4.1.bn2.bias"]
    with pytest.raises(mr.InputError, match=r"1 missing \(layer4\.1\.bn2\.bias\)"):
        read_backbone(written(tmp_path / "b.pth", state))
    foreign = {re.sub("layer", "stage", n): a for n, a in state.items()}
    with pytest.raises(mr.InputError, match="no classifier of a known ResNet"):
        read_backbone(written(tmp_path / "c.pth", foreign))


def test_a_classifier_is_no_detector_and_the_message_says_what_it_is_for(tmp_path, capsys):
    state = detectron2_state("resnet18")
    named = {"torchvision": torchvision_name, "detectron2": lambda n: n}
    for source, name in named.items():
        path = written(tmp_path / f"{source}.pkl", {name(n): a for n, a in state.items()})
        assert main(["import-weights", source, path, str(tmp_path / "run")]) == 2
        assert "without a detector's heads; name it as backbone.weights" in capsys.readouterr().err


def test_grey_images_get_the_sum_of_the_first_convolution(tmp_path):
    state = {torchvision_name(n): a for n, a in detectron2_state("resnet18").items()}
    found = read_backbone(written(tmp_path / "a.pth", state), channels=1)
    kernel = state["conv1.weight"].transpose(2, 3, 1, 0).sum(axis=2, keepdims=True)
    np.testing.assert_allclose(found.weights["stem/kernel"], kernel, atol=1e-6)


def test_every_configured_resnet_is_known_by_its_shapes(tmp_path):
    assert len(set(RESNETS.values())) == len(RESNETS)
