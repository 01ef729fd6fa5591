"""`inference/video_writer.py`: pictures become a video that is read again."""

import os

import numpy as np
import pytest

from tfmaskrcnn import InputError
from tfmaskrcnn.inference.video import VideoFrames
from tfmaskrcnn.inference.video_writer import VideoWriter


def greys(count, height, width):
    """Pictures that tell their number by their brightness, 20 a step."""
    values = 20 * np.arange(count, dtype=np.uint8) + 20
    return np.broadcast_to(values[:, None, None, None], (count, height, width, 3))


def levels(path):
    """The numbers of the pictures in a file of `greys`."""
    return [round((float(image.mean()) - 20) / 20) for _, _, image in VideoFrames(path)]


@pytest.mark.parametrize("ending", [".mp4", ".mkv"])
def test_pictures_come_back_in_order_at_the_rate_and_with_even_sides(tmp_path, ending):
    path = str(tmp_path / "new" / f"a{ending}")
    with VideoWriter(path, 12.5) as video:
        for image in greys(5, 33, 21):
            video.add(image)
    again = VideoFrames(path)
    assert (again.size, again.fps, video.count) == ((34, 22), 12.5, 5)
    assert levels(path) == [0, 1, 2, 3, 4]
    assert os.listdir(tmp_path / "new") == [f"a{ending}"]


def test_a_picture_is_held_until_the_time_of_the_next(tmp_path):
    path = str(tmp_path / "a.mp4")
    with VideoWriter(path, 10) as video:
        for image, seconds in zip(greys(4, 16, 16), (0, 0.1, 0.404, 0.41)):
            video.add(image, seconds)
    assert levels(path) == [0, 1, 1, 1, 2, 3]  # none is left out


def test_ctrl_c_keeps_what_is_there_and_an_error_the_former_file(tmp_path):
    path = str(tmp_path / "a.mp4")
    pictures = greys(3, 16, 16)
    with pytest.raises(KeyboardInterrupt), VideoWriter(path, 10) as video:
        video.add(pictures[0])
        raise KeyboardInterrupt
    assert levels(path) == [0]
    other = pytest.raises(InputError, match=r"\(8, 16, 3\); wanted uint8 \(16, 16, 3\)")
    with other, VideoWriter(path, 10) as video:
        video.add(pictures[1])
        video.add(pictures[2, :8])
    assert levels(path) == [0]
    (tmp_path / "a.mp4.123.tmp").write_bytes(b"of a process that was killed")
    with VideoWriter(path, 10):
        pass
    assert os.listdir(tmp_path) == ["a.mp4"] and levels(path) == [0]


def test_what_cannot_be_written_is_told_in_a_sentence(tmp_path):
    with pytest.raises(InputError, match="'a.gif'; wanted a name that ends in .mp4, .m4v"):
        VideoWriter("a.gif", 10)
    with pytest.raises(InputError, match="wanted over 0"):
        VideoWriter(str(tmp_path / "a.mp4"), 0)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="Cannot write into the folder"):
        VideoWriter(str(tmp_path / "file" / "a.mp4"), 10)
    if os.path.exists("/dev/full"):  # ffmpeg finds the disk full
        full = pytest.raises(InputError, match="Cannot write .*a.mp4: .*No space left")
        with full, VideoWriter(str(tmp_path / "a.mp4"), 10) as video:
            os.symlink("/dev/full", video._temporary)
            for image in np.random.default_rng(0).integers(0, 256, (40, 64, 64, 3), np.uint8):
                video.add(image)
    assert sorted(os.listdir(tmp_path)) == ["file"]
