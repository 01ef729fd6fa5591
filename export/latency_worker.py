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
from typing import Any, Callable, Dict, List, Tuple

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
# What an artefact gives an image: (boxes yxyx in pixels, masks) of its detections.
Found = List[Tuple[np.ndarray, np.ndarray]]


class Refused(ValueError):
    """Something given is wrong; the message is for a person."""


def picture(height: int, width: int, index: int = 0) -> np.ndarray:
    """uint8 [height, width, 3] RGB: ellipses and noise, the same for the same arguments."""
    rng = np.random.default_rng(index)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    canvas = np.full((height, width, 3), 128.0, np.float32)
    for _ in range(24):
        center, radius = rng.uniform(0, (height, width)), rng.uniform(4, (height / 4, width / 4))
        inside = ((y - center[0]) / radius[0]) ** 2 + ((x - center[1]) / radius[1]) ** 2 < 1
        canvas += 46 * rng.uniform(-1, 1, 3).astype(np.float32) * inside[..., None]
    canvas += rng.normal(0, 8, canvas.shape).astype(np.float32)
    return np.clip(canvas, 0, 255).round().astype(np.uint8)


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


def tensorflow(spec: Dict[str, Any]):
    """TensorFlow with the threads and the precision that `spec` asks for."""
    import tensorflow as tf

    if spec["threads"]:
        tf.config.threading.set_intra_op_parallelism_threads(spec["threads"])
        tf.config.threading.set_inter_op_parallelism_threads(1)  # else operations share cores
    if spec["precision"] == "bfloat16":
        tf.config.optimizer.set_experimental_options({"auto_mixed_precision_onednn_bfloat16": True})
    return tf


def saved_model(spec: Dict[str, Any]) -> Callable[[np.ndarray], Found]:
    """A SavedModel's `serving_default`, from uint8 images; also one that TF-TRT converted."""
    tf = tensorflow(spec)
    loaded = tf.saved_model.load(spec["path"])
    signature = loaded.signatures.get("serving_default")
    if signature is None or "images" not in signature.structured_input_signature[1]:
        raise Refused(f"{spec['path']} has no signature serving_default that takes 'images'.")

    def run(images: np.ndarray) -> Found:
        outputs = loaded.signatures["serving_default"](images=tf.constant(images))
        return split({k: v.numpy() for k, v in outputs.items()}, images.shape[1:3])

    return run


def onnx(spec: Dict[str, Any]) -> Callable[[np.ndarray], Found]:
    """An ONNX file of the signature `network`, from preprocessed images."""
    runtime = importlib.import_module("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = spec["threads"] or 0
    known = ("CUDAExecutionProvider", "CPUExecutionProvider")
    providers = [p for p in known if p in runtime.get_available_providers()]
    session = runtime.InferenceSession(spec["path"], options, providers=providers)
    names = [output.name for output in session.get_outputs()]
    shape = {i.name: i.shape for i in session.get_inputs()}["images"]
    feeds = network_inputs(shape, spec)
    return lambda images: split(dict(zip(names, session.run(names, feeds))), shape[1:3])


def tflite(spec: Dict[str, Any]) -> Callable[[np.ndarray], Found]:
    """A TFLite file of the signature `network`, from preprocessed images."""
    try:
        interpreter_class = importlib.import_module("ai_edge_litert.interpreter").Interpreter
    except ImportError:
        interpreter_class = tensorflow(spec).lite.Interpreter
    interpreter = interpreter_class(model_path=spec["path"], num_threads=spec["threads"] or None)
    runner = interpreter.get_signature_runner()
    shape = [int(n) for n in runner.get_input_details()["images"]["shape"]]
    feeds = network_inputs(shape, spec)
    return lambda images: split(runner(**feeds), shape[1:3])


def network_inputs(shape, spec: Dict[str, Any]) -> Dict[str, np.ndarray]:
    """Feeds for a fixed `network`: a picture with zero mean and unit deviation."""
    if list(shape[:3]) != [spec["batches"][0], *spec["size"]] or len(spec["batches"]) > 1:
        raise Refused(
            f"{spec['path']} takes images of {list(shape)}; give --batch {shape[0]} --size "
            f"{shape[1]}x{shape[2]}."
        )
    images = np.stack([picture(*shape[1:3], i) for i in range(shape[0])]).astype(np.float32)
    sizes = np.tile(np.float32(shape[1:3]), (shape[0], 1))
    return {"images": (images - images.mean()) / images.std(), "sizes": sizes}


def split(outputs: Dict[str, np.ndarray], size) -> Found:
    """The detections of each image, from the served outputs of a batch."""
    found = []
    for i, count in enumerate(outputs["num_detections"].astype(int)):
        boxes = outputs["detection_boxes"][i, :count] * np.float32([*size, *size])
        found.append((boxes, outputs["detection_masks"][i, :count]))
    return found


def torchvision(spec: Dict[str, Any]) -> Callable[[np.ndarray], Found]:
    """The maskrcnn_resnet50_fpn of torchvision in its default layout; its masks come pasted."""
    torch = importlib.import_module("torch")
    models = importlib.import_module("torchvision.models.detection")
    if spec["threads"]:
        torch.set_num_threads(spec["threads"])
    tensors = dict(np.load(spec["weights"])) if spec["weights"] else {}
    classes = len(tensors.get("roi_heads.box_predictor.cls_score.bias", range(91)))
    model = models.maskrcnn_resnet50_fpn(
        weights=None,
        weights_backbone=None,
        num_classes=classes,
        box_score_thresh=spec["score_threshold"],
    )
    if tensors:
        model.load_state_dict({k: torch.from_numpy(v) for k, v in tensors.items()})
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = model.eval().to(device)

    def run(images: np.ndarray) -> Found:
        inputs = [torch.from_numpy(i).to(device).permute(2, 0, 1).float() / 255 for i in images]
        with torch.no_grad():
            found = model(inputs)
        return [(f["boxes"].cpu().numpy(), (f["masks"] >= 0.5).cpu().numpy()) for f in found]

    return run


RUNNERS = {
    "SavedModel": saved_model,
    "TF-TRT": saved_model,
    "ONNX": onnx,
    "TFLite": tflite,
    "torchvision": torchvision,
}


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
        versions = ("tensorflow", "torch", "torchvision", "onnxruntime")
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
