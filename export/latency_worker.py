"""One artefact in a process of its own, timed on request: the other half of `latency.py`.

Reads a JSON specification from the first line of its input, then one JSON request a line, and
answers each by a JSON line. Needs TensorFlow (or the artefact's own runtime) and NumPy.
"""

import importlib
import importlib.util
import json
import os
import platform
import resource
import sys
import time
from typing import Any, Callable, Dict, List

import numpy as np
from latency_runners import RUNNERS, Refused, picture, split, tensorflow

HERE = os.path.dirname(os.path.abspath(__file__))


def paste_function() -> Callable:
    """`paste_masks` of `tfmaskrcnn/ops/paste.py`, which needs NumPy alone."""
    above = os.path.dirname(HERE)  # of a clone's export/, or of an installed shipped/export/
    installed = os.path.join(os.path.dirname(above), "ops")
    places = (HERE, os.path.join(above, "tfmaskrcnn", "ops"), installed)
    for path in (os.path.join(place, "paste.py") for place in places):
        if os.path.exists(path):
            spec = importlib.util.spec_from_file_location("paste", path)
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            return module.paste_masks
    raise Refused(
        "No paste.py found; copy tfmaskrcnn/ops/paste.py beside this script or give --masks raw."
    )


class Subject:
    """What is timed: the artefact, and the pasting of its masks if asked for."""

    def __init__(self, spec: Dict[str, Any]):
        self.spec = spec
        pastes = spec["masks"] == "pasted" and spec["kind"] != "torchvision"
        self.paste = paste_function() if pastes else None
        self.run = RUNNERS[spec["kind"]](spec)
        self.images: Dict[int, np.ndarray] = {}

    def timed(self, batch: int) -> Dict[str, Any]:
        """Seconds of one call on `batch` images, of them for pasting, and detections in all."""
        size = self.spec["size"]
        if batch not in self.images:
            self.images[batch] = np.stack([picture(*size, i) for i in range(batch)])
        start = time.perf_counter()
        found = self.run(self.images[batch])
        run = time.perf_counter()
        if self.paste:
            for boxes, masks in found:
                self.paste(masks, boxes, *size, rule=self.spec["paste_rule"])
        end = time.perf_counter()
        count = sum(len(boxes) for boxes, _ in found)
        return {"seconds": end - start, "paste_seconds": end - run, "detections": count}

    def summary(self) -> Dict[str, Any]:
        """Peak memory of this process and the device it ran on."""
        gpus = []
        if "tensorflow" in sys.modules:
            tf = sys.modules["tensorflow"]
            gpus = tf.config.list_physical_devices("GPU")
        memory = {"peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}
        device = cpu_name()
        if gpus:
            device = tf.config.experimental.get_device_details(gpus[0]).get("device_name", "GPU")
            memory["peak_gpu_mb"] = tf.config.experimental.get_memory_info("GPU:0")["peak"] / 2**20
        elif "torch" in sys.modules and sys.modules["torch"].cuda.is_available():
            device = sys.modules["torch"].cuda.get_device_name(0)
        versions = ("tensorflow", "torch", "torchvision", "onnxruntime", "openvino")
        loaded = {n: sys.modules[n].__version__ for n in versions if n in sys.modules}
        return {**memory, "device": device, "versions": loaded}


def cpu_name() -> str:
    """The CPU's name as the system knows it."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            lines = dict(line.split(":", 1) for line in file if ":" in line)
        lines = {key.strip(): value.strip() for key, value in lines.items()}
        model = f"family {lines['cpu family']} model {lines['model']}"
        return f"{lines['model name']} ({model})"
    except (OSError, KeyError):
        return platform.processor() or platform.machine()


def convolution_times(threads: int) -> Dict[str, float]:
    """Milliseconds of one 3x3 convolution, 256 to 256 channels at 50 x 76, by type; the best of 9.

    Multiplying numbers of half the size pays only on a CPU whose units for them are faster; a CPU
    with AVX512_BF16 may well lack these.
    """
    tf = tensorflow({"threads": threads, "precision": "float32"})
    calls = {}
    for dtype in (tf.float32, tf.bfloat16):
        x, kernel = tf.ones([1, 50, 76, 256], dtype), tf.ones([3, 3, 256, 256], dtype)
        calls[dtype.name] = (tf.function(lambda x, k=kernel: tf.nn.conv2d(x, k, 1, "SAME")), x)
    times: Dict[str, List[float]] = {name: [] for name in calls}
    for _ in range(11):
        for name, (call, x) in calls.items():
            start = time.perf_counter()
            call(x)
            times[name].append(time.perf_counter() - start)
    return {name: 1e3 * min(values[2:]) for name, values in times.items()}


def answer(subject: Subject, request: Dict[str, Any]) -> Dict[str, Any]:
    """What one request asks for."""
    if request["do"] == "time":
        return subject.timed(request["batch"])
    if request["do"] == "profile":
        stages = importlib.import_module("latency_stages")
        return stages.stage_seconds(subject, picture(*subject.spec["size"]), split)
    if request["do"] == "convolutions":
        return convolution_times(subject.spec["threads"])
    return subject.summary()


def main() -> None:
    """Serve requests until the input ends; libraries' own prints go to stderr."""
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def reply(value):
        replies.write(json.dumps(value) + "\n")
        replies.flush()

    try:
        subject = Subject(json.loads(sys.stdin.readline()))
        reply({"ready": True})
        for line in sys.stdin:
            reply(answer(subject, json.loads(line)))
    except Exception as error:  # the other side prints it
        kind = "" if isinstance(error, Refused) else f"{type(error).__name__}: "
        reply({"error": kind + (str(error).strip().splitlines() or [""])[0]})


if __name__ == "__main__":
    main()
