"""`data/importers/task_images.py`: which file an address of Label Studio means."""

import pytest

from tfmaskrcnn.data.importers.task_images import task_image


@pytest.mark.parametrize(
    ("address", "wanted"),
    [
        ("/data/local-files/?d=a.png", "a.png"),
        ("/data/local-files/?d=x/a.png", "x/a.png"),  # not a.png, which is there too
        ("/data/local-files/?d=photos%2Fx%20y%2Fa.png", "x y/a.png"),
        ("http://host/photos/x%20y/a.png?version=1", "x y/a.png"),
        ("/data/upload/1/1a2b3c4d-a.png", "a.png"),
        ("x\\a.png", "x/a.png"),
    ],
)
def test_an_image_in_a_folder_is_not_another_of_the_same_name(tmp_path, address, wanted):
    for name in ("a.png", "x/a.png", "x y/a.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert task_image({"data": {"image": address}}, str(tmp_path), "here") == wanted
