"""`data/checking/page.py`: complete in itself, safe, and with the pictures."""

import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from helpers.spoilt import ANNOTATIONS
from tfmaskrcnn.data.checking import write_page, write_repaired
from tfmaskrcnn.data.checking.charts import bars, histogram
from tfmaskrcnn.data.checking.page import page
from tfmaskrcnn.data.checking.pictures import picture

EVIL = "<script>alert(1)</script>\"'&<img src=x onerror=alert(2)>"
VOID = {"meta", "img", "rect", "line"}


class Elements(HTMLParser):
    """Tags in order, attributes, and whether all are closed in order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.attributes = [], [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag


@pytest.fixture
def spoilt(draft):
    for rule in ANNOTATIONS:
        draft.object(1, **ANNOTATIONS[rule][0])
    draft.object(2, bbox="nonsense", segmentation=[["a", 1, 2, 3, 4, 5], 7, {}])
    draft.object(2, bbox=[1e300, -1e300, 1e300, 5], segmentation=[[1e9, 0, 5, 1e9, -1e9, 3]])
    return draft


def test_the_page_shows_findings_with_pictures_and_loads_nothing(spoilt, tmp_path):
    result = spoilt.check()
    write_page(result, str(tmp_path / "page.html"))
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    elements = Elements(text)
    for found in result.findings:
        assert str(found.annotation_id) in text
    sources = [value for name, value in elements.attributes if name in ("src", "href")]
    assert len(sources) > 15 and all(s.startswith("data:image/jpeg;base64,") for s in sources)
    assert not {"script", "link", "iframe"} & set(elements.tags)
    assert "default-src 'none'" in text and "http://" not in text and "https://" not in text
    assert "things are wrong" in text and elements.tags.count("svg") >= 3


def test_hostile_names_stay_text(draft):
    draft.coco["categories"][0]["name"] = EVIL
    draft.coco["categories"].append({"id": 8, "name": EVIL})
    draft.image(pixels=False, name="<b>&.png")
    draft.coco["annotations"][0]["iscrowd"] = EVIL
    draft.coco["categories"].append({"id": 9, "name": "\x1b[red]"})
    result = draft.check("model.num_classes=3")
    text = page(result)
    assert "[red]" in text and text.encode("utf-8")
    elements = Elements(text)
    assert "script" not in elements.tags and "<b>&.png" not in text
    assert "onerror" not in dict(elements.attributes) and "<script" not in text
    assert "&lt;script&gt;" in text
    assert "?[red]" in result.table()  # square brackets are no markup either


def test_changes_are_on_the_page(spoilt, tmp_path):
    result = spoilt.check()
    changes = write_repaired(result, str(tmp_path / "fixed.json"))
    text = page(result, changes)
    assert len(changes) > 5 and "Changes by --fix" in text
    assert "Changes by --fix" not in page(result)


def test_a_picture_shows_the_object_at_its_place(draft):
    draft.image(pixels=np.zeros((96, 128, 3), np.uint8))
    entry = draft.object(3, (40, 40, 16, 10))
    record = draft.check().data.records[2]
    uri = picture(record, [entry], entry["id"])
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))), int)
    # The window is 48 pixels square around the object's centre (48, 45), enlarged five times.
    assert shown.shape[:2] == (240, 240)
    bright = np.argwhere(shown.max(axis=-1) > 100)
    (y1, x1), (y2, x2) = bright.min(axis=0), bright.max(axis=0)
    np.testing.assert_allclose([y1, x1, y2, x2], [95, 80, 145, 160], atol=3)


def test_an_image_that_cannot_be_read_has_no_picture(draft):
    (draft.folder / "1.png").write_text("no image")
    assert picture(draft.check().data.records[0], []) is None


def test_charts_of_nothing_and_of_one_value():
    assert "no values" in histogram([]) and "no values" in histogram([0.0])
    assert "<rect" in histogram([5.0]) and "<rect" in histogram([3, 4], marks=[1000])
    heights = [float(h) for h in re.findall(r'height="([\d.]+)"', histogram([1] * 9 + [100] * 3))]
    assert heights[0] == pytest.approx(3 * heights[-1], rel=0.01)
    assert "and 3 more" in bars([("a", 1)] * 5, limit=2)


def test_a_set_without_one_good_image_has_a_page(empty_draft):
    empty_draft.image(pixels=False, size=("tall", 128))
    empty_draft.object()
    result = empty_draft.check()
    assert result.num_errors and not result.data.records
    text = page(result)
    assert "wanted an integer" in text and Elements(text).tags
