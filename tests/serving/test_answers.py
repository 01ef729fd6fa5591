"""Servers that answer anything: `Instances`, or a sentence."""

import contextlib
import http.server
import json
import os
import socket
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from helpers.local_server import served
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.serving import answers, client, posting

ROW = {
    "detection_boxes": [[0.0, 0.0, 0.5, 0.5]],
    "detection_scores": [0.9],
    "detection_classes": [1.0],
    "num_detections": 1.0,
    "image_size": [6, 9],
}


def answering(status, *bodies):
    """Serve these answers, one after the other, the last one for ever; gives the address."""
    left = list(bodies)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.end_headers()
            with contextlib.suppress(OSError):
                self.wfile.write(left.pop(0) if len(left) > 1 else left[0])

        def log_message(self, *_):
            """Keep quiet."""

    return served(Handler)


def error_of(status, body, model="leaves"):
    with answering(status, body) as url, pytest.raises(client.ServingError) as error:
        client.RestClient(url, model, deadline=20, attempts=1).predict([b"x"])
    assert len(str(error.value)) < 400
    return str(error.value)


def row(**changes):
    return json.dumps({"predictions": [{**ROW, **changes}]}).encode()


def test_an_answer_in_tf_serving_s_form_is_instances():
    with answering(200, row()) as url:
        (found,) = client.RestClient(url, "leaves").predict([b"x"])
    assert found.size == (6, 9) and found.boxes.tolist() == [[0, 0, 3, 4.5]]


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"<html>", b"[]", b"{}", b"7", b"null", b"\xff", b'"text"'),
        *(b'{"predictions": 5}', b'{"predictions": []}', b'{"predictions": [5]}'),
        *(b'{"outputs": {}}', b"[" * 100_000, b'{"predictions": [{"a": 1}, {"b": 1}]}'),
    ],
)
def test_an_answer_that_is_no_predictions_is_quoted(body):
    sentence = error_of(200, body)
    assert "/v1/models/leaves:predict answers with no predictions of TF Serving but" in sentence


def test_another_model_s_answer_names_what_it_gives():
    sentence = error_of(200, b'{"predictions": [{"logits": [1, 2]}]}')
    assert sentence.startswith("the model 'leaves' gives no detection_boxes but ['logits']; wanted")
    assert error_of(200, b'{"predictions": [[1, 2], [3]]}').startswith("http://")


@pytest.mark.parametrize(
    "changes",
    [
        *({"image_size": value} for value in (None, [], [6], [0, 9], [-1, 9], ["a", "b"], 7)),
        *({"image_size": [10**9, 10**9]}, {"image_size": [float("nan"), 3]}),
        *({"num_detections": value} for value in (7, -2, None, "x", 1e300, float("inf"))),
        *({"detection_boxes": value} for value in (None, [[1, 2]], [["a"] * 4], 5)),
        {"detection_boxes": [[float("nan")] * 4]},
        *({"detection_scores": value} for value in ([], ["x"], None, [float("inf")])),
        {"detection_masks": [[1, 2], 3]},
        {"detection_masks_rle": 5},
        {"detection_keypoints": [[1.0]]},
    ],
)
def test_outputs_of_other_shapes_are_a_sentence(changes):
    assert "gives outputs of other shapes than an exported model" in error_of(200, row(**changes))


def test_another_number_of_images_is_a_sentence():
    body = json.dumps({"predictions": [ROW, ROW]}).encode()
    assert "2 images, 1 were sent" in error_of(200, body)


def test_an_error_names_the_model_or_quotes_the_page():
    missing = b'{"error": "Servable not found for request: Latest(leaves)"}'
    assert "has no model 'leaves': Servable not found" in error_of(404, missing)
    assert error_of(502, b"<html>Bad Gateway</html>").startswith(
        "HTTP status 502: <html>Bad Gateway</html>"
    )
    assert error_of(500, b"") == "HTTP status 500"
    assert error_of(500, b'{"error": [1]}') == "[1]"
    assert "HTTP status 400" in error_of(400, b'{"other": 1}')


def test_arrays_that_a_server_refuses_are_told_their_channels():
    body = b'{"error": "Input to reshape is a tensor"}'
    with answering(400, body) as url:
        serving = client.RestClient(url, "leaves")
        for channels, wanted in ((2, " (the arrays have 2 channels, most models take"), (3, "")):
            with pytest.raises(client.ServingError) as error:
                serving.predict([np.zeros((2, 2, channels), np.uint8)])
            assert str(error.value).startswith(f"Input to reshape is a tensor{wanted}")
            assert bool(wanted) == ("channels" in str(error.value))


def test_an_answer_without_end_is_cut(monkeypatch):
    monkeypatch.setattr(posting, "MAX_ANSWER", 100_000)
    assert "more than 100000 bytes; send fewer images" in error_of(200, b" " * 200_000)


def test_a_server_that_is_not_there_or_hangs_up_is_named():
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]

    def hang_up():
        with contextlib.suppress(OSError):
            while True:
                listener.accept()[0].close()

    threading.Thread(target=hang_up, daemon=True).start()
    serving = client.RestClient(f"http://127.0.0.1:{port}", "leaves", deadline=10, attempts=2)
    with pytest.raises(client.ServingError, match=f"no answer from http://127.0.0.1:{port}/v1"):
        serving.predict([b"x"])
    listener.close()
    time.sleep(0.1)
    for address in (f"http://127.0.0.1:{port}", "http://no.such.host.invalid"):
        serving = client.RestClient(address, "leaves", deadline=10, attempts=1)
        with pytest.raises(client.ServingError, match="no answer from http://.*after 1 attempts"):
            serving.predict([b"x"])


@pytest.mark.parametrize(
    "url",
    [
        *("", "localhost:8501", "file:///etc/passwd", "ftp://localhost", "http://", 7, None),
        *(
            "http://a b",
            "http://localhost:99999",
            "http://localhost:x",
            "http://x\n",
            "http://[::1",
        ),
        *("http://" + "a" * 70, "http://..", "http://host?x=1"),
    ],
)
def test_what_is_no_address_is_refused(url):
    with pytest.raises(
        InputError, match="is no address of a server, such as http://localhost:8501"
    ):
        client.RestClient(url, "leaves")


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf"), 1e9, None, "soon"])
def test_a_deadline_is_a_number_of_seconds(value):
    with pytest.raises(InputError, match="deadline is .*; wanted seconds above 0"):
        client.RestClient("http://localhost", "leaves", deadline=value)
    if value is not None:
        with pytest.raises(InputError, match="deadline is"):
            client.RestClient("http://localhost", "leaves").predict([b"x"], deadline=value)


def test_other_arguments_that_are_none_are_refused(tmp_path):
    for name in ("attempts", "max_batch"):
        for number in (0, -1, 1.5, None):
            with pytest.raises(InputError, match=f"{name} is"):
                client.RestClient("http://localhost", "leaves", **{name: number})
    for model in ("", None, "leaves/versions/", "leaves/versions/x", "/versions/3"):
        with pytest.raises(InputError, match="model is"):
            client.RestClient("http://localhost", model)
    path = tmp_path / "config.json"
    for text in ("", "[]", "7", '{"class_names": 5}', '{"mask_head": 5}', '{"input": []}', "\x00"):
        path.write_text(text)
        with pytest.raises(InputError, match=str(path)):
            client.RestClient("http://localhost", "leaves", config=str(path))
    with pytest.raises(InputError, match="Cannot read"):
        client.RestClient("http://localhost", "leaves", config=str(tmp_path / "missing.json"))
    assert "a%20b%0A" in client.RestClient("http://localhost", "a b\n").url


def run(*arguments):
    command = [sys.executable, "-m", "tfmaskrcnn.serving.client", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert "Traceback" not in done.stderr
    return done


def test_the_command_line_names_each_image_that_fails_and_goes_on(tmp_path, monkeypatch, capsys):
    names = [str(tmp_path / name) for name in ("a", "b", "c")]
    for name in names:
        (tmp_path / name).write_bytes(b"x")
    bad = json.dumps({"predictions": [{**ROW, "image_errors": "is empty (0 bytes)"}]}).encode()
    with answering(200, row(), bad, row()) as url:
        assert client.main([*names, "--url", url]) == 1
    shown = capsys.readouterr()
    assert f"{names[0]}: 6 x 9, 1 objects" in shown.out
    assert f"{names[2]}: 6 x 9, 1 objects" in shown.out
    assert shown.err == f"{names[1]}: Image 0 of the batch is empty (0 bytes).\n"


def test_the_command_line_stops_where_the_next_image_would_fail_as_well(tmp_path, capsys):
    (tmp_path / "a").write_bytes(b"x")
    path = str(tmp_path / "a")
    with answering(404, b'{"error": "no"}') as url:
        assert client.main([path, path, "--url", url]) == 1
    assert capsys.readouterr().err.count("has no model 'maskrcnn': no") == 1


def test_what_is_no_file_is_told_before_a_server_is_asked(tmp_path, capsys):
    for path, sentence in (
        (tmp_path, "is a folder; give its images"),
        (tmp_path / "missing.jpg", "No such file"),
        ("https://example.org/a.jpg", "is an address; download the image"),
        ("a\0b", "null byte"),
        ("\udcff", "No such file"),
    ):
        assert client.main([os.fspath(path), "--url", "http://127.0.0.1:1"]) == 2
        shown = capsys.readouterr()
        assert sentence in shown.err and shown.err.startswith("client: ") and not shown.out
    assert client.main([__file__, "--url", "localhost:8501"]) == 2
    assert client.main([__file__, "--grpc", "http://localhost:8500"]) == 2
    assert client.main([__file__, "--deadline", "nan"]) == 2


def test_the_last_attempt_s_sentence_reaches_the_terminal(tmp_path):
    (tmp_path / "a").write_bytes(b"x")
    done = run(tmp_path / "a", "--url", "http://127.0.0.1:1", "--deadline", "0.3")
    assert done.returncode == 1 and "Connection refused" in done.stderr


def test_a_sentence_is_found_in_what_tensorflow_writes():
    assert answers.sentence_of("x assertion failed: [Image 0 is bad.] y") == "Image 0 is bad."
    assert answers.sentence_of(None) is None
    assert np.isfinite(answers.MAX_ANSWER)


def test_what_a_server_says_is_printed_whatever_it_is():
    assert (
        error_of(400, b'{"error": "half \\ud800 and\\ntwo lines"}') == "half \\ud800 and two lines"
    )
    assert error_of(500, b'{"error": ""}') == 'HTTP status 500: {"error": ""}'
    row = {**ROW, "image_errors": "is \ud800"}
    said = error_of(200, json.dumps({"predictions": [row]}).encode())
    assert said == "Image 0 of the batch is \\ud800."
