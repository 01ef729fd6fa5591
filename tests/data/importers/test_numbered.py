"""`data/importers/numbered.py`: against comparing each value with all pixels."""

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from tfmaskrcnn.data.importers.numbered import objects_of
from tfmaskrcnn.errors import InputError


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32])
@pytest.mark.parametrize("seed", range(7))
def test_each_value_but_0_is_an_object(seed, dtype):
    rng = np.random.default_rng(seed)
    values = rng.choice([0, 1, 7, 200], rng.integers(1, 12, 2)).astype(dtype)
    values[: seed // 3] = 0
    found = list(objects_of(values, "here"))
    assert [o.number for o in found] == [v for v in np.unique(values) if v]
    for one in found:
        np.testing.assert_array_equal(coco_mask.decode(one.rle) > 0, values == one.number)
        assert (values.T.reshape(-1)[one.places] == one.number).all()


def test_more_values_than_16_bits_are_a_picture():
    values = np.arange(70_000, dtype=np.int32).reshape(350, 200)
    with pytest.raises(InputError, match="here holds 70000 different values, which is a picture"):
        list(objects_of(values, "here"))
