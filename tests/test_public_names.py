"""`import tfmaskrcnn as mr`: every name is there, and editors and type checkers see the same."""

import ast
import importlib
import inspect
import subprocess
import sys

import pytest

import tfmaskrcnn as mr
from helpers.paths import ROOT

LAZY = [
    "tfmaskrcnn",
    "tfmaskrcnn.checkpoints",
    "tfmaskrcnn.data",
    "tfmaskrcnn.inference",
    "tfmaskrcnn.serving",
    "tfmaskrcnn.drawing",
]


def names_for_type_checkers(package):
    """Name -> where it comes from, of the imports below `if TYPE_CHECKING`."""
    source = (ROOT / package.replace(".", "/") / "__init__.py").read_text("utf-8")
    (block,) = [node for node in ast.parse(source).body if isinstance(node, ast.If)]
    return {
        alias.asname or alias.name: f"{node.module}.{alias.name}"
        for node in block.body
        for alias in node.names
    }


@pytest.mark.parametrize("package", LAZY)
def test_every_public_name_is_there_and_is_what_type_checkers_see(package):
    told, module = names_for_type_checkers(package), importlib.import_module(package)
    assert set(told) | ({"__version__"} & set(module.__all__)) == set(module.__all__)
    assert set(dir(module)) == set(module.__all__)
    for name, place in told.items():
        parent, _, own = place.rpartition(".")
        expected = getattr(importlib.import_module(parent), own)
        assert getattr(module, name) is expected, name


def test_what_the_pages_name_is_there_after_one_import():
    code = (
        "import tfmaskrcnn as mr\n"
        "mr.data.from_coco, mr.data.importers.from_matterport, mr.data.read_image, mr.data.check\n"
        "mr.visualize.draw, mr.weights.save_weights, mr.checkpoints.load_backbone\n"
        "mr.train.train, mr.train.make_optimizer, mr.train.Run, mr.train.Speed\n"
        "mr.evaluation.CocoCallback, mr.evaluation.evaluate, mr.inference.opening.open_source\n"
        "mr.inference.open_source, mr.serving.client.RestClient, mr.drawing.batch.draw_batch\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert inspect.isclass(mr.evaluation.CocoCallback)


def test_a_name_that_is_not_there_is_an_attribute_error():
    for module in (mr, mr.inference, mr.evaluation):
        assert not hasattr(module, "nothing")


def test_importing_the_package_imports_no_tensorflow():
    code = (
        "import sys, tfmaskrcnn as mr; mr.inference, mr.serving, mr.drawing\n"
        "print({'tensorflow', 'keras', 'numpy'} & set(sys.modules))\n"
        "mr.data.load_coco, mr.data.read_image\n"
        "print({'tensorflow', 'keras'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "set()\nset()\n", done.stderr
