"""`data/splitting/near_copies.py`: copies are found, other pictures of the same scene are not."""

import numpy as np
import pytest
from PIL import Image, ImageFilter

from tfmaskrcnn.data.coco.image_files import EXIF_ORIENTATION
from tfmaskrcnn.data.splitting.near_copies import SIDE, near_copies, similar_pairs
from tfmaskrcnn.data.splitting.units import united


def scene(seed, size=(160, 240)):
    """A picture of soft blots."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (8, 12, 3), dtype=np.uint8))
    return small.resize(size[::-1], Image.Resampling.BICUBIC)


def moved(picture):
    """The same scene with a small thing in it."""
    pixels = np.array(picture)
    pixels[80:92, 120:132] = 255 - pixels[80:92, 120:132]
    return Image.fromarray(pixels)


CHANGES = {
    "jpeg": (".jpg", lambda p: p, {"quality": 40}),
    "half": (".png", lambda p: p.resize((120, 80), Image.Resampling.LANCZOS), {}),
    "odd": (".jpg", lambda p: p.resize((201, 133), Image.Resampling.BILINEAR), {"quality": 80}),
    "grey": (".png", lambda p: p.convert("L"), {}),
    "brighter": (".png", lambda p: p.point(lambda v: 20 + v * 0.85), {}),
    "soft": (".png", lambda p: p.filter(ImageFilter.GaussianBlur(1)), {}),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_copy_is_found_among_other_pictures(change, tmp_path):
    paths = []
    for seed in range(6):
        paths.append(str(tmp_path / f"{seed}.png"))
        scene(seed).save(paths[-1])
    suffix, made, options = CHANGES[change]
    paths.append(str(tmp_path / f"copy{suffix}"))
    made(scene(2)).save(paths[-1], **options)
    assert [sorted(pair) for pair in near_copies(paths).pairs] == [[2, 6]]


def test_where_something_moved_it_is_no_copy(tmp_path):
    paths = [str(tmp_path / f"{i}.png") for i in range(2)]
    scene(0).save(paths[0])
    moved(scene(0)).save(paths[1])
    assert not near_copies(paths).pairs


def test_a_copy_is_found_as_viewers_turn_it(tmp_path):
    paths = [str(tmp_path / "a.png"), str(tmp_path / "b.jpg")]
    scene(0).save(paths[0])
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = 6
    scene(0).transpose(Image.Transpose.ROTATE_90).save(paths[1], exif=exif, quality=90)
    assert len(near_copies(paths).pairs) == 1


def test_what_cannot_be_compared_is_passed_over_or_told(tmp_path):
    flat = np.full((40, 40), 7, np.uint8)
    for name in ("a.png", "b.png"):
        Image.fromarray(flat).save(tmp_path / name)
    np.save(tmp_path / "c.npy", flat)
    (tmp_path / "d.jpg").write_bytes(b"no picture")
    told = []
    names = ("a.png", "b.png", "c.npy", "d.jpg", "e.jpg")
    found = near_copies([str(tmp_path / n) for n in names], lambda *done: told.append(done))
    assert not found.pairs and told[-1] == (5, 5)
    damaged, missing = found.unreadable
    assert "d.jpg is not an image" in damaged and "does not exist" in missing
    assert near_copies([]).pairs == []


@pytest.mark.parametrize("seed", range(20))
def test_pairs_are_those_of_all_against_all(seed):
    rng = np.random.default_rng(seed)
    pictures = rng.normal(size=(40, SIDE * SIDE))
    pictures[7], pictures[31] = pictures[20], pictures[3]
    pictures[[7, 31]] += rng.normal(0, 0.02, (2, SIDE * SIDE))
    pairs = {tuple(sorted(pair)) for pair in similar_pairs(pictures.astype(np.float16))}
    assert pairs == {(7, 20), (3, 31)}


def test_hundreds_of_copies_of_one_hang_together():
    rng = np.random.default_rng(0)
    one = rng.normal(size=SIDE * SIDE)
    pictures = (one + rng.normal(0, 0.01, (300, SIDE * SIDE))).astype(np.float16)
    pairs = similar_pairs(pictures)
    assert len(united(300, pairs)) == 1 and len(pairs) <= 300 * 32
