"""What runs each kind of artefact, as a function from images to what is found; for `latency.py`."""

import importlib
from typing import Any, Callable, Dict, List, Tuple

import numpy as np

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


def run_folder(spec: Dict[str, Any]) -> Callable[[np.ndarray], Found]:
    """A run folder or single-file model by Keras, from uint8 images; needs the whole package."""
    tensorflow(spec)
    model = importlib.import_module("tfmaskrcnn").load(spec["path"])

    def run(images: np.ndarray) -> Found:
        found = model.predict_images(list(images), batch_size=len(images))
        return [(each.boxes, each.mask_probabilities) for each in found]

    return run


def onnx(spec: Dict[str, Any]) -> Callable[[np.ndarray], Found]:
    """An ONNX file of the signature `network`, from preprocessed images."""
    if spec["runtime"] == "openvino":
        return openvino(spec)
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


def openvino(spec: Dict[str, Any]) -> Callable[[np.ndarray], Found]:
    """As `onnx`, by OpenVINO."""
    core = importlib.import_module("openvino").Core()
    # By itself it computes in bfloat16 where the CPU has it.
    settings = {"INFERENCE_PRECISION_HINT": "f32"}
    if spec["threads"]:
        settings["INFERENCE_NUM_THREADS"] = spec["threads"]
    read = core.read_model(spec["path"])
    # Compiled, they may have names of tensors inside as well; their order stays.
    names = [output.get_any_name() for output in read.outputs]
    shapes = {port.get_any_name(): list(port.shape) for port in read.inputs}
    model = core.compile_model(read, "CPU", settings)
    feeds = network_inputs(shapes["images"], spec)

    def run(images: np.ndarray) -> Found:
        found = model([feeds[name] for name in shapes])
        return split({name: found[i] for i, name in enumerate(names)}, shapes["images"][1:3])

    return run


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
    "run": run_folder,
    "SavedModel": saved_model,
    "TF-TRT": saved_model,
    "ONNX": onnx,
    "TFLite": tflite,
    "torchvision": torchvision,
}
