"""What a check of a data set found, and how it is shown on a terminal."""

import collections
import dataclasses
import shlex
from typing import Any, Dict, Iterator, List, Optional

import numpy as np

from tfmaskrcnn.config.run import Config
from tfmaskrcnn.data.checking.coverage import Resized
from tfmaskrcnn.data.checking.rules import RULES, WRONG, Finding
from tfmaskrcnn.data.checking.setting_proposals import Proposal, shown
from tfmaskrcnn.data.coco.image_files import ImageFacts
from tfmaskrcnn.data.coco.records import CocoData
from tfmaskrcnn.support.tables import as_text, new_table

_COLORS = {"wrong": "red", "odd": "yellow", "note": "dim"}
MAX_CLASSES = 20  # rows of the table of classes


@dataclasses.dataclass(frozen=True)
class CheckResult:
    """All findings of `check`, with what is needed to show and to repair them."""

    data: CocoData  # what training would take
    raw: Dict[str, Any]  # the JSON
    image_dir: str
    config: Config
    proposed: Config  # `config` with all proposals
    findings: List[Finding]  # the worst first
    proposals: List[Proposal]
    class_counts: Dict[int, int]  # class -> objects
    facts: Dict[int, ImageFacts]  # image id -> its file, if it can be read
    at_input: Resized  # the n objects in the network's input
    iou: np.ndarray  # [n] their best IoU with an anchor
    proposed_iou: np.ndarray  # [n] the same with the proposals
    proposed_scales: np.ndarray  # [n] pixels, square roots of the boxes' areas with the proposals
    limit: Optional[int] = None  # of images, if not all were checked

    @property
    def num_errors(self) -> int:
        """Findings that stop training or spoil it."""
        return sum(RULES[f.rule].level == WRONG for f in self.findings)

    @property
    def by_rule(self) -> Dict[str, List[Finding]]:
        """Rule -> its findings; rules that are kept are left out."""
        groups: Dict[str, List[Finding]] = {}
        for finding in self.findings:
            groups.setdefault(finding.rule, []).append(finding)
        return groups

    @property
    def num_objects(self) -> int:
        """Of those that training would take, crowd regions included."""
        return sum(len(r.classes) for r in self.data.records)

    def fit(self, iou: np.ndarray) -> str:
        """How well anchors fit that have these best IoUs with the objects, in words."""
        if not len(iou):
            return "no objects"
        rpn = self.config.model.rpn
        near, far = np.mean(iou >= rpn.positive_iou), np.mean(iou < rpn.negative_iou)
        return (
            f"{near:.0%} of the objects have an anchor of IoU {rpn.positive_iou:g}, "
            f"{far:.0%} none of {rpn.negative_iou:g}; mean of the best {iou.mean():.2f}"
        )

    def settings(self) -> str:
        """The proposals as arguments of a command line; empty if there are none."""
        if not self.proposals:
            return ""
        # One a line, joined by the shell: a terminal's own breaks would end the command.
        return "--set " + " \\\n    ".join(shlex.quote(p.setting()) for p in self.proposals)

    def yaml(self) -> str:
        """The proposals as a part of a configuration file; empty if there are none."""
        nested: Dict[str, Any] = {}
        for proposal in self.proposals:
            parts = proposal.key.split(".")
            if parts[0] not in Config.model_fields:
                parts.insert(0, "model")
            place = nested
            for part in parts[:-1]:
                place = place.setdefault(part, {})
            place[parts[-1]] = shown(proposal.value).replace(",", ", ")
        return "".join(_yaml_lines(nested))

    def verdict(self) -> str:
        """One sentence."""
        n = self.num_errors
        if not n:
            return "Nothing is wrong: this can be trained on."
        wrong = "1 thing is" if n == 1 else f"{n:,} things are"
        return f"{wrong} wrong; to be corrected before training."

    def table(self) -> str:
        """All tables as text."""
        return as_text(self, width=100)

    def __rich__(self):
        """The tables for `rich.print`."""
        from rich.console import Group
        from rich.padding import Padding
        from rich.text import Text

        parts = [self._summary(), self._findings()]
        if len(self.data.class_names) > 1:
            parts.append(self._classes())
        if len(self.at_input.scales):
            parts.append(self._sizes())
        if self.proposals:
            parts += [self._proposed(), Padding(Text(self.settings()), (0, 1, 1, 1))]
        parts.append(Padding(Text(f"Anchors: {self.fit(self.iou)}."), (0, 1)))
        if self.proposals:
            parts.append(
                Padding(Text(f"As proposed: {self.fit(self.proposed_iou)}."), (0, 1, 1, 1))
            )
        color = "red" if self.num_errors else "green"
        return Group(*parts, Padding(Text(self.verdict(), style=f"bold {color}"), (0, 1)))

    def _summary(self):
        records = self.data.records
        title = f"{self.data.json_path}: {len(records):,} images, {self.num_objects:,} objects, "
        title += f"{len(self.data.class_names):,} classes"
        table = new_table(_literal(title), ["", "least", "median", "most"])
        counts = [int((~r.crowd).sum()) for r in records]
        rows = {
            "objects an image": counts,
            "image, short side": [min(r.height, r.width) for r in records],
            "image, long side": [max(r.height, r.width) for r in records],
            "object in the network's input": self.at_input.scales,
        }
        for name, values in rows.items():
            if len(values):
                numbers = (np.min(values), np.median(values), np.max(values))
                table.add_row(name, *(f"{v:.4g}" for v in numbers))
        return table

    def _findings(self):
        table = new_table("Findings", ["", "what", "the first"], ["number"])
        table.columns[2].ratio = 1
        for rule, found in self.by_rule.items():
            level = RULES[rule].level
            first = found[0].message
            cells = level, RULES[rule].title, first, f"{len(found):,}"
            table.add_row(*map(_literal, cells), style=_COLORS[level])
        if not self.findings:
            table.add_row("", "nothing", "", "")
        return table

    def _classes(self):
        names, total = self.data.class_names, max(1, sum(self.class_counts.values()))
        table = new_table("Classes", ["class", ""], ["objects", "share"])
        ordered = collections.Counter(self.class_counts).most_common()
        for k, count in ordered[:MAX_CLASSES]:
            bar = _bar(count, ordered[0][1])
            table.add_row(_literal(names[k - 1]), bar, f"{count:,}", f"{count / total:.1%}")
        if len(ordered) > MAX_CLASSES:
            rest = sum(count for _, count in ordered[MAX_CLASSES:])
            name = f"{len(ordered) - MAX_CLASSES} more"
            table.add_row(name, "", f"{rest:,}", f"{rest / total:.1%}")
        return table

    def _sizes(self):
        """Objects by octaves of their size in the network's input."""
        table = new_table(
            "Objects in the network's input", ["pixels (sqrt of box)", ""], ["objects", "share"]
        )
        octaves = np.floor(np.log2(np.maximum(self.at_input.scales, 1))).astype(int)
        counts = np.bincount(octaves)
        for octave in range(octaves.min(), octaves.max() + 1):
            count, low = counts[octave], 2**octave if octave else 0
            row = f"{low} to {2 ** (octave + 1)}", _bar(count, counts.max())
            table.add_row(*row, f"{count:,}", f"{count / counts.sum():.1%}")
        return table

    def _proposed(self):
        table = new_table("Proposals", ["setting", "why"])
        for proposal in self.proposals:
            table.add_row(_literal(proposal.setting()), _literal(proposal.reason))
        return table


def _bar(count: int, most: int) -> str:
    return "#" * round(30 * count / max(1, most))


def printable(text: str) -> str:
    """`text` without characters that move a terminal's cursor: file names may hold anything."""
    return "".join(c if c.isprintable() else "?" for c in text)


def _literal(text: str):
    """Text in which square brackets are no markup."""
    from rich.text import Text

    return Text(printable(text))


def _yaml_lines(nested: Dict[str, Any], indent: str = "") -> Iterator[str]:
    for key, value in nested.items():
        if isinstance(value, str):
            yield f"{indent}{key}: {value}\n"
        else:
            yield f"{indent}{key}:\n"
            yield from _yaml_lines(value, indent + "  ")
