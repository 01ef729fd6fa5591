"""`data/importers/xml_files.py`: encodings, and XML that must not be trusted."""

import pytest

from helpers.cases import case
from tfmaskrcnn.data.importers import from_cvat
from tfmaskrcnn.data.importers.xml_files import read_xml
from tfmaskrcnn.errors import InputError

HOSTILE = "hostile/cvat_width_text.xml"


@pytest.mark.parametrize(
    "declared, encoding, name",
    [
        ("UTF-16", "utf-16", "гайка"),
        ("windows-1251", "cp1251", "гайка"),
        ("ISO-8859-1", "latin-1", "écrou"),
        ("cp850", "cp850", "écrou"),
        ("utf-8", "utf-8-sig", "гайка"),
    ],
)
def test_an_encoding_that_the_file_declares_is_read(tmp_path, declared, encoding, name):
    text = case(HOSTILE).read_text().replace("utf-8", declared).replace("nut", name)
    path = tmp_path / "annotations.xml"
    path.write_bytes(text.encode(encoding))
    found = from_cvat(str(path), str(case("hostile/images")))
    assert [c["name"] for c in found.coco["categories"]] == [name, "bolt"]


@pytest.mark.parametrize("declared", ["klingon", "shift_jis", "zlib", "punycode", "utf-7", ""])
def test_an_unknown_encoding_is_told_in_a_sentence(tmp_path, declared):
    path = tmp_path / "a.xml"
    path.write_bytes(f'<?xml version="1.0" encoding="{declared}"?><a>\xe9</a>'.encode("latin-1"))
    with pytest.raises(InputError, match=r"a\.xml is (XML that cannot|not valid XML)"):
        read_xml(str(path))


@pytest.mark.parametrize("content", [b"", b"\0" * 50, bytes(range(256)), b"<a>", b"\xff\xfe<"])
def test_what_is_no_xml_is_told_in_a_sentence(tmp_path, content):
    path = tmp_path / "a.xml"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"a\.xml is "):
        read_xml(str(path))
    with pytest.raises(InputError, match="Cannot read"):
        read_xml(str(tmp_path / "none.xml"))


def test_a_hundred_thousand_elements_in_each_other_do_no_harm(tmp_path):
    path = tmp_path / "a.xml"
    path.write_text("<annotations>" + "<image>" * 100_000 + "</image>" * 100_000 + "</annotations>")
    with pytest.raises(InputError, match="<image> has no 'name'"):
        from_cvat(str(path), str(tmp_path))
