"""What is wrong and how it is mended, noted in one go, so that the two never contradict."""

from typing import Any, List, NamedTuple, Optional

from tfmaskrcnn.data.checking.rules import Finding
from tfmaskrcnn.data.coco.file_names import shown_name
from tfmaskrcnn.data.coco.records import Record


class Change(NamedTuple):
    """One difference between the old JSON and the new one."""

    kind: str  # for counting
    message: str  # a sentence


class Place(NamedTuple):
    """Where in a set something is."""

    where: str  # as a sentence begins: "image 3 (a.png)"
    file_name: str = ""
    image_id: Optional[int] = None
    annotation_id: Optional[int] = None


class Notes:
    """Findings, each with the change that mends it."""

    def __init__(self):
        """Nothing is noted yet."""
        self.findings: List[Finding] = []
        self.changes: List[Change] = []

    def add(self, rule: str, place: Place, found: str, done: str) -> None:
        """Note that a `rule` is broken.

        Args:
            rule: a key of `RULES`; also the kind of the change.
            place: where.
            found: a sentence after "place: ".
            done: what --fix does, the same way.
        """
        self.add_sentence(rule, place, f"{place.where}: {found}", done)

    def add_sentence(self, rule: str, place: Place, sentence: str, done: str) -> None:
        """`add` of a finding that is a whole sentence."""
        self.findings.append(Finding(rule, sentence, *place[1:]))
        self.changes.append(Change(KINDS[rule], f"{place.where}: {done}"))


def image_named(record: Record) -> str:
    """How a message names an image: by its id and its file."""
    return f"image {record.image_id} ({shown_name(record.file_name)})"


# Rule -> what its changes are called where they are counted.
KINDS = {
    "list-form": "lists",
    "id-form": "ids",
    "annotation-id": "annotation ids",
    "name-form": "category names",
    "file-name": "file names",
    "image-size": "image sizes",
    "box-form": "boxes in another form",
    "crowd-form": "crowd flags",
    "mask-form": "masks in another form",
    "rle-rows": "RLEs counted along rows",
    "mask-is-box": "masks that are their box",
}


def is_plain_id(value: Any) -> bool:
    """Whether a value is an integer as COCO has it."""
    return isinstance(value, int) and not isinstance(value, bool)
