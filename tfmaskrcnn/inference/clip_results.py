"""What a prediction does with the frames of videos besides looking at them."""

import contextlib
from typing import Any, Dict, List, Optional, Sequence

import numpy as np

from tfmaskrcnn.errors import InputError
from tfmaskrcnn.inference.image_sources import Picture
from tfmaskrcnn.inference.tracking import Tracker, installed_assignment
from tfmaskrcnn.inference.video_writer import VideoWriter, check_video_path
from tfmaskrcnn.instances import Instances
from tfmaskrcnn.results.measure_tables import FRAME_COLUMNS


def check_clips(
    pictures: Sequence[Picture], video: Optional[str], shard: Optional[Sequence[int]]
) -> None:
    """Find what cannot be done with the videos among `pictures`.

    Raises:
        InputError: drawn frames are to go into one video and come from none or several, or would
            replace it; frames that follow each other would go to several machines; or scipy is
            not installed.
    """
    paths = sorted({picture.frame.clip.path for picture in pictures if picture.frame})
    if paths and shard is not None:
        raise InputError(
            f"--shard divides images, and {paths[0]} is a video; give each machine its own videos."
        )
    if paths:
        installed_assignment()
    if video is None:
        return
    if len(paths) != 1:
        raise InputError(f"--video is for the frames of one video; the inputs hold {len(paths)}.")
    check_video_path(video)


class ClipResults(contextlib.ExitStack):
    """Numbers for objects that are seen in several frames, and the drawn frames as a video.

    A context manager: the video is whole when the block ends. Frames come in their order, also
    those that were done before, of which `recall` is told.
    """

    def __init__(self, video: Optional[str], pictures: Sequence[Picture]):
        super().__init__()
        self._trackers: Dict[str, Tracker] = {}
        fps = [picture.frame.clip.fps for picture in pictures if picture.frame]
        self.any = bool(fps)  # whether there are frames at all
        # A file that cannot be read has no frames a second, and nothing is drawn of it.
        writes = video is not None and self.any and fps[0] > 0
        self._writer = self.enter_context(VideoWriter(video, fps[0])) if writes else None

    @property
    def draws(self) -> bool:
        """Whether each frame is to be drawn."""
        return self._writer is not None

    def numbered(self, picture: Picture, chosen: Instances) -> Instances:
        """The chosen objects with the numbers that they keep from frame to frame."""
        return self._tracker(picture).update(chosen) if picture.frame else chosen

    def recall(self, picture: Picture, chosen: Instances) -> None:
        """Go on after a frame whose objects have their numbers."""
        if picture.frame:
            self._tracker(picture).recall(chosen)

    def show(self, picture: Picture, drawn: np.ndarray) -> None:
        """Append a drawn frame to the video."""
        if self._writer is not None and picture.frame:
            self._writer.add(drawn, picture.frame.seconds)

    def rows(self, picture: Picture, rows: List[Dict[str, Any]]) -> List[Dict[str, Any]]:
        """Rows of a table with the frame and its time behind the image's id, if there are videos.

        Those of an image have neither.
        """
        if not self.any:
            return rows
        place = {**dict.fromkeys(FRAME_COLUMNS), **self.place(picture)}
        first = ("picture", "image_id")
        return [{**{name: row[name] for name in first}, **place, **row} for row in rows]

    def place(self, picture: Picture) -> Dict[str, Any]:
        """The frame and its time, of a picture that was read; {} of an image."""
        frame = picture.frame
        return dict(zip(FRAME_COLUMNS, (frame.index, round(frame.seconds, 6)))) if frame else {}

    def _tracker(self, picture: Picture) -> Tracker:
        return self._trackers.setdefault(picture.frame.clip.path, Tracker())
