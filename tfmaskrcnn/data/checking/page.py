"""One HTML page of a check, complete in itself: pictures and charts are inside, no scripts."""

import html
import os
from collections import Counter
from typing import Dict, List, Sequence

import numpy as np

from tfmaskrcnn.data.checking.charts import bars, histogram
from tfmaskrcnn.data.checking.check_result import CheckResult
from tfmaskrcnn.data.checking.notes import Change, image_named
from tfmaskrcnn.data.checking.page_style import STYLE
from tfmaskrcnn.data.checking.pictures import picture
from tfmaskrcnn.data.checking.repair import Repairs
from tfmaskrcnn.data.checking.rules import NOTE, RULES, Finding
from tfmaskrcnn.data.checking.setting_proposals import shown
from tfmaskrcnn.support.files import replaced
from tfmaskrcnn.support.given import A_PATH, takes
from tfmaskrcnn.support.pages import POLICY, encodable

PICTURES = 4  # a rule
OVERVIEW = 6  # whole images
MAX_LINES = 1000  # a rule


@takes(result=CheckResult, path=A_PATH)
def write_page(result: CheckResult, path: str, changes: Sequence[Change] = ()) -> str:
    """Write the page.

    Args:
        result: of `check`.
        path: the new file.
        changes: of `write_repaired`, if that was called.

    Returns:
        The path.
    """
    with replaced(path, "w") as file:
        file.write(page(result, changes))
    return os.fspath(path)


def page(result: CheckResult, changes: Sequence[Change] = ()) -> str:
    """The page as text; everything from the data is escaped."""
    name = html.escape(result.data.json_path)
    kind = "wrong" if result.num_errors else "good"
    album = _Album(result)
    sections = [
        f"<h1>{name}</h1>",
        f'<p class="verdict {kind}">{html.escape(result.verdict())}</p>',
        _numbers(result),
        *_findings(result, album),
        _proposals(result),
        _charts(result),
        _changes(changes),
        _overview(result, album),
    ]
    text = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        f"<title>{name}: data check</title><style>{STYLE}</style></head>\n"
        f"<body>{chr(10).join(sections)}</body></html>\n"
    )
    return encodable(text)


class _Album:
    """Pictures of images and annotations by their ids."""

    def __init__(self, result: CheckResult):
        self._records = {r.image_id: r for r in result.data.records}
        self._input = result.config.model.input
        self._of_image: Dict[int, List[Dict]] = {}
        for entry in result.raw["annotations"]:
            image_id = entry.get("image_id") if isinstance(entry, dict) else None
            if isinstance(image_id, int):
                self._of_image.setdefault(image_id, []).append(entry)

    def figure(self, image_id, annotation_id=None, text: str = "") -> str:
        """An HTML figure; empty if there is no such image, or if it cannot be read."""
        record = self._records.get(image_id)
        if record is None:
            return ""
        own = self._of_image.get(image_id, [])
        source = picture(record, own, annotation_id, self._input.channels, self._input.exif)
        if source is None:
            return ""
        caption = f"<figcaption>{html.escape(text)}</figcaption>"
        return f'<figure><img src="{source}" alt="">{caption}</figure>'


def _numbers(result: CheckResult) -> str:
    records = result.data.records
    counts = [int((~r.crowd).sum()) for r in records] or [0]
    sizes = Counter(f"{r.height} x {r.width}" for r in records)
    often = ", ".join(f"{size} ({n:,})" for size, n in sizes.most_common(5))
    empty = sum(not len(r.classes) for r in records)
    rows = {
        "images": f"{len(records):,}, {empty:,} of them without objects",
        "objects": f"{result.num_objects:,}, an image {min(counts)} to {max(counts)}, median "
        f"{np.median(counts):g}",
        "classes": f"{len(result.data.class_names):,}",
        "image sizes": f"{len(sizes):,}; height x width: {often}",
        "anchors": result.fit(result.iou),
    }
    if result.limit is not None:
        rows["limit"] = f"only the first {result.limit} images were checked"
    lines = (f"<tr><th>{k}</th><td>{html.escape(v)}</td></tr>" for k, v in rows.items())
    return f"<table class=numbers>{''.join(lines)}</table>"


def _findings(result: CheckResult, album: _Album) -> List[str]:
    sections = ["<h2>Findings</h2>"]
    for rule, found in result.by_rule.items():
        level, title, advice = RULES[rule]
        shut = "" if level == NOTE else " open"
        sections.append(
            f'<details class="{level}"{shut}><summary><b>{level}</b> {html.escape(title)} '
            f"<span>{len(found):,}</span></summary>"
            f"<p>{html.escape(advice)}</p>{_figures(found, album)}{_lines(found)}</details>"
        )
    return sections if result.findings else [*sections, "<p>Nothing.</p>"]


def _figures(found: List[Finding], album: _Album) -> str:
    figures: List[str] = []
    for finding in _spread(found, 3 * PICTURES):  # some images may be unreadable
        if len(figures) < PICTURES and finding.image_id is not None:
            figure = album.figure(finding.image_id, finding.annotation_id, finding.message)
            figures += [figure] if figure else []
    return f"<div class=figures>{''.join(figures)}</div>" if figures else ""


def _spread(found: List[Finding], count: int) -> List[Finding]:
    """Some of the findings, from different images where that can be."""
    firsts = list({f.image_id: f for f in reversed(found)}.values())[::-1]
    chosen = firsts[:count]
    return chosen + [f for f in found[:count] if f not in chosen][: count - len(chosen)]


def _lines(found: List[Finding]) -> str:
    lines = "".join(f"<li>{html.escape(f.message)}</li>" for f in found[:MAX_LINES])
    if len(found) > MAX_LINES:
        lines += f"<li>and {len(found) - MAX_LINES:,} more; --list prints all.</li>"
    return f"<details class=all><summary>all {len(found):,}</summary><ol>{lines}</ol></details>"


def _proposals(result: CheckResult) -> str:
    if not result.proposals:
        return "<h2>Proposals</h2><p>None: the configuration suits these objects.</p>"
    rows = "".join(
        f"<tr><td><code>{html.escape(p.setting())}</code></td>"
        f"<td><code>{shown(p.before)}</code></td><td>{html.escape(p.reason)}</td></tr>"
        for p in result.proposals
    )
    return (
        "<h2>Proposals</h2><table><tr><th>setting</th><th>now</th><th>why</th></tr>"
        f"{rows}</table><p>With them {html.escape(result.fit(result.proposed_iou))}; "
        f"now {html.escape(result.fit(result.iou))}.</p>"
        f"<pre>{html.escape(result.settings())}</pre><pre>{html.escape(result.yaml())}</pre>"
    )


def _charts(result: CheckResult) -> str:
    records, names = result.data.records, result.data.class_names
    anchors = [s for level in result.config.model.anchors.sizes for s in level]
    proposed = [s for level in result.proposed.model.anchors.sizes for s in level]
    counts = [(~r.crowd).sum() for r in records]
    classes = sorted(result.class_counts.items(), key=lambda pair: -pair[1])
    changed = proposed != anchors or result.proposed.model.input != result.config.model.input
    sections = [
        "<h2>Distributions</h2><h3>Objects in the network's input: square root of the box's area, "
        "pixels; dark lines are anchors</h3>" + histogram(result.at_input.scales, anchors)
    ]
    if changed:
        sections.append(
            "<h3>The same as proposed</h3>" + histogram(result.proposed_scales, proposed)
        )
    sides = result.at_input.sides
    sections += [
        "<h3>Height / width of objects; dark lines are anchors.ratios</h3>"
        + histogram(
            sides[:, 0] / np.maximum(sides[:, 1], 1e-9), result.config.model.anchors.ratios
        ),
        "<h3>Objects an image</h3>" + histogram(counts),
        "<h3>Objects of each class</h3>" + bars([(names[k - 1], n) for k, n in classes]),
    ]
    return "".join(sections)


def _changes(changes: Sequence[Change]) -> str:
    summary = f"<p>{changes.summary()}</p>" if isinstance(changes, Repairs) else ""
    if not changes:
        return f"<h2>Changes by --fix</h2>{summary}" if summary else ""
    kinds = "".join(
        f"<tr><td>{html.escape(kind)}</td><td class=number>{n:,}</td></tr>"
        for kind, n in Counter(c.kind for c in changes).most_common()
    )
    lines = "".join(f"<li>{html.escape(c.message)}</li>" for c in changes)
    return (
        f"<h2>Changes by --fix</h2>{summary}<table>{kinds}</table>"
        f"<details class=all><summary>all {len(changes):,}</summary><ol>{lines}</ol></details>"
    )


def _overview(result: CheckResult, album: _Album) -> str:
    records = result.data.records
    if not records:
        return ""
    index = np.unique(np.linspace(0, len(records) - 1, OVERVIEW).astype(int))
    figures = "".join(
        album.figure(
            records[i].image_id,
            None,
            image_named(records[i]),
        )
        for i in index
    )
    return f"<h2>Some images with all their boxes</h2><div class=figures>{figures}</div>"
