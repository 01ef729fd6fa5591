"""Makes before_layout_*.tar.xz: a tiny run, its state and its SavedModel, of an older version.

    python make_before_layout.py a|b FOLDER      # in a checkout of commit b193542, on stack A or B

writes them and, in expected.npz, what that version made of them: the detections in an image, and
the weights of the resumed run. The backbone is frozen and its weights repeat, so that they pack.
Made with TensorFlow 2.15.1 (a, SavedModel) and 2.21.0 (b).
"""

import json
import os
import shutil
import sys
import tarfile

import numpy as np
from tfmaskrcnn.config_files import load_config
from tfmaskrcnn.weights import named_weights, save_weights

import tfmaskrcnn as mr
from tfmaskrcnn.data import write_shapes
from tfmaskrcnn.train import train

CONFIG = [
    "model.num_classes=3",
    "model.class_names=[circle, square, triangle]",
    "model.category_ids=[1, 2, 3]",
    "input.min_side=64",
    "input.max_side=64",
    "backbone={name: resnet18, norm: frozen_bn, freeze_at: 5}",
    "fpn.channels=4",
    "anchors.sizes=[[16], [32], [64], [96], [128]]",
    "rpn={channels: 4, post_nms_top_k_training: 40, post_nms_top_k: 40, samples_per_image: 32}",
    "box_head={hidden: 4, samples_per_image: 16, max_detections: 10, score_threshold: 0.001}",
    "mask_head={channels: 4, num_convs: 1}",
    "data.max_instances=4",
    "data.train_json=data/instances.json",
    "data.train_images=data/images",
    "train={batch_size: 2, epochs: 2, clip_norm: 5, keep_states: 1, tensorboard: false}",
    "train={weights: start.npz, schedule: {warmup_steps: 2}}",
]
# Of the last layers, so that something is found.
GAINS = {"box_head/class_logits": 3.0, "box_head/box_deltas": 3.0, "mask_head/logits": 10.0}


def start_weights(config):
    """Write start.npz."""
    model = mr.MaskRCNN(config.model)
    tile = np.random.default_rng(0).normal(size=97).astype(np.float32)
    for name, variable in named_weights(model).items():
        shape = tuple(variable.shape)
        if name.startswith("backbone") and name.endswith("kernel"):
            scale = np.float32(0.4 / np.sqrt(np.prod(shape[:-1])))
            variable.assign(np.resize(tile, shape) * scale)
        gain = next((g for part, g in GAINS.items() if name.startswith(f"{part}/kernel")), None)
        if gain:
            variable.assign(variable * gain)
    save_weights(model, "start.npz")


def pack(name, paths):
    """Write `paths` into an archive beside the working folder."""
    with tarfile.open(f"../before_layout_{name}.tar.xz", "w:xz") as file:
        for path in paths:
            file.add(path)


def main(stack, folder):
    """Make and pack all."""
    os.makedirs(os.path.join(folder, stack))
    os.chdir(os.path.join(folder, stack))
    write_shapes("data", num_images=2, height=64, width=64, num_objects=(2, 3), seed=0)
    config = load_config(None, CONFIG)
    start_weights(config)
    train(config, "run", epochs=1)
    shutil.copytree("run", "resumed")
    train(config, "resumed", resume=True)
    resumed = np.load("resumed/weights.npz")
    heads = [name for name in resumed.files if not name.startswith(("backbone", "fpn"))]
    expected = {f"weights/{name}": resumed[name] for name in heads}
    model = mr.load("run")
    with open("data/instances.json", encoding="utf-8") as file:
        image = json.load(file)["images"][0]["file_name"]
    image = mr.data.read_image(f"data/images/{image}")
    found = model.predict_images([image], score_threshold=0.001)[0]
    for part in ("boxes", "scores", "classes", "mask_probabilities"):
        expected[f"found/{part}"] = getattr(found, part)
    np.savez_compressed("expected.npz", **expected)
    for name in ("curves.png", "first_batch.png"):
        os.remove(f"run/{name}")
    pack(f"run_{stack}", ["data", "run", "expected.npz"])
    if stack == "a":
        mr.export_saved_model(model, "saved_model")
        pack("saved_model", ["saved_model"])


main(*sys.argv[1:])
