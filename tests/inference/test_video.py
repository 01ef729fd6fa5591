"""`inference/video.py`: what is read of video files, whole and damaged."""

import logging
import subprocess
import sys

import numpy as np
import pytest

from helpers.paths import ROOT
from helpers.video_files import ffmpeg, lossless
from tfmaskrcnn import InputError
from tfmaskrcnn.inference.video import VideoFrames, frame_name, frame_of, is_video


def noise(count, height, width, seed=0):
    shape = (count, height, width, 3)
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def refused(path, **options):
    with pytest.raises(InputError) as caught:
        list(VideoFrames(str(path), **options))
    return str(caught.value)


def test_frames_are_the_stored_pixels_with_their_times(tmp_path):
    frames = noise(7, 21, 33)  # odd sides, and rows that are no multiple of 4 bytes
    video = VideoFrames(lossless(tmp_path / "a clip.mkv", frames, 8))
    assert (video.size, video.fps, video.count) == ((21, 33), 8, 7)
    indices, seconds, images = zip(*video)
    assert indices == tuple(range(7))
    np.testing.assert_allclose(seconds, np.arange(7) / 8, atol=1e-3)
    np.testing.assert_array_equal(images, frames)
    assert images[0].flags.writeable


@pytest.mark.parametrize("every, start", [(3, 0), (3, 4), (1, 5), (7, 0), (9, 0)])
def test_every_nth_frame_from_a_start_on(tmp_path, every, start):
    frames = noise(7, 16, 16)
    video = VideoFrames(lossless(tmp_path / "a.avi", frames), every, start)
    wanted = [index for index in range(0, 7, every) if index >= start]
    got = list(video)
    assert [index for index, _, _ in got] == wanted
    np.testing.assert_array_equal([image for _, _, image in got], frames[wanted])
    assert video.count == len(range(0, 7, every))


def test_frames_are_turned_as_a_phone_asks(tmp_path):
    frames = noise(2, 16, 32)
    plain = lossless(tmp_path / "a.avi", frames)
    ffmpeg("-i", plain, "-c:v", "mpeg4", "-q:v", 1, tmp_path / "b.mp4")
    ffmpeg("-display_rotation", 90, "-i", tmp_path / "b.mp4", "-c", "copy", tmp_path / "c.mp4")
    flat, turned = VideoFrames(str(tmp_path / "b.mp4")), VideoFrames(str(tmp_path / "c.mp4"))
    assert (flat.size, turned.size) == ((16, 32), (32, 16))
    for (_, _, one), (_, _, other) in zip(flat, turned):  # 90 degrees to the left
        # Colours are stored at half the size, and interpolated on the turned picture.
        difference = np.abs(np.rot90(one).astype(int) - other)
        assert np.mean(difference) < 0.2 * np.mean(np.abs(np.rot90(one, 3).astype(int) - other))


def test_no_frame_is_repeated_or_dropped_where_the_rate_varies(tmp_path):
    frames = noise(6, 16, 16)
    later = "setpts='if(lt(N,3),N,3+(N-3)*4)'"  # in tenths of a second
    path = lossless(tmp_path / "a.mkv", frames, 10, "-vf", later, "-fps_mode", "passthrough")
    video = VideoFrames(path)
    _, seconds, images = zip(*video)
    np.testing.assert_allclose(seconds, [0, 0.1, 0.2, 0.3, 0.7, 1.1], atol=2e-3)
    np.testing.assert_array_equal(images, frames)


def test_a_change_of_size_is_told_and_frames_keep_the_first_one(tmp_path, caplog):
    for name, side in (("a", 32), ("b", 48)):
        flat = np.full((3, side, side, 3), 100, np.uint8)
        stored = lossless(tmp_path / f"{name}.avi", flat, 25)
        ffmpeg("-i", stored, "-c:v", "mpeg2video", tmp_path / f"{name}.ts")
    path = tmp_path / "ab.mts"
    path.write_bytes((tmp_path / "a.ts").read_bytes() + (tmp_path / "b.ts").read_bytes())
    with caplog.at_level(logging.WARNING):
        got = list(VideoFrames(str(path), every=2))
    assert [(index, image.shape) for index, _, image in got] == [
        (i, (32, 32, 3)) for i in (0, 2, 4)
    ]
    assert "frames change to 48 x 48 pixels; they were made 32 x 32" in caplog.text
    assert len(caplog.messages) == 1


def test_a_cut_file_gives_what_is_whole_and_then_says_where_it_ends(tmp_path):
    path = lossless(tmp_path / "a.mkv", noise(30, 32, 32), 10)
    content = (tmp_path / "a.mkv").read_bytes()
    (tmp_path / "cut.mkv").write_bytes(content[: len(content) // 2])
    whole, frames = list(VideoFrames(path)), []
    with pytest.raises(InputError, match=r"cut.mkv is damaged: only the first 1\d frames could be"):
        for frame in VideoFrames(str(tmp_path / "cut.mkv")):
            frames.append(frame)
    assert 10 < len(frames) < 20
    for (_, _, one), (_, _, other) in zip(frames, whole):
        np.testing.assert_array_equal(one, other)


def test_what_is_no_video_is_told_in_a_sentence(tmp_path):
    for name, content in (("empty", b""), ("text", b"hello"), ("zeros", bytes(5000))):
        (tmp_path / f"{name}.mp4").write_bytes(content)
    (tmp_path / "folder.mp4").mkdir()
    ffmpeg("-f", "lavfi", "-i", "sine=d=0.2", tmp_path / "sound.avi")
    playlist = "#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/x.ts\n#EXT-X-ENDLIST\n"
    (tmp_path / "list.m3u8").write_text(playlist)
    assert "empty.mp4 is empty (0 bytes)" in refused(tmp_path / "empty.mp4")
    assert "text.mp4 cannot be read as a video: moov" in refused(tmp_path / "text.mp4")
    assert "zeros.mp4 cannot be read as a video" in refused(tmp_path / "zeros.mp4")
    assert "sound.avi holds no video." in refused(tmp_path / "sound.avi")
    assert "Is a directory" in refused(tmp_path / "folder.mp4")
    assert "No such file" in refused(tmp_path / "none.mp4")
    assert "cannot be read as a video" in refused(tmp_path / "list.m3u8")  # no address is opened
    assert "Cannot read 'a\\x00.mp4'" in refused("a\0.mp4")
    assert "every is 0" in refused(tmp_path / "text.mp4", every=0)
    assert "start -3" in refused(tmp_path / "text.mp4", start=-3)


def test_a_program_may_end_in_the_middle_of_a_video(tmp_path):
    path = lossless(tmp_path / "a.mkv", noise(60, 60, 80))  # more than a pipe holds
    program = "import sys; from tfmaskrcnn.inference.video import VideoFrames as V; "
    program += "frames = iter(V(sys.argv[1])); print(next(frames)[0])"
    command = [sys.executable, "-c", program, path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=ROOT)
    assert (done.returncode, done.stdout, done.stderr) == (0, "0\n", "")


def test_without_ffmpeg_a_sentence_says_what_to_install(tmp_path, monkeypatch):
    path = lossless(tmp_path / "a.mkv", noise(1, 16, 16))
    with monkeypatch.context() as patch:
        patch.setenv("IMAGEIO_FFMPEG_EXE", str(tmp_path / "nothing"))
        assert "ffmpeg" in refused(path)
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    assert "pip install 'tfmaskrcnn[video]'" in refused(path)


def test_names_of_frames_are_found_again():
    assert frame_name("clips/a.mp4", 12) == "clips/a.mp4#000012"
    for index in (0, 12, 1_234_567):
        assert frame_of(frame_name("a#1.MP4", index)) == ("a#1.MP4", index)
    assert frame_of("a.png#000012") == ("a.png#000012", None)
    assert frame_of("a.mp4") == ("a.mp4", None)
    assert is_video("A.MOV") and not is_video("a.tiff")
