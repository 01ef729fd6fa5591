"""`evaluation/reporting/html_page.py`: complete in itself, safe, and it works in a browser."""

import base64
import dataclasses
import functools
from html.parser import HTMLParser
from pathlib import Path

import pytest

from helpers.drawn_report import changed, report_of
from helpers.drawn_sets import drawn, random_set
from tfmaskrcnn.evaluation.analysis.bootstrap import NO_INTERVAL, Interval
from tfmaskrcnn.evaluation.analysis.comparison import Comparison, ImageChange
from tfmaskrcnn.evaluation.reporting.html_page import page, write_page
from tfmaskrcnn.evaluation.reporting.report import Against
from tfmaskrcnn.support.pages import POLICY

EVIL = "<script>alert(1)</script>\"'&<img src=x onerror=alert(2)>$\\frac{"
LONG = "a_name_without_a_place_to_break_" * 9
LOADING = ("src", "href", "xlink:href", "srcset", "action", "data", "poster")


class Elements(HTMLParser):
    """Tags, attributes, ids and texts of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.text = [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes

    def handle_data(self, data):
        self.text += data

    def values(self, *names):
        return [value for name, value in self.attributes if name in names]


def hostile(folder=None):
    """Three classes, four images; names and paths are wild."""
    examined = random_set(3, num_images=4)
    images = [dataclasses.replace(examined.images[0], file_name=EVIL), *examined.images[1:]]
    images[1] = dataclasses.replace(images[1], file_name=LONG + "\ud800.png")
    names = (EVIL, "\ud800[red]", LONG)
    examined = dataclasses.replace(examined, images=images, class_names=names)
    return report_of(examined, folder, source=EVIL, data=LONG, cautions=[EVIL])


def boxes_alone(folder=None):
    examined = random_set(1, num_images=3, num_classes=1)
    return report_of(dataclasses.replace(examined, has_masks=False), folder)


def many_classes(folder=None):
    """And a second model, which was shown the same images."""
    examined = random_set(2, num_images=6, num_classes=30)
    per_class = {"class 1": Interval(-0.1, -0.2, 0.1), "class 2": NO_INTERVAL}
    changes = [ImageChange(i, 0.9, 0.1 * i) for i in range(6)]
    better = Interval(0.2, 0.1, 0.3)
    comparison = Comparison("mask", 0.6, 0.4, better, per_class, "yes", 0, changes)
    other = report_of(examined, folder, source="runs/<other>")
    return report_of(examined, folder, against=Against(other, comparison))


def nothing_found(folder=None):
    box = (10, 10, 40, 40)
    return report_of(drawn([([(1, box)], []), ([(2, box), (1, box, True)], [])]), folder)


def nothing_annotated(folder=None):
    return report_of(drawn([([], [(1, (10, 10, 40, 40), 0.9)])]), folder)


def no_images(folder=None):
    return report_of(drawn([]), folder)


REPORTS = (hostile, boxes_alone, many_classes, nothing_found, nothing_annotated, no_images)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Writes the page of each kind of report once, and gives its path."""

    @functools.cache
    def write(make):
        folder = tmp_path_factory.mktemp(make.__name__)
        return Path(write_page(make(folder), str(folder / "page.html")))

    return write


@pytest.mark.parametrize("make", REPORTS)
def test_the_page_loads_nothing_and_runs_nothing(written, make):
    text = written(make).read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>")
    elements = Elements(text)
    assert not {"script", "link", "iframe", "object", "embed", "foreignobject"} & set(elements.tags)
    assert not [name for name, _ in elements.attributes if name.startswith("on")]
    sources = elements.values(*LOADING)
    assert all(s.startswith(("data:image/jpeg;base64,", "#")) for s in sources)
    assert "http:" not in text and "https:" not in text and POLICY in elements.values("content")
    ids = elements.values("id")
    assert len(ids) == len(set(ids))
    assert {s[1:] for s in sources if s.startswith("#")} <= set(ids)
    levels = [int(tag[1]) for tag in elements.tags if tag in ("h1", "h2", "h3")]
    assert levels[0] == 1 and all(b - a <= 1 for a, b in zip(levels, levels[1:]))


def test_hostile_names_are_shown_as_they_are(written):
    elements = Elements(written(hostile).read_text(encoding="utf-8"))
    assert elements.text.count(EVIL) >= 4 and "?[red]" in elements.text
    assert elements.tags.count("img") == len(elements.values("src"))


def test_the_same_report_gives_the_same_page(written, tmp_path):
    calls = []
    again = page(boxes_alone(tmp_path), lambda *counts: calls.append(counts))
    assert written(boxes_alone).read_text(encoding="utf-8") == again
    assert calls[-1][0] == calls[-1][1] > 0


def test_images_that_cannot_be_read_are_left_out_with_a_word(written, tmp_path):
    whole = written(boxes_alone).read_text(encoding="utf-8")
    assert "could not be read" not in whole
    report = boxes_alone(tmp_path)
    worst = whole.split('<section id="worst">')[1].split('href="#image-')[1].split('"')[0]
    image = report.examined.images[int(worst)]
    (tmp_path / f"{image.image_id}.png").write_text("no image")
    text = page(report)
    assert "1 image could not be read and is not shown: " + image.file_name in text
    assert f'id="image-{worst}"' not in text and "<img" in text


def test_what_does_not_exist_has_no_section(written):
    text = written(boxes_alone).read_text(encoding="utf-8")
    assert "Panoptic" not in text and 'id="outlines"' not in text and "wrong class" not in text
    text = written(hostile).read_text(encoding="utf-8")
    assert 'id="panoptic"' in text and 'id="outlines"' in text and "wrong class" in text
    assert 'id="against"' not in text and 'id="pairs"' not in text


def test_two_models_are_shown_side_by_side(written):
    elements = Elements(written(many_classes).read_text(encoding="utf-8"))
    pairs = [name for name in elements.values("id") if name.startswith("pair-")]
    assert len(pairs) == 3 and {f"#{name}" for name in pairs} <= set(elements.values("href"))
    assert "Is runs/drawn better than runs/<other>? Yes: the difference" in elements.text


def test_keypoints_are_in_the_summary_and_without_files_there_are_no_pictures():
    report = boxes_alone()
    changed(report, result=dataclasses.replace(report.result, keypoints={"AP": 0.4321}))
    text = page(report)
    assert "keypoint AP" in text and "0.432" in text
    assert "<img" not in text and "could not be read" in text


def _fits(browser, width):
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    return browser.execute_script("return document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("make", REPORTS[:3])
def test_a_browser_shows_all_of_the_page(browser, written, make):
    browser.get(written(make).as_uri())
    shown = "return [...document.images].map(i => i.complete && i.naturalWidth > 0)"
    shown = browser.execute_script(shown)
    assert len(shown) > 5 and all(shown)
    dead = """return [...document.querySelectorAll('a, use')].map(e => e.getAttribute('href') ||
      e.getAttribute('xlink:href')).filter(h => !document.getElementById(h.slice(1)))"""
    assert browser.execute_script(dead) == []
    assert _fits(browser, 1400) and _fits(browser, 380)
    assert browser.get_log("browser") == []
    printed = browser.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})["data"]
    assert base64.b64decode(printed).startswith(b"%PDF") and len(printed) > 50_000


def test_kinds_of_lines_can_be_hidden(browser, written):
    browser.get(written(boxes_alone).as_uri())
    count = """return [...document.querySelectorAll('.picture .missed')].filter(
      e => getComputedStyle(e).display != 'none').length"""
    before = browser.execute_script(count)
    browser.execute_script("document.getElementById('show-missed').click()")
    assert before > 0 and browser.execute_script(count) == 0
