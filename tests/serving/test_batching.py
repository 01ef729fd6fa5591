"""Clients of a server that merges their requests by the shipped settings."""

import os
import threading

import numpy as np
import pytest

from helpers.faults import Fault
from helpers.merging import Batching, parsed
from helpers.one_stack import on_stack_a
from helpers.paths import ROOT
from helpers.stand_in import rest_server
from tfmaskrcnn.serving import sending
from tfmaskrcnn.serving.client import RestClient, ServingError

pytestmark = on_stack_a

SLOW = 240.0  # seconds: under load an answer may take long
FULL_OF_TWO = Batching(2, 20_000_000, enable_large_batch_splitting=True)


def pictures(*sizes):
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (*size, 3), np.uint8) for size in sizes]


def shipped_settings():
    with open(os.path.join(ROOT, "export", "serving", "batching.config"), encoding="utf-8") as file:
        return parsed(file.read())


def both_at_once(url, one, other):
    """What two clients get that ask for a picture each, at the same time."""
    answers = {}

    def ask(name, image):
        try:
            answers[name] = RestClient(url, "maskrcnn", deadline=SLOW).predict([image])[0]
        except ServingError as error:
            answers[name] = error

    threads = [threading.Thread(target=ask, args=pair) for pair in ((0, one), (1, other))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SLOW)
    return answers[0], answers[1]


def test_five_images_of_our_client_pass_the_shipped_settings(model_rle):
    images = pictures((40, 60), (60, 40), (50, 50), (30, 70), (45, 45))
    with model_rle.batching(shipped_settings()) as merged, rest_server(model_rle) as url:
        found = RestClient(url, "maskrcnn", deadline=SLOW).predict(images)
    assert [instances.size for instances in found] == [image.shape[:2] for image in images]
    assert sorted(merged.batches) == [1, 4]


def test_arrays_of_different_sizes_do_not_fail_each_other(model_rle):
    small, large = pictures((40, 60), (60, 90))
    with model_rle.batching(FULL_OF_TWO) as merged, rest_server(model_rle) as url:
        found = both_at_once(url, small, large)
    assert [instances.size for instances in found] == [(40, 60), (60, 90)]
    assert merged.batches == [2]


def test_a_bad_image_fails_its_own_request_alone(model_rle):
    (good,) = pictures((40, 60))
    with model_rle.batching(FULL_OF_TWO) as merged, rest_server(model_rle) as url:
        found, error = both_at_once(url, sending.png_of(good), b"no image")
    assert found.size == (40, 60) and merged.batches == [2]
    # With `report` the sentence has the number in the request, not in the merged batch.
    assert str(error) == "Image 0 of the batch is no JPEG, PNG or BMP file."


def test_arrays_that_can_be_no_files_are_sent_again_when_others_came_between(model_rle):
    with rest_server(model_rle) as url:
        model_rle.requests = 0
        model_rle.faults = [
            Fault("FAILED_PRECONDITION", "have different shapes and padding is turned off."),
            Fault("INVALID_ARGUMENT", "the shape is another one"),
        ]
        with pytest.raises(ServingError, match="the arrays have 2 channels"):
            RestClient(url, "maskrcnn", deadline=SLOW).predict([np.zeros((4, 5, 2), np.uint8)])
    assert model_rle.requests == 2


def test_more_images_than_a_request_may_have_are_sent_in_several(model_rle):
    images = [sending.png_of(image) for image in pictures((40, 60), (60, 40), (50, 50))]
    with rest_server(model_rle) as url:
        serving = RestClient(url, "maskrcnn", deadline=SLOW, max_batch=2)
        model_rle.requests = 0
        assert [found.size for found in serving.predict(images)] == [(40, 60), (60, 40), (50, 50)]
        assert model_rle.requests == 2
        with pytest.raises(ServingError, match="^Image 2 of the batch is empty"):
            serving.predict([*images[:2], b""])
