"""Pipes and devices in the place of files are refused: they would wait, or never end."""

import os

import pytest

from tfmaskrcnn.checkpoints.keras_h5 import read_keras_h5
from tfmaskrcnn.checkpoints.torch_reader import read_torch
from tfmaskrcnn.data.checking import check
from tfmaskrcnn.data.coco.image_files import image_facts, read_image
from tfmaskrcnn.data.shapes import write_shapes
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.inference.runtimes.tflite_structure import check_tflite
from tfmaskrcnn.inference.score_thresholds import weights_digest
from tfmaskrcnn.support.array_files import read_arrays


@pytest.fixture(params=["pipe", "/dev/zero"])
def odd(request, tmp_path):
    """A path of what is no regular file, as a stranger's folder may have it."""
    path = tmp_path / "odd.npz"
    if request.param == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(request.param)
    return str(path)


@pytest.mark.parametrize(
    "read",
    [
        read_arrays,
        weights_digest,
        read_torch,
        read_keras_h5,
        check_tflite,
        read_image,
        lambda path: image_facts(path, 3),
    ],
)
def test_what_is_no_file_is_refused_at_once(odd, read):
    with pytest.raises(InputError, match="no regular file"):
        read(odd)


def test_pipes_among_the_images_of_a_set_are_told(tmp_path):
    json_path, images = write_shapes(str(tmp_path), num_images=3, height=64, width=64)
    names = sorted(os.listdir(images))
    for name in names[:2]:
        os.remove(os.path.join(images, name))
        os.mkfifo(os.path.join(images, name))
    result = check(json_path, images)
    told = [f for f in result.findings if "no regular file" in f.message or "exist" in f.message]
    assert len(told) == 2
