"""How long a training step takes, beside torchvision's on the same image, and how much memory.

    python examples/training_step.py --torchvision PYTHON    # one that has torchvision
    python examples/training_step.py --also .venv-b/bin/python    # another TensorFlow too
    python examples/training_step.py --trained-norms    # batch normalisation that learns

ResNet-50-FPN with frozen norms, stem and first stage frozen, batch 1, SGD with momentum.
The processes step in turns, one at a time, because other work on the machine changes all alike.
What is positive is up to the network; drawn weights propose little, so that it is the objects
themselves, which both programs add to the proposals.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time

CLASSES = 80
SIZE = (800, 1216)
HERE = os.path.abspath(__file__)


def main() -> None:
    """Start the workers, let them step in turns, print a table."""
    options = _options()
    for objects in options.objects:
        workers = _workers(options, objects)
        for worker in workers:
            worker.step()  # graphs, kernels, memory
        for _ in range(options.steps):
            for worker in workers:
                worker.step()
        print("\n".join(_table(objects, workers)), flush=True)
        for worker in workers:
            worker.close()


def _options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--torchvision", metavar="PYTHON", help="one that has PyTorch, torchvision")
    parser.add_argument("--also", metavar="PYTHON", help="one with another TensorFlow")
    parser.add_argument("--objects", type=int, nargs="+", default=[10, 128], help="(10 128)")
    parser.add_argument("--trained-norms", action="store_true", help="of the backbone")
    parser.add_argument("--steps", type=int, default=5, help="timed, of each (5)")
    parser.add_argument("--threads", type=int, default=0, help="(as many as there are cores)")
    parser.add_argument("--work", help=argparse.SUPPRESS)  # in this process
    options = parser.parse_args()
    if options.work:
        _work(options)
        sys.exit()
    return options


class Worker:
    """A program in a process of its own that makes a step when it is told."""

    def __init__(self, name: str, python: str, kind: str, options, objects: int):
        self.name, self.answers = name, []
        command = [python, HERE, "--work", kind, "--objects", str(objects)]
        command += ["--threads", str(options.threads or os.cpu_count())]
        command += ["--trained-norms"] * options.trained_norms
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def step(self) -> None:
        """Wait for one step."""
        self._process.stdin.write("step\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            sys.exit(f"{self.name} ended.")
        self.answers.append(json.loads(line))

    def close(self) -> None:
        """End the process."""
        self._process.stdin.close()
        self._process.wait()


def _workers(options, objects: int):
    found = [("tfmaskrcnn", sys.executable, "ours")]
    if options.also:
        found.append(("tfmaskrcnn, " + options.also, options.also, "ours"))
    if options.torchvision:
        found.append(("torchvision", options.torchvision, "torchvision"))
    return [Worker(*each, options, objects) for each in found]


def _table(objects: int, workers):
    lines = [f"{objects} objects, {SIZE[0]} x {SIZE[1]}, batch 1"]
    lines += ["| | RoIs in the mask head | s a step | of torchvision's | CPU s | peak GB |"]
    lines += ["|---|---|---|---|---|---|"]
    medians = [_median(worker, "seconds") for worker in workers]
    peer = medians[-1] if workers[-1].name == "torchvision" else None
    for worker, seconds in zip(workers, medians):
        last = worker.answers[-1]
        share = f"{seconds / peer:.2f}" if peer else ""
        cells = [worker.name, str(last["rois"]), f"{seconds:.2f}", share]
        cells += [f"{_median(worker, 'cpu'):.1f}", f"{last['peak'] / 1e9:.2f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _median(worker: Worker, key: str) -> float:
    return statistics.median(answer[key] for answer in worker.answers[1:])


def _work(options) -> None:
    """Answer each line of the input by a step's numbers."""
    make = {"ours": _ours, "torchvision": _torchvision}[options.work]
    step, rois = make(options.objects[0], options.threads, options.trained_norms)
    for _ in sys.stdin:
        began, before = time.perf_counter(), time.process_time()
        step()
        seconds, cpu = time.perf_counter() - began, time.process_time() - before
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        peak *= 1 if sys.platform == "darwin" else 1024
        answer = {"seconds": seconds, "cpu": cpu, "peak": peak, "rois": rois()}
        print(json.dumps(answer), flush=True)


def _picture(objects: int):
    """A noisy image [H, W, 3] in 0..1, boxes [n, 4] xyxy and classes [n] from 1, drawn."""
    import numpy as np

    rng = np.random.default_rng(0)
    sides = rng.uniform(40, 160, (objects, 2))
    corners = rng.uniform(0, 1, (objects, 2)) * (np.array(SIZE[::-1]) - sides)
    boxes = np.concatenate([corners, corners + sides], axis=1).astype(np.float32)
    image = rng.uniform(0, 1, (*SIZE, 3)).astype(np.float32)
    return image, boxes, rng.integers(1, CLASSES + 1, objects)


def _ours(objects: int, threads: int, trained_norms: bool):
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import numpy as np
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    import tfmaskrcnn as mr

    norm = "bn" if trained_norms else "frozen_bn"
    overrides = [f"model.num_classes={CLASSES}", f"model.backbone.norm={norm}"]
    config = mr.load_config("maskrcnn_r50_fpn_1x_coco", overrides)
    model = mr.MaskRCNN(config.model)
    model.compile(mr.train.make_optimizer(config.train, 1000))
    seen = []
    head = model.mask_head.call

    def counted(x, **flags):
        with tf.control_dependencies([tf.py_function(seen.append, [tf.shape(x)[1]], [])]):
            return head(tf.identity(x), **flags)

    model.mask_head.call = counted
    image, boxes, classes = _picture(objects)
    batch = {
        "image": (image[np.newaxis] - 0.5) / 0.25,
        "size": np.float32([SIZE]),
        "image_id": np.int64([1]),
        "seed": np.int32([[1, 2]]),
        "gt_boxes": boxes[np.newaxis][..., [1, 0, 3, 2]],
        "gt_classes": classes[np.newaxis].astype(np.int32),
        "gt_masks": np.ones([1, objects, 112, 112], np.uint8),
        "gt_valid": np.ones([1, objects], bool),
        "gt_crowd": np.zeros([1, objects], bool),
    }
    options = tf.data.Options()
    options.autotune.enabled = (
        False  # as in `fit`; `train_on_batch` waits for it up to twice as long
    )
    data = iter(tf.data.Dataset.from_tensors(batch).repeat().with_options(options))
    step = model.make_train_function() or model.train_function  # Keras 2, Keras 3
    return lambda: step(data), lambda: int(seen[-1])


def _torchvision(objects: int, threads: int, trained_norms: bool):
    import torch
    from torchvision.models import resnet50
    from torchvision.models.detection import MaskRCNN
    from torchvision.models.detection.backbone_utils import _resnet_fpn_extractor
    from torchvision.ops import FrozenBatchNorm2d

    torch.set_num_threads(threads)
    norm = torch.nn.BatchNorm2d if trained_norms else FrozenBatchNorm2d
    body = resnet50(weights=None, norm_layer=norm)
    model = MaskRCNN(_resnet_fpn_extractor(body, trainable_layers=3), CLASSES + 1).train()
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(trained, lr=2e-5, momentum=0.9, weight_decay=1e-4)
    seen = []
    model.roi_heads.mask_head.register_forward_hook(lambda *each: seen.append(len(each[2])))
    image, boxes, classes = _picture(objects)
    masks = torch.zeros([objects, *SIZE], dtype=torch.uint8)
    for mask, (left, top, right, bottom) in zip(masks, boxes.astype(int)):
        mask[top:bottom, left:right] = 1
    target = {"boxes": torch.from_numpy(boxes), "labels": torch.from_numpy(classes), "masks": masks}
    pixels = torch.from_numpy(image).permute(2, 0, 1)

    def step():
        losses = model([pixels], [target])
        optimizer.zero_grad()
        sum(losses.values()).backward()
        optimizer.step()

    return step, lambda: seen[-1]


if __name__ == "__main__":
    main()
