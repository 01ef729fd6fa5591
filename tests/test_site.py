"""`make docs`: what is public has an entry, and what is not there fails the build."""

import importlib
import sys
import types

import pytest

import tfmaskrcnn as mr
from helpers.one_stack import on_stack_a
from helpers.paths import ROOT
from tfmaskrcnn.config.model import InputConfig
from tfmaskrcnn.ops.structures import GroundTruth

# MyST's own calls of what Sphinx is going to remove.
pytestmark = pytest.mark.filterwarnings("ignore:'myst_parser")


@pytest.fixture(scope="module")
def site():
    """The modules of `docs/site`, by name."""
    pytest.importorskip("sphinx")
    sys.path.insert(0, str(ROOT / "docs" / "site"))
    names = ("build", "api_pages", "docstrings", "links")
    yield types.SimpleNamespace(**{name: importlib.import_module(name) for name in names})
    sys.path.remove(str(ROOT / "docs" / "site"))


def test_every_public_name_has_one_entry(site):
    pages = site.api_pages.public_modules()
    assert {n.path.rpartition(".")[2] for n in pages["tfmaskrcnn"]} == {*mr.__all__} - {
        "__version__"
    }
    names = {name.path: name for page in pages.values() for name in page}
    for path in ("data.from_coco", "weights.save_weights", "serving.client.RestClient"):
        assert names[f"tfmaskrcnn.{path}"].home == f"tfmaskrcnn.{path}"
    # What two modules show is described where the path is shorter.
    assert names["tfmaskrcnn.inference.load"].home == "tfmaskrcnn.load"
    assert all(name.home in names for name in names.values())


def test_the_settings_are_all_there(site):
    found = [section.__name__ for section in site.api_pages.sections()]
    assert found[0] == "Config" and {"InputConfig", "AugmentConfig", "RpnConfig"} < set(found)
    assert len(found) == len(set(found))


def test_fields_are_shown_with_their_comments(site):
    shown = site.docstrings.fields_source(InputConfig)
    assert shown.startswith("min_side: Side = 800  # the short side") and "static_size" not in shown
    assert "# [B, G] bool" in site.docstrings.fields_source(GroundTruth)
    assert site.docstrings.fields_source(mr.MaskRCNN) == ""


@pytest.mark.parametrize(
    "text, wanted",
    [
        ("a * b and `c * d`", r"a \* b and `c * d`"),
        ("    *args: all", "    *args: all"),
        ('"train-*.x" | val_', r'"train-\*.x" \| val\_'),
        ("`val_` gt_boxes", "`val_` gt_boxes"),
    ],
)
def test_a_docstring_has_no_markup_but_code(site, text, wanted):
    assert site.docstrings.escaped(text) == wanted


def build(site, folder, text):
    source = folder / "source"
    source.mkdir()
    (source / "index.md").write_text(f"# Title\n\n{text}\n", "utf-8")
    return site.build.build(source, folder / "site")


@on_stack_a
def test_a_page_of_what_is_there_is_built(site, tmp_path, capsys):
    text = "`mr.data.from_coco(...)`, `tfmaskrcnn.ops.boxes`, `mr.load`, [above](#title)"
    assert build(site, tmp_path, text) == 0, capsys.readouterr().err
    assert (tmp_path / "site" / "index.html").exists()


@on_stack_a
def test_what_is_not_there_fails_the_build(site, tmp_path, capsys):
    text = "`mr.data.nothing`, [page](nothing.md), [place](#nowhere), ![picture](nothing.png)"
    assert build(site, tmp_path, text) == 1
    told = capsys.readouterr().err
    for wrong in ("there is no mr.data.nothing", "nothing.md", "nowhere", "nothing.png"):
        assert wrong in told


def test_a_short_name_is_linked_where_one_thing_is_meant(site):
    def entry(kind, aliased=False):
        return types.SimpleNamespace(objtype=kind, aliased=aliased)

    kinds = {"p.data.check": "function", "p.A": "class", "p.A.names": "property", "p.B": "class"}
    entries = {path: entry(kind) for path, kind in kinds.items()}
    entries.update({"p.b.B": entry("class", aliased=True), "p.other.check": entry("function")})
    found = site.links._by_end(entries)
    assert found["A"] == found["p.A"] == "p.A" and found["B"] == "p.B"
    assert found["A.names"] == "p.A.names" and "names" not in found  # a field may be called so
    assert found["check"] is None and found["data.check"] == "p.data.check"
