"""A new JSON in which everything is mended that has one clear answer."""

import json
from typing import Any, Dict, List, Optional

from tfmaskrcnn.data.checking.check_result import CheckResult
from tfmaskrcnn.data.checking.checker import examined
from tfmaskrcnn.data.checking.mending import LOST, mended
from tfmaskrcnn.data.checking.notes import Change
from tfmaskrcnn.data.checking.rules import RULES, WRONG, Finding
from tfmaskrcnn.data.checking.upright import write_upright
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.support.files import replaced
from tfmaskrcnn.support.given import A_PATH, takes
from tfmaskrcnn.support.storage import same_place


class Repairs(List[Change]):
    """All changes of a JSON in their order, and what became of the set."""

    def __init__(self, changes: List[Change], left: List[Finding]):
        """`left` is what is still wrong in the new JSON."""
        super().__init__(changes)
        self.left = left

    @property
    def lost(self) -> int:
        """Objects that are in the old JSON and not in the new one."""
        return sum(change.kind in LOST for change in self)

    def summary(self) -> str:
        """How much was changed, lost and left, in one sentence."""
        changes = f"{len(self):,} changes" if len(self) != 1 else "1 change"
        lost = f"{self.lost:,} objects" if self.lost != 1 else "1 object"
        left = f"{len(self.left):,} things stay" if len(self.left) != 1 else "1 thing stays"
        text = f"{changes if self else 'no change'}, {lost if self.lost else 'no object'} lost, "
        return text + (f"{left} wrong" if self.left else "nothing stays wrong")


@takes(result=CheckResult, path=A_PATH)
def write_repaired(
    result: CheckResult, path: str, crowds: bool = True, upright: Optional[str] = None
) -> Repairs:
    """Write the JSON that `result` checked as a new file, mended; the images stay as they are.

    Args:
        result: of `check`.
        path: the new JSON.
        crowds: False makes crowd regions objects (CVAT writes its masks as crowd regions).
        upright: a new folder for copies of the images that have an EXIF orientation, with pixels as
            the annotations see them; the new JSON names these.

    Raises:
        InputError: the file is the checked one or cannot be written, or only a part was checked.
    """
    source = result.data.json_path
    if same_place(path, source):
        raise InputError(f"{path} is the file that was checked; give the new one another name.")
    if result.limit is not None:
        raise InputError(f"Only the first {result.limit} images were checked; repairs need all.")
    fixed, changes = mended(result, crowds)
    if upright is not None:
        images, copied = write_upright(result, fixed["images"], upright)
        fixed, changes = {**fixed, "images": images}, changes + copied
    left = _left(fixed, path, result)
    try:
        text = json.dumps(fixed)
    except RecursionError:
        raise InputError(f"{source} is nested too deep to be written again.") from None
    with replaced(path, "w") as file:
        file.write(text)
    return Repairs(changes, left)


def _left(fixed: Dict[str, Any], path: str, result: CheckResult) -> List[Finding]:
    """What is wrong in the new JSON; files that were read already are not read again."""
    if not fixed["images"]:
        return []
    try:
        found = examined(fixed, path, result.image_dir, result.config, known=result.looked)
    except InputError as error:  # of the set as a whole
        return [Finding("entry", str(error))]
    return [finding for finding in found.findings if RULES[finding.rule].level == WRONG]
