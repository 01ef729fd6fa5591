"""`data.classes`: what a person may write, and how it travels."""

import pytest

import tfmaskrcnn as mr
from tfmaskrcnn.config.class_sources import class_sources
from tfmaskrcnn.config.yaml_files import override, save_config


@pytest.mark.parametrize(
    "written, read",
    [
        ("person", {"person": ("person",)}),
        (["truck", "car"], {"truck": ("truck",), "car": ("car",)}),
        (
            {"vehicle": ["car", "truck"], "person": "person"},
            {"vehicle": ("car", "truck"), "person": ("person",)},
        ),
        ({"car": ["truck"], "truck": ["car"]}, {"car": ("truck",), "truck": ("car",)}),
    ],
)
def test_names_and_new_names_with_old_ones(written, read):
    found = class_sources(written)
    assert found == read and list(found) == list(read)
    assert class_sources(found) == found


@pytest.mark.parametrize(
    "written, message",
    [
        ("[]", "names no class; leave data.classes out to take all"),
        ("[car, 7]", "7 is no name; put names that YAML takes for something else in quotes"),
        ("[car, no]", "False is no name"),
        ("[car, car]", "'car' is a class twice"),
        ("{a: [car], b: [car, bus]}", "'car' would be in two classes"),
        ("{a: []}", "'a' wants a list of the categories that it is made of"),
        ("{a: {b: c}}", "'a' wants a list of the categories"),
        ("{a: null}", "'a' wants a list"),
        ("{1: [car]}", "1 is no name"),
        ("3", "wanted a list of names, or new names with a list of old ones each"),
        ("['']", "'' is no name, found"),
    ],
)
def test_what_names_no_classes_is_a_sentence(written, message):
    with pytest.raises(mr.InputError) as error:
        mr.load_config(None, [f"data.classes={written}"])
    assert f"data.classes: {message}" in str(error.value)


def test_a_later_choice_takes_the_place_of_the_former(tmp_path):
    (tmp_path / "a.yaml").write_text("data: {classes: {vehicle: [car, truck], person: person}}\n")
    (tmp_path / "b.yaml").write_text("base: a.yaml\ndata: {classes: {animal: [cat, dog]}}\n")
    config = mr.load_config(str(tmp_path / "b.yaml"))
    assert config.data.classes == {"animal": ("cat", "dog")}
    assert override(config, ["data.classes=cat"]).data.classes == {"cat": ("cat",)}
    assert override(config, ["data.classes=null"]).data.classes is None
    with pytest.raises(mr.InputError, match="give data.classes as a whole, 'data.classes={...}'"):
        override(config, ["data.classes.person=[man]"])


def test_the_order_of_classes_survives_a_run_folder(tmp_path):
    config = mr.load_config(None, ["data.classes={z: [b, a], m: c}"])
    save_config(config, str(tmp_path / "config.json"))
    assert list(mr.load_config(str(tmp_path)).data.classes.items()) == [
        ("z", ("b", "a")),
        ("m", ("c",)),
    ]
