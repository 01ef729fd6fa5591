"""The rules of layout that a reader relies on: who imports whom, and how long things are."""

import ast
import re
import sys
from pathlib import Path

import pytest

from helpers.paths import ROOT

PACKAGE = "tfmaskrcnn"
SOURCES = sorted([*(ROOT / PACKAGE).rglob("*.py"), *(ROOT / "export").rglob("*.py")])

# Imports go down this list only: the package's folders and root files, then the folder beside it.
RANKS = (
    *("errors", "compat", "support", "config", "ops", "instances", "model", "checkpoints"),
    *("data", "drawing", "results", "inference", "evaluation"),
    *("train", "export", "serving", "cli", "__main__"),
)
# These take any model, so they must not know how ours is made.
APART_FROM_THE_MODEL = ("data", "drawing", "results", "evaluation")
# Rooms within a folder, in the order in which they may import each other.
ROOMS = {"data": ("coco", "augment", "batches", "importers", "tfrecord", "checking", "splitting")}
MAX_ROOT_FILES = 6
# These are copied to the machine that measures, alone.
STANDALONE = sorted(path.name for path in (ROOT / "export").glob("*.py"))
SERVER_S = "triton_python_backend_utils"  # which Triton gives to the models in Python
MAX_FILE, MAX_FUNCTION = 300, 60


def module_of(path):
    """`tfmaskrcnn/ops/boxes.py` -> "tfmaskrcnn.ops.boxes", of a folder's `__init__` the folder."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).replace(".__init__", "")


def package_of(path):
    """The package a file lies in: `tfmaskrcnn/ops/boxes.py` -> ["tfmaskrcnn", "ops"]."""
    return list(path.relative_to(ROOT).parts[:-1])


def part_of(module):
    """What the ranks call a module: "ops", "model"; "" for `tfmaskrcnn` itself."""
    return ".".join(module.split(".")[1:2])


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


def import_faults(source, module):
    """Imports of the file `module` ("tfmaskrcnn.ops.boxes") that the ranks forbid, as sentences."""
    own, package = part_of(module), module.split(".")[:-1]
    for name in imported_names(ast.parse(source), package):
        part = part_of(name)
        if name.split(".")[0] != PACKAGE or part == own:
            yield from _room_faults(name, module)
        elif part not in RANKS:
            # The command line alone may use the package as its users do.
            if RANKS.index(own) < RANKS.index("cli"):
                yield f"{own} imports {name}, which has no rank"
        elif RANKS.index(part) > RANKS.index(own):
            yield f"{own} imports {name}, which stands below it"
        elif part in ("model", "checkpoints") and own in APART_FROM_THE_MODEL:
            yield f"{own} must know nothing of the model"


def _room_faults(name, module):
    """Imports between the rooms of one folder, from a later one."""
    rooms = ROOMS.get(part_of(module), ())
    own, other = (dotted.split(".")[2:3] for dotted in (module, name))
    known = name.startswith(PACKAGE) and own and other and {*own, *other} <= set(rooms)
    if known and rooms.index(other[0]) > rooms.index(own[0]):
        yield f"{own[0]} imports {name}, which stands below it"


def importers_of(modules):
    """module -> the modules of the package that it imports, of {module: path}."""
    graph = {}
    for module, path in modules.items():
        names = imported_names(ast.parse(path.read_text(encoding="utf-8")), package_of(path))
        # "tfmaskrcnn.ops.boxes.iou" is of the module "tfmaskrcnn.ops.boxes".
        found = {name if name in modules else name.rpartition(".")[0] for name in names}
        graph[module] = {name for name in found if name in modules} - {module}
    return graph


def circles(graph):
    """Each module that imports itself by way of others, with those that it can reach."""
    for start in graph:
        reached, open_ends = set(), [start]
        while open_ends:
            for name in graph[open_ends.pop()] - reached:
                reached.add(name)
                open_ends.append(name)
        if start in reached:
            yield start, sorted(name for name in reached if start in graph[name])


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
        given = {"tensorflow", "numpy", SERVER_S, *sys.stdlib_module_names, *beside}
        if name.split(".")[0] not in given:
            yield f"imports {name}"


@pytest.fixture(params=SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def path(request):
    return request.param


def test_imports_only_go_down(path):
    module = module_of(path)
    if not part_of(module) or path.parent == ROOT / "export":
        return  # it re-exports; the scripts' imports have a test of their own
    assert part_of(module) in RANKS, f"give {part_of(module)!r} a rank in this test"
    assert not list(import_faults(path.read_text(encoding="utf-8"), module))


def test_no_two_files_import_each_other():
    modules = {module_of(path): path for path in (ROOT / PACKAGE).rglob("*.py")}
    modules.pop(PACKAGE)  # its names are loaded on use
    assert not list(circles(importers_of(modules)))
    scripts = {path.stem: path for path in (ROOT / "export").glob("*.py")}
    assert not list(circles(importers_of(scripts)))


def test_a_circle_is_found():
    assert list(circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}))
    assert not list(circles({"a": {"b", "c"}, "b": {"c"}, "c": set()}))


def test_no_two_modules_have_one_name():
    # A command's file has the command's name, whatever else is called so.
    paths = (ROOT / PACKAGE).rglob("*.py")
    stems = [path.stem for path in paths if path.parent.name != "cli"]
    twice = {stem for stem in stems if stems.count(stem) > 1} - {"__init__"}
    assert not twice


def test_the_root_of_the_package_is_nearly_empty():
    assert len(list((ROOT / PACKAGE).glob("*.py"))) <= MAX_ROOT_FILES
    folders = [path for path in (ROOT / PACKAGE).rglob("*") if list(path.glob("*.py"))]
    for folder in folders:
        text = (folder / "__init__.py").read_text(encoding="utf-8")
        assert ast.get_docstring(ast.parse(text)), f"{folder}: what lives here?"


def test_contributing_prints_the_ranks():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    text = text.split("## Where things are")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (`[^|]*) \|", text, re.MULTILINE)
    printed = [name for row in rows for name in re.findall(r"`([\w.]+?)(?:/|\.py)?`", row)]
    assert printed == [*RANKS, "export"]


def test_files_and_functions_are_short(path):
    assert not list(length_faults(path.read_text(encoding="utf-8")))


def test_keras_is_imported_as_keras(path):
    if module_of(path) == f"{PACKAGE}.compat":
        return  # it compares the two
    assert not list(keras_faults(path.read_text(encoding="utf-8"), package_of(path)))


@pytest.mark.skipif(sys.version_info < (3, 10), reason="no list of the standard library")
@pytest.mark.parametrize("name", STANDALONE)
def test_deployment_scripts_need_only_tensorflow(name):
    path = ROOT / "export" / name
    assert not list(foreign_faults(path.read_text(encoding="utf-8"), package_of(path)))


@pytest.mark.parametrize(
    "module, source",
    [
        ("ops.boxes", "from tfmaskrcnn.model.mask_rcnn import MaskRCNN"),
        ("ops.boxes", "from tfmaskrcnn import model"),
        ("ops.boxes", "def f():\n    import tfmaskrcnn.model.layers.fpn"),
        ("ops.boxes", "from ..model.layers import fpn"),
        ("config.run", "from tfmaskrcnn.ops.boxes import iou"),
        ("model.fit", "from tfmaskrcnn.checkpoints import torch_reader"),
        ("model.fit", "from tfmaskrcnn import load"),
        ("model.fit", "import tfmaskrcnn"),
        ("data.shapes", "from tfmaskrcnn.model.mask_rcnn import MaskRCNN"),
        ("data.shapes", "from tfmaskrcnn.evaluation import kaggle"),
        ("data.coco.records", "from tfmaskrcnn.data.batches.pipeline import from_coco"),
        ("data.coco.records", "from ..batches import pipeline"),
        ("evaluation.oks", "from tfmaskrcnn.model.layers.fpn import Fpn"),
        ("evaluation.oks", "from tfmaskrcnn.model.losses import mask_loss"),
        ("evaluation.oks", "from tfmaskrcnn.checkpoints.named_runs import run_of"),
        ("train.loop", "from tfmaskrcnn.export import parity"),
    ],
)
def test_a_forbidden_import_is_found(module, source):
    assert list(import_faults(source, f"{PACKAGE}.{module}"))


@pytest.mark.parametrize(
    "module, source",
    [
        ("model.fit", "from tfmaskrcnn.model.layers.fpn import Fpn\nimport tensorflow as tf"),
        ("evaluation.oks", "from tfmaskrcnn.data.coco import file\nfrom ..ops import boxes"),
        ("evaluation.oks", "from tfmaskrcnn.instances import Instances\nfrom . import kaggle"),
        ("data.batches.pipeline", "from tfmaskrcnn.data.coco.records import Record"),
        ("ops.nms", "from .boxes import iou\nfrom .structures import GroundTruth"),
        ("cli.train", "import tfmaskrcnn as mr"),
    ],
)
def test_an_allowed_import_passes(module, source):
    assert not list(import_faults(source, f"{PACKAGE}.{module}"))


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
