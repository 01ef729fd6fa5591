"""Put an exported model where TF Serving looks for it, as the next version, with warm-up requests.

    python -m tfmaskrcnn.serving.publish exported/1 models/maskrcnn --warmup photo.jpg

makes `models/maskrcnn/1`, then `/2` and so on. A server that watches the folder sees a version
whole or not at all, loads it, plays the warm-up requests and only then drops the former one.
Warm-up requests need the extra `serving`.
"""

import argparse
import os
import shutil
import sys
from typing import Callable, List, Optional, Sequence

from tfmaskrcnn.errors import InputError
from tfmaskrcnn.inference.exported import load_saved_model
from tfmaskrcnn.support.files import writable_folder
from tfmaskrcnn.support.given import A_PATH, takes
from tfmaskrcnn.support.quiet import hide_remarks
from tfmaskrcnn.support.run_folder import removed_if_empty

# Where TF Serving looks, below a version's folder.
WARMUP = os.path.join("assets.extra", "tf_serving_warmup_requests")
_MAX_WARMUP = 1000  # requests that TF Serving accepts


@takes(exported=A_PATH, folder=A_PATH)
def publish(exported: str, folder: str, warmup: Sequence[str] = ()) -> str:
    """Copy the SavedModel `exported` to the next version below `folder`.

    Args:
        exported: a SavedModel folder.
        folder: of the model; its name is what clients ask for.
        warmup: image files that the server predicts on before it takes requests.

    Returns:
        The version's folder.

    Raises:
        InputError: no SavedModel, a folder that cannot be written, or a bad warm-up image.
    """
    if not os.path.exists(os.path.join(exported, "saved_model.pb")):
        raise InputError(f"{exported} is no SavedModel (no saved_model.pb).")
    with removed_if_empty(folder):
        name = os.path.basename(os.path.abspath(writable_folder(folder)))

        def fill(unfinished):
            shutil.copytree(exported, unfinished)
            if warmup:
                write_warmup(unfinished, name, warmup)

        return publish_version(folder, fill)


def publish_version(folder: str, fill: Callable[[str], None]) -> str:
    """Make the next version below `folder`, which a server sees whole or not at all.

    Args:
        folder: of the model.
        fill: makes the folder that it is given.

    Returns:
        The version's folder.

    Raises:
        InputError: it cannot be written.
    """
    version = next_version(folder)
    # Servers take folders whose name is a number; this one is none until it is complete.
    unfinished = os.path.join(folder, f"unfinished-{version}-{os.getpid()}")
    target = os.path.join(folder, str(version))
    try:
        fill(unfinished)
        os.rename(unfinished, target)
    except OSError as error:
        raise InputError(f"Cannot write below {folder}: {error.strerror or error}.") from None
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return target


def next_version(folder: str) -> int:
    """1 above the highest version below `folder`."""
    return 1 + max((int(name) for name in os.listdir(folder) if name.isdecimal()), default=0)


def write_warmup(saved_model: str, name: str, images: Sequence[str]) -> str:
    """Write `assets.extra/tf_serving_warmup_requests` into a SavedModel.

    A server does not load a model whose warm-up requests fail, so each is tried here first.

    Args:
        saved_model: its folder.
        name: the model's name on the server.
        images: files, one request each to the signature `image_bytes`.

    Returns:
        The path of the TFRecord file.

    Raises:
        InputError: the messages are not installed, too many files, or a file that the model
            refuses.
    """
    import tensorflow as tf

    try:
        from tensorflow_serving.apis import predict_pb2, prediction_log_pb2
    except ImportError:
        raise InputError(
            "Warm-up requests need the package tensorflow-serving-api; install the extra 'serving'."
        ) from None
    if len(images) > _MAX_WARMUP:
        raise InputError(f"{len(images)} warm-up images; TF Serving takes {_MAX_WARMUP} at most.")
    loaded = load_saved_model(saved_model)
    if "image_bytes" not in loaded.signatures:
        raise InputError(f"{saved_model} has no signature 'image_bytes' to warm up.")
    path = os.path.join(saved_model, WARMUP)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with tf.io.TFRecordWriter(path) as writer:
        for image in images:
            data = _try(loaded, image, tf)
            request = predict_pb2.PredictRequest()
            request.model_spec.name, request.model_spec.signature_name = name, "image_bytes"
            request.inputs["image_bytes"].CopyFrom(tf.make_tensor_proto([data]))
            log = prediction_log_pb2.PredictionLog(
                predict_log=prediction_log_pb2.PredictLog(request=request)
            )
            writer.write(log.SerializeToString())
    return path


def _try(loaded, image: str, tf) -> bytes:
    """The content of an image file that the model takes."""
    try:
        with open(image, "rb") as file:
            data = file.read()
        outputs = loaded.signatures["image_bytes"](image_bytes=tf.constant([data]))
    except OSError as error:
        raise InputError(f"Cannot read the warm-up image {image}: {error.strerror}.") from None
    except tf.errors.InvalidArgumentError as error:
        reason = str(error).split("[", 1)[-1].split("]", 1)[0]
        raise InputError(f"The model refuses the warm-up image {image}: {reason}") from None
    reported = outputs.get("image_errors")
    if reported is not None and reported.numpy()[0]:
        reason = reported.numpy()[0].decode()
        raise InputError(f"The model refuses the warm-up image {image}: it {reason}.")
    return data


def main(arguments: Optional[List[str]] = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tfmaskrcnn.serving.publish", description=__doc__.splitlines()[0]
    )
    parser.add_argument("exported", help="a SavedModel folder")
    parser.add_argument("folder", help="of the model, such as models/maskrcnn")
    parser.add_argument("--warmup", nargs="+", default=[], metavar="IMAGE", help="image files")
    options = parser.parse_args(arguments)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before TensorFlow is imported
    hide_remarks()
    try:
        print(publish(options.exported, options.folder, options.warmup))
    except InputError as error:
        print(f"publish: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("publish: stopped.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
