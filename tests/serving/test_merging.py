"""The stand-in server merges as TF Serving does: cases that can be checked by hand."""

import os
import threading

import numpy as np
import pytest

from helpers.faults import Fault
from helpers.merging import Batching, Merged, parsed
from helpers.paths import ROOT

LONG = 10_000_000  # microseconds that a batch which is not full would wait


def doubled(key, inputs):
    return {"y": inputs["x"] * 2}


def at_once(merged, *requests, key="s"):
    """What each of the requests gets, which come one after the other before any is answered."""
    answers = [None] * len(requests)

    def ask(i):
        try:
            answers[i] = merged(key, {"x": np.asarray(requests[i], np.uint8)})["y"].tolist()
        except Fault as fault:
            answers[i] = fault

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(len(requests))]
    for thread in threads:
        thread.start()
        thread.join(0.05)  # it waits for others, so it does not end
    for thread in threads:
        thread.join(20)
    return answers


def test_requests_are_merged_until_a_batch_is_full():
    merged = Merged(doubled, Batching(max_batch_size=3, batch_timeout_micros=LONG))
    assert at_once(merged, [1], [2, 3]) == [[2], [4, 6]]
    assert merged.batches == [3]


def test_a_batch_that_is_not_full_waits_for_its_time():
    merged = Merged(doubled, Batching(max_batch_size=3, batch_timeout_micros=150_000))
    assert at_once(merged, [1], [2]) == [[2], [4]]
    assert merged.batches == [2]


def test_a_request_that_does_not_fit_opens_the_next_batch():
    merged = Merged(doubled, Batching(max_batch_size=3, batch_timeout_micros=200_000))
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

    batching = Batching(4, 150_000, allowed_batch_sizes=(1, 4))
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

    merged = Merged(run, Batching(2, 300_000))
    first, bad, other = at_once(merged, [1], [9], [3])
    assert first.text == bad.text == "Image 1 of the batch is empty."
    assert other == [6]


def test_signatures_have_batches_of_their_own():
    merged, answers = Merged(doubled, Batching(2, 100_000)), []
    threads = [
        threading.Thread(
            target=lambda key=key: answers.append(at_once(merged, [1], key=key)), daemon=True
        )
        for key in "ab"
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert answers == [[[2]], [[2]]] and merged.batches == [1, 1]


def test_a_full_queue_is_unavailable():
    go_on = threading.Event()

    def run(key, inputs):
        go_on.wait(20)
        return doubled(key, inputs)

    merged = Merged(run, Batching(1, 0, max_enqueued_batches=1, num_batch_threads=1))
    threading.Timer(0.5, go_on.set).start()
    first, second, third = at_once(merged, [1], [2], [3])
    assert (first, second) == ([2], [4]) and third.code == "UNAVAILABLE"


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
