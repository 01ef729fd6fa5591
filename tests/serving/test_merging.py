"""The stand-in server merges as TF Serving does: cases that can be checked by hand."""

import os
import threading
import time

import numpy as np
import pytest

from helpers.faults import Fault
from helpers.merging import Batching, Merged, parsed
from helpers.paths import ROOT

LONG = 10_000_000  # microseconds that a batch which is not full would wait


def doubled(key, inputs):
    return {"y": inputs["x"] * 2}


def asking(merged, rows, answers, key="s"):
    """A thread that puts what the server says into `answers`, once it has taken the request."""

    def ask():
        try:
            answers.append(merged(key, {"x": np.asarray(rows, np.uint8)})["y"].tolist())
        except Fault as fault:
            answers.append(fault)

    before, thread = merged.asked, threading.Thread(target=ask, daemon=True)
    thread.start()
    while thread.is_alive() and merged.asked == before:
        time.sleep(0.002)
    return thread


def at_once(merged, *requests):
    """What each of the requests gets, which come one after the other before the time is over."""
    answers = [[] for _ in requests]
    threads = [asking(merged, *pair) for pair in zip(requests, answers)]
    merged.flush()
    for thread in threads:
        thread.join(60)
    return [answer[0] for answer in answers]


def test_requests_are_merged_until_a_batch_is_full():
    merged = Merged(doubled, Batching(max_batch_size=3, batch_timeout_micros=LONG))
    assert at_once(merged, [1], [2, 3]) == [[2], [4, 6]]
    assert merged.batches == [3]


def test_a_batch_that_is_not_full_waits_for_its_time():
    merged = Merged(doubled, Batching(max_batch_size=3, batch_timeout_micros=30_000))
    start = time.monotonic()
    assert merged("s", {"x": np.uint8([1])})["y"].tolist() == [2]
    assert time.monotonic() - start > 0.02
    merged = Merged(doubled, Batching(max_batch_size=3, batch_timeout_micros=LONG))
    assert at_once(merged, [1], [2]) == [[2], [4]]
    assert merged.batches == [2]


def test_a_request_that_does_not_fit_opens_the_next_batch():
    merged = Merged(doubled, Batching(max_batch_size=3, batch_timeout_micros=LONG))
    assert at_once(merged, [1, 2], [3, 4]) == [[2, 4], [6, 8]]
    assert merged.batches == [2, 2]


def test_larger_requests_than_max_batch_size_are_refused_whether_or_not_they_could_be_split():
    for splitting in (False, True):
        merged = Merged(doubled, Batching(4, enable_large_batch_splitting=splitting))
        (fault,) = at_once(merged, [1] * 5)
        assert fault.code == "INVALID_ARGUMENT" and merged.batches == []
        assert fault.text == "Task size 5 is larger than maximum input batch size 4"


def test_splitting_fills_the_open_batch_and_keeps_the_order():
    batching = Batching(
        64, LONG, enable_large_batch_splitting=True, max_execution_batch_size=4, num_batch_threads=1
    )
    merged = Merged(doubled, batching)
    assert at_once(merged, [1], [2, 3, 4, 5, 6, 7, 8]) == [[2], [4, 6, 8, 10, 12, 14, 16]]
    assert merged.batches == [4, 4]


def test_rows_are_added_up_to_an_allowed_size_and_taken_away_again():
    seen = []

    def run(key, inputs):
        seen.append(inputs["x"].tolist())
        return doubled(key, inputs)

    batching = Batching(4, LONG, allowed_batch_sizes=(1, 4))
    assert at_once(Merged(run, batching), [1], [7, 8]) == [[2], [14, 16]]
    assert seen == [[1, 7, 8, 7]]  # the first row of the last request


def test_different_shapes_fail_all_requests_of_a_batch_unless_they_are_padded():
    wide, narrow = [[1, 2, 3]], [[4, 5]]
    batching = Batching(2, LONG)
    for fault in at_once(Merged(doubled, batching), wide, narrow):
        assert fault.code == "FAILED_PRECONDITION"
        assert "different shapes and padding is turned off" in fault.text
    padded = Merged(doubled, batching._replace(pad_variable_length_inputs=True))
    assert at_once(padded, wide, narrow) == [[[2, 4, 6]], [[8, 10, 8]]]  # by its first value


def test_what_fails_a_batch_fails_all_its_requests_and_no_other():
    def run(key, inputs):
        if 9 in inputs["x"]:
            raise Fault("INVALID_ARGUMENT", "Image 1 of the batch is empty.")
        return doubled(key, inputs)

    merged = Merged(run, Batching(2, LONG))
    first, bad, other = at_once(merged, [1], [9], [3])
    assert first.text == bad.text == "Image 1 of the batch is empty."
    assert other == [6]


def test_signatures_have_batches_of_their_own():
    merged, answers = Merged(doubled, Batching(2, LONG)), []
    threads = [asking(merged, [1], answers, key) for key in "ab"]
    merged.flush()
    for thread in threads:
        thread.join(60)
    assert answers == [[2], [2]] and merged.batches == [1, 1]


def test_a_full_queue_is_unavailable():
    runs, go_on, answers = threading.Event(), threading.Event(), []

    def run(key, inputs):
        runs.set()
        go_on.wait(60)
        return doubled(key, inputs)

    merged = Merged(run, Batching(1, 0, max_enqueued_batches=1, num_batch_threads=1))
    first = asking(merged, [1], answers)
    runs.wait(60)  # it waits no longer
    second = asking(merged, [2], answers)
    with pytest.raises(Fault, match="queue to which this task was submitted is full") as error:
        merged("s", {"x": np.uint8([3])})
    go_on.set()
    first.join(60), second.join(60)
    assert error.value.code == "UNAVAILABLE" and sorted(answers) == [[2], [4]]


def test_outputs_without_a_row_for_each_input_are_refused():
    merged = Merged(lambda *_: {"y": np.zeros(3)}, Batching(2))
    (fault,) = at_once(merged, [1])
    assert "Batched output tensor's 0th dimension does not equal" in fault.text


@pytest.mark.parametrize(
    "text, sentence",
    [
        ("max_batch { value: 4 }", "no fields"),
        ("max_batch_size: 4", "another way"),
        ("pad_variable_length_inputs { value: true }", "another way"),
        ("max_batch_size { 4 }", "no BatchingParameters"),
        ("max_batch_size { value: 4 }\nallowed_batch_sizes: 2", "must match max_batch_size"),
    ],
)
def test_a_settings_file_that_the_server_would_refuse_is_refused(text, sentence):
    with pytest.raises(ValueError, match=sentence):
        parsed(text)


@pytest.mark.parametrize("name", ["batching.config", "batching.gpu.config"])
def test_the_shipped_settings_are_the_server_s(name):
    with open(os.path.join(ROOT, "export", "serving", name), encoding="utf-8") as file:
        batching = parsed(file.read())
    assert batching.enable_large_batch_splitting
    assert batching.max_execution_batch_size < batching.max_batch_size == 64
