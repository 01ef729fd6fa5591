"""`data/augment/moving.py`: what the other tests of the pipeline do not see."""

import threading
import time

import numpy as np
import pytest

from tfmaskrcnn.config.model import InputConfig
from tfmaskrcnn.data.augment import moving
from tfmaskrcnn.data.augment.moving import _Running, fill_colour
from tfmaskrcnn.errors import InputError


def test_the_end_of_the_program_waits_for_what_runs_and_lets_nothing_begin():
    running, ended = _Running(), []

    def work():
        with running:
            time.sleep(0.3)
            ended.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    time.sleep(0.05)
    running.finish()
    assert ended
    with pytest.raises(InputError, match="The program ends"):
        running.__enter__()
    thread.join()


def test_a_program_that_never_read_an_image_ends_at_once(monkeypatch):
    monkeypatch.setattr(moving.time, "sleep", lambda seconds: pytest.fail("it waits"))
    _Running().finish()


def test_a_turned_image_is_filled_as_padding_looks():
    colours = {"mean": (10, 20, 30), "std": (1, 1, 1)}
    np.testing.assert_array_equal(fill_colour(InputConfig(**colours)), [10, 20, 30])
    np.testing.assert_array_equal(fill_colour(InputConfig(**colours, order="bgr")), [30, 20, 10])
    centred = InputConfig(**colours, padding="centred", max_side=1024)
    np.testing.assert_array_equal(fill_colour(centred), [0, 0, 0])
