"""`import tfmaskrcnn as mr`: every name is there, and editors and type checkers see the same."""

import ast
import inspect
import subprocess
import sys

import tfmaskrcnn as mr
from helpers.paths import ROOT

SOURCE = (ROOT / "tfmaskrcnn/__init__.py").read_text("utf-8")


def names_for_type_checkers():
    """Name -> where it comes from, of the imports below `if TYPE_CHECKING`."""
    (block,) = [node for node in ast.parse(SOURCE).body if isinstance(node, ast.If)]
    return {
        alias.asname or alias.name: f"{node.module}.{alias.name}"
        for node in block.body
        for alias in node.names
    }


def test_every_public_name_is_there_and_is_what_type_checkers_see():
    told = names_for_type_checkers()
    assert set(told) | {"__version__"} == set(mr.__all__) == set(dir(mr))
    for name, place in told.items():
        value = getattr(mr, name)
        module, _, own = place.rpartition(".")
        expected = getattr(__import__(module, fromlist=[own]), own)
        assert value is expected, name


def test_what_the_pages_name_is_there():
    for name in ("from_coco", "importers", "read_image", "load_coco", "from_records", "check"):
        assert hasattr(mr.data, name)
    assert callable(mr.data.importers.from_matterport) and callable(mr.visualize.draw)
    assert callable(mr.weights.save_weights) and callable(mr.checkpoints.load_backbone)
    for name in ("train", "make_optimizer", "Run", "Speed"):
        assert hasattr(mr.train, name)
    assert inspect.isclass(mr.evaluation.CocoCallback) and callable(mr.evaluation.evaluate)


def test_a_name_that_is_not_there_is_an_attribute_error():
    assert not hasattr(mr, "nothing")


def test_importing_the_package_imports_no_tensorflow():
    code = "import sys, tfmaskrcnn; print({'tensorflow', 'keras', 'numpy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "set()\n"
