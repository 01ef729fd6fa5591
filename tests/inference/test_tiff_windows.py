import numpy as np
import tifffile

from tfmaskrcnn.inference.tiff_windows import open_tiff


def test_only_what_a_window_needs_is_decoded_and_it_is_kept_for_the_next(tmp_path, monkeypatch):
    pixels = np.arange(200 * 300, dtype=np.uint32).astype(np.uint8).reshape(200, 300)
    path = str(tmp_path / "a.tif")
    tifffile.imwrite(path, pixels, tile=(64, 64), compression="zlib")
    tiff, decoded = open_tiff(path), []
    plain = tiff._decoded
    monkeypatch.setattr(tiff, "_decoded", lambda index: decoded.append(index) or plain(index))
    np.testing.assert_array_equal(tiff.read(60, 60, 10, 10), pixels[60:70, 60:70])
    assert sorted(decoded) == [0, 1, 5, 6]
    np.testing.assert_array_equal(tiff.read(0, 0, 64, 80), pixels[:64, :80])
    assert len(decoded) == 4


def test_what_it_cannot_decode_is_left_to_pillow(tmp_path):
    path = str(tmp_path / "a.tif")
    tifffile.imwrite(path, np.zeros((20, 30), np.float32))
    assert open_tiff(path) is None
    (tmp_path / "b.tif").write_bytes(b"no TIFF")
    assert open_tiff(str(tmp_path / "b.tif")) is None and open_tiff("nothing.tif") is None
