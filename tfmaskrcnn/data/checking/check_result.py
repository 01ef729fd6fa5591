"""What a check of a data set found, and how it is shown on a terminal."""

import dataclasses
import shlex
from typing import Any, Dict, Iterator, List, Optional

import numpy as np

from tfmaskrcnn.config.run import Config
from tfmaskrcnn.data.checking.check_tables import tables
from tfmaskrcnn.data.checking.coverage import Resized
from tfmaskrcnn.data.checking.file_checks import Looked
from tfmaskrcnn.data.checking.notes import Change
from tfmaskrcnn.data.checking.rules import RULES, WRONG, Finding
from tfmaskrcnn.data.checking.setting_proposals import Proposal, shown
from tfmaskrcnn.data.coco.records import CocoData
from tfmaskrcnn.support.tables import as_text

WHOLE = 100_000  # characters of a line that nothing has


@dataclasses.dataclass(frozen=True)
class CheckResult:
    """All findings of `check`, with what is needed to show and to repair them."""

    data: CocoData  # what training would take
    raw: Dict[str, Any]  # the JSON, in COCO's form wherever that is clear
    image_dir: str
    config: Config
    proposed: Config  # `config` with all proposals
    findings: List[Finding]  # the worst first
    proposals: List[Proposal]
    class_counts: Dict[int, int]  # class -> objects
    looked: Dict[str, Looked]  # path -> what the image file holds
    changes: List[Change]  # what `raw` differs in from the file that was read
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

    def table(self, width: Optional[int] = None) -> str:
        """All tables as text of at most `width` characters a line; None for as many as it takes."""
        return as_text(self, width or WHOLE)

    def __rich__(self):
        """The tables for `rich.print`."""
        return tables(self)


def _yaml_lines(nested: Dict[str, Any], indent: str = "") -> Iterator[str]:
    for key, value in nested.items():
        if isinstance(value, str):
            yield f"{indent}{key}: {value}\n"
        else:
            yield f"{indent}{key}:\n"
            yield from _yaml_lines(value, indent + "  ")
