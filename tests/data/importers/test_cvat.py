"""`data/importers/cvat.py`: shapes, groups, and XML that must not be trusted."""

import numpy as np
import pytest
from PIL import Image

from helpers.cases import case
from tfmaskrcnn.data.coco.segmentation import decode
from tfmaskrcnn.data.importers import from_cvat
from tfmaskrcnn.errors import InputError

LABELS = "<label><name>dog</name></label><label><name>cat</name></label>"
SQUARE = '<polygon label="cat" points="10.00,5.00;20.00,5.00;20.00,15.00;10.00,15.00"%s/>'


def write(folder, shapes, size='width="80" height="60"', start="", labels=LABELS):
    (folder / "images" / "deep").mkdir(parents=True, exist_ok=True)
    for name in ("a.png", "deep/b.png"):
        Image.new("RGB", (80, 60)).save(folder / "images" / name)
    meta = f"<meta><task><labels>{labels}</labels></task></meta>"
    one = f'<image id="7" name="deep/b.png" {size}>{shapes}</image>'
    none = '<image id="8" name="a.png" width="80" height="60"></image>'
    text = f'<?xml version="1.0" encoding="utf-8"?>{start}<annotations>{meta}{one}{none}'
    (folder / "annotations.xml").write_text(text + "</annotations>")
    return str(folder / "annotations.xml")


def test_labels_keep_their_order_and_images_lie_beside(tmp_path):
    found = from_cvat(write(tmp_path, SQUARE % ""))
    assert [c["name"] for c in found.coco["categories"]] == ["dog", "cat"]
    assert [i["file_name"] for i in found.coco["images"]] == ["a.png", "deep/b.png"]
    assert found.coco["annotations"][0]["bbox"] == [10, 5, 10, 10]
    assert found.coco["annotations"][0]["category_id"] == 2


def test_boxes_and_ellipses_turn_clockwise(tmp_path):
    box = '<box label="cat" xtl="10" ytl="20" xbr="30" ybr="24" rotation="90.0"/>'
    ellipse = '<ellipse label="cat" cx="40" cy="30" rx="20" ry="4" rotation="30"/>'
    one, other = from_cvat(write(tmp_path, box + ellipse)).coco["annotations"]
    np.testing.assert_allclose(one["bbox"], [18, 12, 4, 20])
    # Turned clockwise, the right end of the long axis goes down.
    points = np.reshape(other["segmentation"][0], (-1, 2))
    end = points[points[:, 0].argmax()]
    np.testing.assert_allclose(end, [40 + 20 * np.cos(np.pi / 6), 40], atol=1)


def test_a_mask_is_read_row_by_row(tmp_path):
    mask = '<mask label="dog" rle="1, 2, 3, 1, 1" left="5" top="10" width="4" height="2"/>'
    (annotation,) = from_cvat(write(tmp_path, mask)).coco["annotations"]
    expected = np.zeros((60, 80), bool)
    expected[10, 6:8] = expected[11, 7] = True  # 0110 above 0010
    np.testing.assert_array_equal(decode(annotation["segmentation"], 60, 80), expected)


def test_shapes_of_a_group_are_one_object_and_lines_are_counted(tmp_path):
    line = '<polyline label="cat" points="1,1;2,2"/><tag label="cat"/>'
    path = write(tmp_path, SQUARE % ' group_id="4"' + SQUARE % ' group_id="4"' + line)
    found = from_cvat(path)
    assert [len(a["segmentation"]) for a in found.coco["annotations"]] == [2]
    assert found.left_out == {"of the kind 'polyline', which is no area": 1}


@pytest.mark.parametrize(
    "shapes, said",
    [
        ('<polygon label="cat" points="1,1;2"/>', "<polygon> 0 is wrong: its point .2. is not x,y"),
        ('<polygon label="cat"/>', "<polygon> 0 has no 'points'"),
        ('<blob label="cat"/>', "wanted a polygon, box, ellipse or mask"),
        ('<box label="cow" xtl="1" ytl="2" xbr="3" ybr="4"/>', "its class 'cow' is not declared"),
        (
            '<mask label="cat" rle="1, 2" left="5" top="1" width="4" height="2"/>',
            r"its runs add up to 3, the least is 1, wanted 2 \* 4",
        ),
        (
            '<mask label="cat" rle="1, 7" left="78" top="1" width="4" height="2"/>',
            "it leaves the image of 60 x 80 pixels",
        ),
    ],
)
def test_a_wrong_shape_is_named_or_skipped(tmp_path, shapes, said):
    path = write(tmp_path, shapes + SQUARE % "")
    with pytest.raises(InputError, match=f"annotations.xml: deep/b.png: .*{said}"):
        from_cvat(path)
    assert len(from_cvat(path, skip_invalid=True).coco["annotations"]) == 1


def test_entities_are_not_expanded(tmp_path):
    bomb = '<!DOCTYPE a [<!ENTITY x "yyyyyyyyyy"><!ENTITY z "&x;&x;&x;&x;">]>'
    with pytest.raises(InputError, match="has a DOCTYPE, which is not read"):
        from_cvat(write(tmp_path, SQUARE % "", start=bomb))


def test_other_xml_is_refused(tmp_path):
    path = tmp_path / "a.xml"
    for text, said in (
        ("<annotation/>", "is a <annotation>; wanted the export 'CVAT for images 1.1'"),
        ("<annotations><track/></annotations>", "holds tracks of a video"),
        ("<annotations>", "is not valid XML: no element found"),
        ("<annotations><image/></annotations>", "<image> has no 'name'"),
    ):
        path.write_text(text)
        with pytest.raises(InputError, match=said):
            from_cvat(str(path))
    with pytest.raises(InputError, match="but was annotated at 6 x 80"):
        from_cvat(write(tmp_path, "", size='width="80" height="6"'))


def hostile(name, **options):
    return from_cvat(str(case(f"hostile/{name}")), str(case("hostile/images")), **options)


def test_sizes_may_be_written_with_a_point_case_cvat_width_text():
    found = hostile("cvat_width_text.xml")
    assert [i["width"] for i in found.coco["images"]] == [50, 30]
    assert len(found.coco["annotations"]) == 5


def test_a_label_without_a_name_is_nobodys_case_cvat_label_empty():
    with pytest.raises(InputError, match="its class 'nut' is not declared, but 'bolt'"):
        hostile("cvat_label_empty.xml")
    found = hostile("cvat_label_empty.xml", skip_invalid=True)
    assert [c["name"] for c in found.coco["categories"]] == ["bolt"]


@pytest.mark.parametrize(
    "size", ["", 'width="80"', 'width="" height=" "', 'width="80" height="60.0"']
)
def test_sizes_that_are_not_there_are_those_of_the_file(tmp_path, size):
    assert len(from_cvat(write(tmp_path, SQUARE % "", size)).coco["annotations"]) == 1


@pytest.mark.parametrize("size", ["abc", "nan", "1e300", "50.5", "9" * 500])
def test_a_size_that_is_none_is_told(tmp_path, size):
    with pytest.raises(InputError, match="deep/b.png: its height is .*, wanted a") as caught:
        from_cvat(write(tmp_path, SQUARE % "", f'width="80" height="{size}"'))
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    "shape, said",
    [
        ('<polygon label="cat" points="1,2,3;4,5;6,7"/>', "point '1,2,3' is not x,y"),
        ('<polygon label="cat" points=""/>', "point '' is not x,y"),
        ('<polygon label="cat" points="1,nan;4,5;6,7"/>', "y is 'nan', wanted a finite number"),
        ('<polygon label="cat" points="1,1e12;4,5;6,7"/>', "10 sides outside"),
        ('<ellipse label="cat" cx="1" cy="1" rx="1e12" ry="5"/>', "10 sides outside"),
        ('<ellipse label="cat" cx="1" cy="1" rx="-4" ry="5"/>', "a polygon has 0 coordinates"),
        ('<box label="cat" xtl="1" ytl="1" xbr="5"/>', "has no 'ybr'"),
        ('<box label="cat" xtl="1" ytl="1" xbr="5" ybr="4" rotation="x"/>', "rotation is 'x'"),
        ('<box xtl="1" ytl="1" xbr="5" ybr="4"/>', "its class is None, wanted a name"),
        ('<mask label="cat" rle="1,x" left="0" top="0" width="1" height="1"/>', "rle is '1,x'"),
        (
            '<mask label="cat" rle="0,1" left="0" top="0" width="1000000" height="1000000"/>',
            "leaves the image of 60 x 80",
        ),
        (
            '<mask label="cat" rle="0,20" left="0" top="0" width="-4" height="-5"/>',
            "its window is -5 x -4 pixels",
        ),
        (f'<mask label="cat" rle="0,{"9" * 500}" left="0" top="0" width="4" height="5"/>', "runs"),
    ],
)
def test_a_hostile_shape_is_told_and_skipped(tmp_path, shape, said):
    path = write(tmp_path, shape + SQUARE % "")
    with pytest.raises(InputError, match=f"deep/b.png: <.*{said}") as caught:
        from_cvat(path)
    assert len(str(caught.value)) < 500
    assert len(from_cvat(path, skip_invalid=True).coco["annotations"]) == 1


def test_group_0_is_no_group(tmp_path):
    path = write(tmp_path, SQUARE % ' group_id="0"' + SQUARE % ' group_id="0"')
    assert len(from_cvat(path).coco["annotations"]) == 2


def test_a_folder_is_told_what_to_give(tmp_path):
    write(tmp_path, "")
    with pytest.raises(InputError, match="is a folder; wanted the file annotations.xml.* 2 .png"):
        from_cvat(str(tmp_path))
