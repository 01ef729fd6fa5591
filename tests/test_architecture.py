"""The rules of layout that a reader relies on: who imports whom, and how long things are."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "tfmaskrcnn"
SOURCES = sorted([*(ROOT / PACKAGE).rglob("*.py"), *(ROOT / "export").rglob("*.py")])

# Ranks by the first part of the name below the package; `export` is the folder beside it.
RANKS = {
    **dict.fromkeys(["config", "model_config", "config_files", "structures", "compat"], 0),
    **dict.fromkeys(["section", "head_config", "keypoint_config", "person_keypoints"], 0),
    **dict.fromkeys(["errors", "files", "quiet", "reproducible", "tables", "versions"], 0),
    "ops": 1,
    **dict.fromkeys(["layers", "losses", "instances", "prediction", "weights", "gradients"], 2),
    **dict.fromkeys(["proposals", "detections", "served", "ema"], 2),
    **dict.fromkeys(["training", "model"], 3),
    **dict.fromkeys(["data", "evaluation", "strokes", "drawing"], 4),
    **dict.fromkeys(["visualize", "visualize_batch"], 4),
    **dict.fromkeys(["train", "checkpoints", "serving", "portable"], 5),
    **dict.fromkeys(["cli", "cli_arguments", "cli_check", "cli_data", "cli_export"], 6),
    **dict.fromkeys(["cli_portable", "cli_rate", "cli_show", "command"], 6),
    **dict.fromkeys(["__main__", "sources", "export"], 6),
}
# What reads data or judges results knows nothing of the model.
APART_FROM_THE_MODEL = {
    "data": {"instances"},
    "evaluation": {"instances", "served", "data"},
    "strokes": set(),
    "drawing": {"strokes"},
    "visualize": {"instances", "data", "drawing"},
    "visualize_batch": {"drawing", "visualize"},
}
# These are copied to the machine that measures, alone.
STANDALONE = ["tf_trt.py", "tf_trt_graph.py", "tf_trt_preflight.py"]
STANDALONE += ["latency.py", "latency_worker.py", "latency_stages.py"]
MAX_FILE, MAX_FUNCTION = 300, 60


def package_of(path):
    """The package a file lies in: `tfmaskrcnn/ops/boxes.py` -> ["tfmaskrcnn", "ops"]."""
    return list(path.relative_to(ROOT).parts[:-1])


def part_of(path):
    """What the ranks call a file: "ops", "model", "export"; "" for `tfmaskrcnn/__init__.py`."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    part = parts[1] if parts[0] == PACKAGE else parts[0]
    return "" if part == "__init__" else part


def imported_names(tree, package):
    """Every absolute dotted name that a file of `package` imports, also inside functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = [node.module] if node.module else []
            if node.level:
                base = [*package[: len(package) - node.level + 1], *base]
            yield from (".".join([*base, alias.name]) for alias in node.names)


def import_faults(source, own, package):
    """Imports of a file of part `own` that the ranks forbid, as sentences."""
    for name in imported_names(ast.parse(source), package):
        first, _, rest = name.partition(".")
        if first not in (PACKAGE, "export") or RANKS[own] == 6:
            continue
        part = rest.split(".")[0] if first == PACKAGE else first
        if part == own:
            continue
        if part not in RANKS:
            yield f"{own} imports {name}, which has no rank"
        elif RANKS[part] > RANKS[own]:
            yield f"{own} (rank {RANKS[own]}) imports {part} (rank {RANKS[part]})"
        elif RANKS[part] >= 2 and part not in APART_FROM_THE_MODEL.get(own, [part]):
            yield f"{own} must know nothing of {part}"


def length_faults(source):
    lines = source.count("\n")
    if lines > MAX_FILE:
        yield f"{lines} lines, {MAX_FILE} at most"
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            length = node.end_lineno - node.lineno + 1
            if length > MAX_FUNCTION:
                yield f"{node.name} has {length} lines, {MAX_FUNCTION} at most"


def keras_faults(source, package):
    tree = ast.parse(source)
    for name in imported_names(tree, package):
        if name.startswith(("tensorflow.keras", "tensorflow.python.keras", "tf_keras")):
            yield f"imports {name}; write `import keras`"
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and ast.unparse(node) in (
            "tf.keras",
            "tensorflow.keras",
        ):
            yield f"line {node.lineno}: {ast.unparse(node)}; write `import keras`"


def foreign_faults(source, package):
    for name in imported_names(ast.parse(source), package):
        beside = {Path(name).stem for name in STANDALONE}
        if name.split(".")[0] not in {"tensorflow", "numpy", *sys.stdlib_module_names, *beside}:
            yield f"imports {name}"


@pytest.fixture(params=SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def path(request):
    return request.param


def test_imports_only_go_down(path):
    own = part_of(path)
    if not own:
        pytest.skip("tfmaskrcnn/__init__.py re-exports")
    assert own in RANKS, f"give {own!r} a rank in this test"
    assert not list(import_faults(path.read_text(encoding="utf-8"), own, package_of(path)))


def test_files_and_functions_are_short(path):
    assert not list(length_faults(path.read_text(encoding="utf-8")))


def test_keras_is_imported_as_keras(path):
    if part_of(path) == "compat":
        pytest.skip("compat.py compares the two")
    assert not list(keras_faults(path.read_text(encoding="utf-8"), package_of(path)))


@pytest.mark.skipif(sys.version_info < (3, 10), reason="no list of the standard library")
@pytest.mark.parametrize("name", STANDALONE)
def test_deployment_scripts_need_only_tensorflow(name):
    path = ROOT / "export" / name
    if not path.exists():
        pytest.skip(f"export/{name} does not exist yet")
    assert not list(foreign_faults(path.read_text(encoding="utf-8"), package_of(path)))


@pytest.mark.parametrize(
    "own, source",
    [
        ("ops", "from tfmaskrcnn.model import MaskRCNN"),
        ("ops", "from tfmaskrcnn import layers"),
        ("ops", "def f():\n    import tfmaskrcnn.layers.fpn"),
        ("ops", "from ..layers import fpn"),
        ("structures", "from tfmaskrcnn.ops.boxes import iou"),
        ("model", "from tfmaskrcnn.checkpoints import reading"),
        ("model", "from tfmaskrcnn import load"),
        ("model", "import tfmaskrcnn"),
        ("data", "from tfmaskrcnn.model import MaskRCNN"),
        ("data", "from tfmaskrcnn.evaluation import coco"),
        ("evaluation", "from tfmaskrcnn.layers.fpn import Fpn"),
        ("evaluation", "from tfmaskrcnn.losses import mask_loss"),
        ("train", "from export import parity"),
    ],
)
def test_a_forbidden_import_is_found(own, source):
    assert list(import_faults(source, own, [PACKAGE, own]))


@pytest.mark.parametrize(
    "own, source",
    [
        ("model", "from tfmaskrcnn.layers.fpn import Fpn\nimport tensorflow as tf"),
        ("evaluation", "from tfmaskrcnn.data.coco import read\nfrom tfmaskrcnn.ops import boxes"),
        ("evaluation", "from tfmaskrcnn.instances import Instances\nfrom . import coco"),
        ("ops", "from .boxes import iou\nfrom ..structures import GroundTruth"),
        ("cli", "import tfmaskrcnn as mr"),
    ],
)
def test_an_allowed_import_passes(own, source):
    assert not list(import_faults(source, own, [PACKAGE, own]))


@pytest.mark.parametrize(
    "source",
    [
        "from tensorflow import keras",
        "import tensorflow.keras as k",
        "from tensorflow.keras import layers",
        "import tensorflow as tf\nx = tf.keras.layers.Dense(3)",
    ],
)
def test_the_wrong_keras_is_found(source):
    assert list(keras_faults(source, [PACKAGE]))
    assert not list(keras_faults("import keras\nx = keras.layers.Dense(3)", [PACKAGE]))


def test_long_files_and_functions_are_found():
    body = "    x = 1\n"
    assert not list(length_faults("def f():\n" + body * (MAX_FUNCTION - 1)))
    assert list(length_faults("class A:\n  def f():\n" + body * MAX_FUNCTION))
    assert not list(length_faults("x = 1\n" * MAX_FILE))
    assert list(length_faults("x = 1\n" * (MAX_FILE + 1)))
