"""`inference/clips.py`: frames of videos among the pictures of a prediction."""

import numpy as np
import pytest

from helpers.stub_source import picture
from helpers.video_files import lossless
from tfmaskrcnn import InputError
from tfmaskrcnn.inference.clips import Clip, NoFrame, clip_frames
from tfmaskrcnn.inference.image_sources import list_pictures


def frames_of(count, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, 16, 24, 3), np.uint8)


def cut(tmp_path, frames):
    """The first half of a file of `frames`."""
    lossless(tmp_path / "whole.mkv", frames)
    content = (tmp_path / "whole.mkv").read_bytes()
    (tmp_path / "cut.mkv").write_bytes(content[: len(content) // 2])
    return str(tmp_path / "cut.mkv")


def test_frames_are_given_in_any_order_and_at_best_in_theirs(tmp_path):
    frames = frames_of(9)
    clip = Clip(lossless(tmp_path / "a.mkv", frames), every=2)
    assert (clip.count, clip.fps, clip.fault) == (5, 5.0, None)
    for index in (0, 2, 2, 6, 4, 8, 0, 8):
        np.testing.assert_array_equal(clip.image(index), frames[index])
    assert clip.seconds(6) == pytest.approx(0.6)
    for _ in range(2):
        with pytest.raises(NoFrame):
            clip.check_end()
    with pytest.raises(NoFrame):
        clip.image(10)
    np.testing.assert_array_equal(clip.image(4), frames[4])


def test_the_end_tells_what_is_wrong_with_a_file_whatever_was_read_before(tmp_path):
    path = cut(tmp_path, frames_of(40))
    for read in ((), (0,), range(100)):
        clip = Clip(path)
        assert 15 < clip.count < 25
        there = 0
        for index in read:
            try:
                clip.image(index)
                there += 1
            except NoFrame:
                pass
        assert there == min(len(read), clip._end or 1)
        for _ in range(2):
            with pytest.raises(InputError, match="cut.mkv is damaged: only the first") as caught:
                clip.check_end()
            assert not isinstance(caught.value, NoFrame)


def test_a_file_that_is_no_video_has_an_end_alone(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"no video")
    ((end, name, _),) = clip_frames(str(tmp_path / "a.mp4"), 1)
    assert end.is_end and not name
    with pytest.raises(InputError, match="a.mp4 cannot be read as a video"):
        end.image()


def test_frames_are_pictures_with_names_and_ids_of_their_own(tmp_path):
    first, last = picture(tmp_path / "in" / "a.png"), picture(tmp_path / "in" / "z.png")
    frames = frames_of(3)
    clip = lossless(tmp_path / "in" / "b.mkv", frames)
    pictures = list_pictures([first, clip, last], every=2)
    assert [p.index for p in pictures] == [0, 1, 2, 3, 4]
    assert [p.file_name for p in pictures] == [
        *("a.png", "b.mkv#000000", "b.mkv#000002", "b.mkv", "z.png"),
    ]
    assert pictures[2].name == f"{clip}#000002"
    assert [p.image_id for p in pictures] == [1, 2, 3, 0, 4]
    assert [p.stem for p in pictures] == ["a", "b_000000", "b_000002", "b_end", "z"]
    assert [p.path for p in pictures] == [first, None, None, None, last]
    np.testing.assert_array_equal(pictures[2].pixels(), frames[2])
    assert pictures[2].pixels(channels=1).shape == (16, 24, 1)
    assert pictures[2].pixels(channels=4)[..., 3].min() == 255
    assert pictures[2].frame.seconds == pytest.approx(0.2)
    with pytest.raises(NoFrame):
        pictures[3].pixels()
