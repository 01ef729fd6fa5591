"""`data/importers/voc.py`: palettes, void, colours of a label map."""

import numpy as np
import pytest
from PIL import Image

from helpers.cases import case
from tfmaskrcnn.data.coco.segmentation import decode
from tfmaskrcnn.data.importers import from_voc
from tfmaskrcnn.data.importers.voc import palette
from tfmaskrcnn.errors import InputError


def rgb(numbers):
    colours = palette()[numbers]
    return np.stack([colours >> 16, colours >> 8 & 255, colours & 255], axis=-1).astype(np.uint8)


def write(folder, objects, kinds, stem="one", coloured=False):
    for name in ("SegmentationObject", "SegmentationClass", "JPEGImages", "ImageSets/Segmentation"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    Image.new("RGB", objects.shape[::-1]).save(folder / "JPEGImages" / f"{stem}.jpg")
    for name, numbers in (("SegmentationObject", objects), ("SegmentationClass", kinds)):
        image = Image.fromarray(numbers.astype(np.uint8), "P")
        image.putpalette(rgb(np.arange(256)).reshape(-1).tolist())
        (image.convert("RGB") if coloured else image).save(folder / name / f"{stem}.png")


@pytest.fixture
def numbers():
    """A dog (class 12) with a rim of void and a person (15) that hides part of it."""
    objects, kinds = np.zeros((20, 30), int), np.zeros((20, 30), int)
    objects[2:12, 2:12], kinds[2:12, 2:12] = 1, 12
    objects[2, 2:12] = kinds[2, 2:12] = 255
    objects[8:18, 8:18], kinds[8:18, 8:18] = 2, 15
    return objects, kinds


def test_the_palette_is_that_of_pascal_voc():
    colours = [0x000000, 0x800000, 0x008000, 0x808000, 0x000080]
    assert palette()[:5].tolist() == colours
    assert palette()[[15, 20, 255]].tolist() == [0xC08080, 0x004080, 0xE0E0C0]


@pytest.mark.parametrize("coloured", [False, True])
def test_objects_have_the_class_below_them_and_no_void(tmp_path, numbers, coloured):
    objects, kinds = numbers
    write(tmp_path, objects, kinds, coloured=coloured)
    write(tmp_path, np.full((20, 30), 255), np.full((20, 30), 255), "void", coloured)
    coco = from_voc(str(tmp_path)).coco
    names = {c["id"]: c["name"] for c in coco["categories"]}
    assert len(names) == 20 and [i["file_name"] for i in coco["images"]] == ["one.jpg", "void.jpg"]
    found = {names[a["category_id"]]: a["segmentation"] for a in coco["annotations"]}
    assert set(found) == {"dog", "person"}
    np.testing.assert_array_equal(decode(found["dog"], 20, 30), objects == 1)
    np.testing.assert_array_equal(decode(found["person"], 20, 30), objects == 2)


def test_a_label_map_names_the_colours(tmp_path, numbers):
    objects, kinds = numbers
    write(tmp_path, objects, kinds, coloured=True)
    dog, person = (",".join(map(str, rgb(np.array(k)))) for k in (12, 15))
    lines = f"# label:color_rgb:parts:actions\nbackground:0,0,0::\nhuman:{person}::\nhund:{dog}::\n"
    (tmp_path / "labelmap.txt").write_text(lines)
    coco = from_voc(str(tmp_path)).coco
    assert [c["name"] for c in coco["categories"]] == ["human", "hund"]
    assert sorted(a["category_id"] for a in coco["annotations"]) == [1, 2]
    (tmp_path / "labelmap.txt").write_text("human:1,2\n")
    with pytest.raises(InputError, match=r"labelmap.txt: the line 'human:1,2' is not name:r,g,b"):
        from_voc(str(tmp_path))


def test_a_split_is_a_list_of_names(tmp_path, numbers):
    write(tmp_path, *numbers)
    write(tmp_path, *numbers, stem="two")
    (tmp_path / "ImageSets" / "Segmentation" / "val.txt").write_text("two\n\n")
    coco = from_voc(str(tmp_path), split="val").coco
    assert [i["file_name"] for i in coco["images"]] == ["two.jpg"]
    with pytest.raises(InputError, match=r"Cannot read .*train.txt: No such file"):
        from_voc(str(tmp_path), split="train")


def test_errors_name_the_file_and_the_object(tmp_path, numbers):
    objects, kinds = numbers
    write(tmp_path, objects, np.where(kinds == 15, 0, kinds))
    with pytest.raises(InputError, match=r"one.png: object 2 has no class in SegmentationClass"):
        from_voc(str(tmp_path))
    write(tmp_path, objects, np.where(kinds == 15, 33, kinds))
    with pytest.raises(InputError, match=r"object 2 is of class 33; name it in a labelmap.txt"):
        from_voc(str(tmp_path))
    Image.new("L", (3, 3)).save(tmp_path / "SegmentationClass" / "one.png")
    with pytest.raises(InputError, match=r"one.png is \(3, 3\) pixels, its image \(20, 30\)"):
        from_voc(str(tmp_path))
    (tmp_path / "SegmentationClass" / "one.png").unlink()
    with pytest.raises(InputError, match=r"There is no .*SegmentationClass.one.png"):
        from_voc(str(tmp_path))


def test_a_set_of_boxes_alone_or_without_masks_says_so(tmp_path):
    (tmp_path / "JPEGImages").mkdir()
    (tmp_path / "Annotations").mkdir()
    (tmp_path / "Annotations" / "one.xml").write_text("<annotation/>")
    with pytest.raises(InputError, match="no folder SegmentationObject, .* it holds 1 .xml"):
        from_voc(str(tmp_path))
    (tmp_path / "SegmentationObject").mkdir()
    with pytest.raises(InputError, match="SegmentationObject holds no PNG, but no file"):
        from_voc(str(tmp_path))
    with pytest.raises(InputError, match="is a file; wanted a folder"):
        from_voc(str(case("data/d16_via3/images/p0.png")))


@pytest.mark.parametrize("line", [":1,2,3::", "a:1,2,999::", "a:-1,2,3::", "a:" + "9" * 5000, "a"])
def test_an_odd_line_of_a_label_map_is_told(tmp_path, numbers, line):
    write(tmp_path, *numbers)
    (tmp_path / "labelmap.txt").write_text("background:0,0,0::\n" + line)
    with pytest.raises(InputError, match="is not name:r,g,b::") as caught:
        from_voc(str(tmp_path))
    assert len(str(caught.value)) < 300


def test_classes_far_beyond_a_byte_are_told(tmp_path, numbers):
    objects, kinds = numbers
    write(tmp_path, objects, kinds)
    for value in (2**31 - 1, -5):
        kinds = np.where(objects == 1, value, 0).astype(np.int32)
        Image.fromarray(kinds).save(tmp_path / "SegmentationClass" / "one.png", "TIFF")
        with pytest.raises(InputError, match=f"object 1 is of class {value}; name it"):
            from_voc(str(tmp_path))
