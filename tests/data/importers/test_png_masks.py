"""`data/importers/png_masks.py`: its three layouts."""

import numpy as np
import pytest
from PIL import Image

from helpers.cases import case
from tfmaskrcnn.data.coco.segmentation import decode
from tfmaskrcnn.data.importers import from_png_masks
from tfmaskrcnn.errors import InputError


@pytest.fixture
def numbers():
    numbers = np.zeros((20, 30), np.uint16)
    numbers[2:5, 2:5], numbers[2:5, 10:15], numbers[10:12, 3:9] = 1, 300, 300
    numbers[15:19, 20:29] = 65535
    return numbers


def save(pixels, *parts):
    path = parts[0].joinpath(*parts[1:])
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def masks_of(found):
    return [decode(a["segmentation"], 20, 30) for a in found.coco["annotations"]]


def picture(shape=(20, 30)):
    return np.zeros((*shape, 3), np.uint8)


@pytest.mark.parametrize("colour", [False, True])
def test_each_number_of_a_mask_is_an_object_however_many_parts_it_has(tmp_path, numbers, colour):
    pixels = numbers
    if colour:
        pixels = np.stack([numbers % 256, numbers // 256, numbers * 0], axis=-1).astype(np.uint8)
    save(pixels, tmp_path, "masks", "b.png")
    for name in ("a.jpg", "b.jpg"):
        save(picture(), tmp_path, "images", name)
    found = from_png_masks(str(tmp_path / "masks"), str(tmp_path / "images"))
    assert [i["file_name"] for i in found.coco["images"]] == ["a.jpg", "b.jpg"]
    assert found.coco["categories"] == [{"id": 1, "name": "object"}]
    expected = {(numbers == k).tobytes() for k in (1, 300, 65535)}
    assert {mask.tobytes() for mask in masks_of(found)} == expected
    assert found.summary().startswith("images      2, 1 of them without objects\nobjects     3\n")


def test_each_file_of_a_folder_is_an_object(tmp_path, numbers):
    for k in (1, 300):
        save(((numbers == k) * 255).astype(np.uint8), tmp_path, "masks", "b", f"{k:03d}.png")
    save(picture(), tmp_path, "images", "b.jpg")
    found = from_png_masks(str(tmp_path / "masks"), str(tmp_path / "images"), ["cell"])
    np.testing.assert_array_equal(masks_of(found), [numbers == 1, numbers == 300])
    assert found.coco["categories"][0]["name"] == "cell"


@pytest.mark.parametrize("single", [False, True])
def test_masks_in_folders_are_of_the_image_of_the_same_folder(tmp_path, numbers, single):
    for i, name in enumerate(("a", "x/a", "x/y/b", "x/none")):
        save(picture(), tmp_path, "images", f"{name}.png")
        if not single and i < 3:
            save(numbers * (numbers == (1, 300, 65535)[i]), tmp_path, "masks", f"{name}.png")
        for k in range(i + 1 if single and i < 3 else 0):
            save((numbers == 1).astype(np.uint8), tmp_path, "masks", name, f"{k:04d}_cell.png")
    found = from_png_masks(str(tmp_path / "masks"), str(tmp_path / "images")).coco
    names = {image["id"]: image["file_name"] for image in found["images"]}
    assert sorted(names.values()) == ["a.png", "x/a.png", "x/none.png", "x/y/b.png"]
    of = [names[entry["image_id"]] for entry in found["annotations"]]
    counts = [of.count(name) for name in ("a.png", "x/a.png", "x/y/b.png")]
    assert counts == ([1, 2, 3] if single else [1, 1, 1])


def test_the_layout_of_the_data_science_bowl(tmp_path, numbers):
    for k in (1, 300):
        save(((numbers == k) * 255).astype(np.uint8), tmp_path, "id2", "masks", f"m{k}.png")
    save(picture(), tmp_path, "id2", "images", "id2.png")
    save(picture(), tmp_path, "id1", "images", "id1.png")  # of the test part: no masks
    found = from_png_masks(str(tmp_path))
    names = [i["file_name"] for i in found.coco["images"]]
    assert names == ["id1/images/id1.png", "id2/images/id2.png"]
    assert len(masks_of(found)) == 2


def test_errors_name_the_file(tmp_path, numbers):
    save(numbers, tmp_path, "masks", "b.png")
    with pytest.raises(InputError, match="give the folder of their images with --images"):
        from_png_masks(str(tmp_path / "masks"))
    save(picture(), tmp_path, "images", "c.png")
    with pytest.raises(InputError, match=r"images holds no image for the masks .*masks.b"):
        from_png_masks(str(tmp_path / "masks"), str(tmp_path / "images"))
    save(picture((9, 9)), tmp_path, "images", "b.png")
    with pytest.raises(InputError, match=r"b.png is \(20, 30\) pixels, its image \(9, 9\)"):
        from_png_masks(str(tmp_path / "masks"), str(tmp_path / "images"))
    save(picture(), tmp_path, "images", "b.jpg")
    with pytest.raises(InputError, match=r"holds both b.jpg and b.png; wanted one of b"):
        from_png_masks(str(tmp_path / "masks"), str(tmp_path / "images"))
    with pytest.raises(InputError, match="of one class, but --classes names 2"):
        from_png_masks(str(tmp_path / "masks"), str(tmp_path / "images"), ["a", "b"])
    save(picture()[..., 0], tmp_path, "bowl", "x", "masks", "m.png")
    save(picture(), tmp_path, "bowl", "x", "images", "x.png")
    with pytest.raises(InputError, match=r"m.png: its mask has no pixel inside the image"):
        from_png_masks(str(tmp_path / "bowl"))


def test_a_folder_without_masks_says_what_is_there(tmp_path):
    save(picture(), tmp_path, "images", "b.png")
    (tmp_path / "masks").mkdir()
    with pytest.raises(InputError, match=r"holds no mask .*, but no file; wanted a file or"):
        from_png_masks(str(tmp_path / "masks"), str(tmp_path / "images"))
    labels = case("data/d15_labelme/labels")
    with pytest.raises(InputError, match="holds no mask .*, but 4 .json"):
        from_png_masks(str(labels), str(tmp_path / "images"))


def test_a_picture_given_as_mask_is_refused_at_once(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (300, 300, 3)).astype(np.uint8)
    save(noise, tmp_path, "masks", "b.png")
    save(picture((300, 300)), tmp_path, "images", "b.png")
    with pytest.raises(InputError, match="different values, which is a picture"):
        from_png_masks(str(tmp_path / "masks"), str(tmp_path / "images"))


def test_a_mask_of_thousands_of_objects_takes_no_time(tmp_path):
    values = np.arange(300 * 200, dtype=np.uint16).reshape(300, 200) // 4
    save(values, tmp_path, "masks", "b.png")
    save(picture((300, 200)), tmp_path, "images", "b.png")
    found = from_png_masks(str(tmp_path / "masks"), str(tmp_path / "images"))
    assert len(found.coco["annotations"]) == 14_999
    assert all(a["area"] == 4 for a in found.coco["annotations"])


@pytest.mark.parametrize("stored", [False, True])
def test_masks_tell_which_view_of_a_turned_image_they_are_of(tmp_path, numbers, stored, caplog):
    exif = Image.Exif()
    exif[0x0112] = 6
    shape = (30, 20) if stored else (20, 30)  # the stored pixels are 30 x 20, the view 20 x 30
    (tmp_path / "images").mkdir()
    Image.new("RGB", (20, 30)).save(tmp_path / "images" / "b.jpg", exif=exif)
    save(np.resize(numbers, shape), tmp_path, "masks", "b.png")
    found = from_png_masks(str(tmp_path / "masks"), str(tmp_path / "images"))
    (image,) = found.coco["images"]
    assert (image["height"], image["width"]) == shape
    assert ("train with input.exif=ignore" in caplog.text) == stored
    assert ("input.exif=apply" in caplog.text) != stored
