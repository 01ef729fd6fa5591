"""Whether TF-TRT can work on this machine, told in one sentence before TensorFlow aborts."""

import ctypes
import os
import sys

LAST_TF_TRT = (2, 17)
MAX_TOP_K = 3840  # of TensorRT


class Refusal(Exception):
    """One sentence to the user on why this cannot be done."""


def preflight(offline: bool) -> str:
    """Raise `Refusal` unless this machine can convert; a remark if there is one.

    TensorFlow itself says the same of all these cases, or aborts the process.
    """
    import tensorflow as tf

    version = tuple(int(part) for part in tf.__version__.split(".")[:2])
    if not tf.sysconfig.get_build_info().get("is_tensorrt_build"):
        if version > LAST_TF_TRT:
            raise Refusal(
                f"TensorFlow {tf.__version__} has no TF-TRT, 2.17 was the last with it; convert "
                "with TensorFlow 2.14 to 2.17, where the SavedModel loads, or export --format onnx."
            )
        raise Refusal(
            f"This TensorFlow {tf.__version__} was built without TensorRT, as all for macOS, "
            "Windows and CPUs alone are; take the Linux wheel for x86, or NVIDIA's on a Jetson."
        )
    from tensorflow.compiler.tf2tensorrt import _pywrap_py_utils as trt

    linked = trt.get_linked_tensorrt_version()
    load_libraries(tf.__version__, library_names(version, linked), _dotted(linked))
    if not trt.is_tensorrt_enabled():
        raise Refusal(
            f"TensorRT loads, but TensorFlow {tf.__version__} does not accept it; put cuDNN, "
            "cuBLAS and the CUDA runtime that it was built for on LD_LIBRARY_PATH, too."
        )
    loaded = trt.get_loaded_tensorrt_version()  # without the library this aborts the process
    remark = check_version(tf.__version__, tuple(loaded), tuple(linked), offline)
    if not offline and not tf.config.list_physical_devices("GPU"):
        raise Refusal(
            "TensorFlow sees no GPU here, and only a GPU builds engines; add --offline to convert "
            "without one, then the target builds them on its first run."
        )
    return remark


def library_names(version, linked):
    """The files that TensorFlow `version` opens, linked against TensorRT `linked`."""
    suffix = str(linked[0]) if version < (2, 15) else _dotted(linked)
    return [f"libnvinfer.so.{suffix}", f"libnvinfer_plugin.so.{suffix}"]


def load_libraries(tensorflow, names, wanted) -> None:
    """Load the shared libraries `names` of TensorRT `wanted`, as `tensorflow` (version) will."""
    for name in names:
        try:
            ctypes.CDLL(name, mode=ctypes.RTLD_GLOBAL)
        except OSError as error:
            raise Refusal(
                f"TensorFlow {tensorflow} needs TensorRT {wanted} and looks for {name}, which does "
                f"not load ({error}); install that TensorRT and put its folder on LD_LIBRARY_PATH."
            ) from None


def check_version(tensorflow, loaded, linked, offline) -> str:
    """A remark on TensorRT versions, "" if they fit; `Refusal` if this one will not do."""
    what = f"TensorRT {_dotted(loaded)} is here, TensorFlow {tensorflow} needs {_dotted(linked)}"
    if loaded[0] != linked[0]:
        raise Refusal(f"{what}; another major version will not do.")
    if loaded >= linked:
        return ""
    if not offline:
        raise Refusal(f"{what} or a later {linked[0]}; install that.")
    return f"{what} to build engines; converting offline only cuts the graph."


def _dotted(version) -> str:
    return ".".join(str(part) for part in version)


def leave_wide_top_k(graph_def) -> None:
    """Keep TopK out of the engines, and say so, if the network has one that TensorRT refuses.

    TF-TRT would put it into one, which then cannot be built. It reads its list of operations once,
    at the first conversion of the process.
    """
    import tensorflow as tf

    values = {node.name: node.attr["value"].tensor for node in graph_def.node if node.op == "Const"}
    counts = [node.input[1].split(":")[0] for node in graph_def.node if node.op == "TopKV2"]
    most = max((int(tf.make_ndarray(values[name])) for name in counts if name in values), default=0)
    if most > MAX_TOP_K:
        denied = filter(None, [os.environ.get("TF_TRT_OP_DENYLIST"), "TopKV2"])
        os.environ["TF_TRT_OP_DENYLIST"] = ",".join(denied)
        print(
            f"tf_trt: TopK stays outside the engines: it is asked for the best {most}, TensorRT "
            f"gives {MAX_TOP_K} at most (rpn.pre_nms_top_k, box_head.max_detections).",
            file=sys.stderr,
        )
