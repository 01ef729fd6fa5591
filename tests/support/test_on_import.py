import importlib
import sys

import pytest

from tfmaskrcnn.support.keras_names import introducing
from tfmaskrcnn.support.on_import import around_import


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Writes a package of that name and text, where Python finds it."""
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(sys.modules, "keras", None)  # so that the real one, or none, comes back
    monkeypatch.delitem(sys.modules, "keras")

    def write(name, text):
        monkeypatch.delitem(sys.modules, name, raising=False)
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(text)
        importlib.invalidate_caches()
        return name

    return write


def test_a_function_is_called_around_the_import_and_not_before(package):
    calls, name = [], package("of_the_test", "value = 3\n")

    def around(load):
        calls.append("before")
        load()
        calls.append(sys.modules[name].value)

    around_import(name, around)
    assert not calls and importlib.util.find_spec(name)
    assert not calls  # looked for and not imported
    module = importlib.import_module(name)
    assert calls == ["before", 3]
    assert module.__spec__.loader.get_data(module.__file__) == b"value = 3\n"


def test_what_is_imported_already_calls_at_once():
    calls = []
    around_import("sys", lambda load: calls.append(load()))
    assert calls == [None]


def test_what_cannot_be_imported_is_left_alone(monkeypatch):
    monkeypatch.setitem(sys.modules, "of_the_test", None)
    around_import("of_the_test", lambda load: pytest.fail("called"))


KERAS = """
class saving:
    known = {"theirs": 1}
    get_custom_objects = classmethod(lambda cls: cls.known)
"""


def test_keras_learns_a_name_and_imports_its_module_when_it_makes_an_object(package):
    source = "class Ours:\n    from_config = staticmethod(lambda config: [config])\n"
    place = package("with_our_class", source)
    around_import("keras", introducing({"package>Ours": f"{place}:Ours"}))
    keras = importlib.import_module(package("keras", KERAS))
    assert set(keras.saving.known) == {"theirs", "package>Ours"} and place not in sys.modules
    assert keras.saving.known["package>Ours"].from_config(7) == [7]


@pytest.mark.parametrize("missing", ["jax", "torch"])
def test_a_backend_that_is_not_there_is_one_sentence(package, missing, monkeypatch):
    monkeypatch.setitem(sys.modules, missing, None)
    around_import("keras", introducing({}))
    package("keras", f"import {missing}")
    with pytest.raises(
        ImportError, match=f"with {missing}, .* set KERAS_BACKEND=tensorflow"
    ) as told:
        importlib.import_module("keras")
    assert told.value.__suppress_context__


def test_another_module_that_keras_lacks_is_pythons_own_error(package):
    around_import("keras", introducing({}))
    package("keras", "import not_there_at_all")
    with pytest.raises(ModuleNotFoundError, match="not_there_at_all"):
        importlib.import_module("keras")
