"""The clients against a small server that speaks TF Serving's protocols in this process."""

import contextlib
import io
import os
import socket
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from PIL import Image

from helpers import stand_in
from tfmaskrcnn.inference.exported import saved_model_predictor
from tfmaskrcnn.serving import client
from tfmaskrcnn.serving.retrying import TryAgain, retried

try:
    import grpc  # noqa: F401
    from tensorflow_serving.apis import predict_pb2  # noqa: F401

    NO_GRPC = None
except ImportError as error:
    NO_GRPC = f"the extra 'serving' is not installed: {error}"

PROTOCOLS = [
    "rest",
    pytest.param("grpc", marks=pytest.mark.skipif(bool(NO_GRPC), reason=str(NO_GRPC))),
]
SLOW = 60.0  # seconds: under load an answer may take long


def encoded(*size):
    image = np.random.default_rng(size[0]).integers(0, 256, (*size, 3), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "PNG")
    return image, stream.getvalue()


@contextlib.contextmanager
def connected(protocol, model, name="maskrcnn", **options):
    options.setdefault("deadline", SLOW)
    serve = stand_in.rest_server if protocol == "rest" else stand_in.grpc_server
    kind = client.RestClient if protocol == "rest" else client.GrpcClient
    with serve(model) as address:
        model.requests, model.faults = 0, []
        yield kind(address, name, **options)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_files_of_mixed_sizes_come_back_as_instances_with_masks(protocol, model, exported):
    config = os.path.join(exported, "assets", "config.json")
    (a, file_a), (_, file_b) = encoded(60, 90), encoded(96, 128)
    expected = saved_model_predictor(exported)([a])[0]
    with connected(protocol, model, config=config) as serving:
        (found,) = serving.predict([file_a])
        both = serving.predict([file_a, file_b])
        arrays = serving.predict([a])
    assert [instances.size for instances in both] == [(60, 90), (96, 128)]
    assert found.paste_rule == "torchvision" and found.names[0] in ("circle", "square", "triangle")
    assert len(found) == len(expected) > 0
    for other in (found, arrays[0]):
        np.testing.assert_allclose(other.boxes, expected.boxes, atol=1e-3)
        np.testing.assert_allclose(other.scores, expected.scores, atol=1e-5)
        np.testing.assert_array_equal(other.classes, expected.classes)
        assert other.masks.shape == (len(found), 60, 90) and other.masks.dtype == bool
        assert (other.masks != expected.masks).mean() < 1e-3


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_rle_comes_back_as_the_same_masks(protocol, model_rle, exported_rle):
    image, file = encoded(60, 90)
    expected = saved_model_predictor(exported_rle)([image])[0]
    with connected(protocol, model_rle) as serving:
        (found,) = serving.predict([file])
    assert found.rle() == expected.rle()
    np.testing.assert_array_equal(found.masks, expected.masks)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_what_the_model_says_of_a_bad_image_is_the_error(protocol, model):
    with connected(protocol, model) as serving:
        with pytest.raises(client.ServingError) as error:
            serving.predict([encoded(60, 90)[1], b"no image"])
        assert str(error.value) == "Image 1 of the batch is no JPEG, PNG or BMP file."
        assert error.value.code in (400, "INVALID_ARGUMENT")
        assert model.requests == 1  # the same question gets the same answer


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_reported_error_is_raised_as_well(protocol, model_rle):
    with connected(protocol, model_rle) as serving:
        with pytest.raises(client.ServingError) as error:
            serving.predict([encoded(60, 90)[1], b""])
        assert str(error.value) == "Image 1 of the batch is empty (0 bytes)."


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_unavailable_server_is_asked_again(protocol, model):
    with connected(protocol, model) as serving:
        model.faults = [stand_in.Fault("UNAVAILABLE", "loading")] * 2
        assert len(serving.predict([encoded(60, 90)[1]])) == 1
        assert model.requests == 3


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_after_the_last_attempt_the_server_s_text_is_the_error(protocol, model):
    with connected(protocol, model, attempts=2) as serving:
        model.faults = [stand_in.Fault("UNAVAILABLE", "still loading")] * 9
        with pytest.raises(client.ServingError, match=r"still loading \(after 2 attempts\)"):
            serving.predict([encoded(60, 90)[1]])
        assert model.requests == 2


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_other_errors_are_not_tried_again(protocol, model):
    with connected(protocol, model) as serving:
        model.faults = [stand_in.Fault("INTERNAL", "out of order")]
        with pytest.raises(client.ServingError, match="^out of order$"):
            serving.predict([encoded(60, 90)[1]])
    with connected(protocol, model, "another") as serving:
        with pytest.raises(client.ServingError, match="Servable not found.*another"):
            serving.predict([encoded(60, 90)[1]])
        assert model.requests == 1


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_deadline_ends_a_slow_answer(protocol, model):
    with connected(protocol, model) as serving:
        model.faults = [5.0]
        start = time.monotonic()
        with pytest.raises(client.ServingError, match=r"no answer within 0.[0-9] s"):
            serving.predict([encoded(60, 90)[1]], deadline=0.5)
        assert time.monotonic() - start < 4


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_deadline_is_for_all_attempts_together(protocol, model):
    with connected(protocol, model, attempts=100, deadline=1.0) as serving:
        model.faults = [stand_in.Fault("UNAVAILABLE", "loading")] * 100
        start = time.monotonic()
        with pytest.raises(client.ServingError, match="loading"):
            serving.predict([encoded(60, 90)[1]])
        assert time.monotonic() - start < 5
        assert 2 <= model.requests < 20  # pauses grow


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_server_that_comes_up_late_is_waited_for(protocol, model):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    kind = client.RestClient if protocol == "rest" else client.GrpcClient
    address = f"http://127.0.0.1:{port}" if protocol == "rest" else f"127.0.0.1:{port}"
    serving = kind(address, "maskrcnn", deadline=1.0, attempts=3)
    with pytest.raises(client.ServingError, match="after"):
        serving.predict([encoded(60, 90)[1]])


def test_a_body_in_drops_does_not_outlast_the_deadline():
    listener = socket.create_server(("127.0.0.1", 0))

    def drip():
        with contextlib.suppress(OSError):
            connection, _ = listener.accept()
            connection.recv(1 << 20)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
            for _ in range(100):
                connection.sendall(b" ")
                time.sleep(0.1)

    threading.Thread(target=drip, daemon=True).start()
    address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    start = time.monotonic()
    with pytest.raises(client.ServingError, match="no answer within"):
        client.RestClient(address, "maskrcnn", deadline=0.5).predict([b"x"])
    assert time.monotonic() - start < 5
    listener.close()


def test_pauses_grow_and_are_not_the_same_for_all_clients(monkeypatch):
    pauses = []
    monkeypatch.setattr(time, "sleep", pauses.append)

    def call(_):
        raise TryAgain("busy")

    with pytest.raises(client.ServingError, match=r"busy \(after 9 attempts\)"):
        retried(call, deadline=1000, attempts=9)
    bounds = [min(0.1 * 2**i, 5.0) for i in range(8)]
    assert all(bound / 2 <= pause <= bound for pause, bound in zip(pauses, bounds))
    assert len({pause / bound for pause, bound in zip(pauses, bounds)}) > 4


def test_predict_wants_files_or_arrays_and_not_both():
    serving = client.RestClient("http://127.0.0.1:1", "maskrcnn")
    for images in ([], [b"x", np.zeros((2, 2, 3), np.uint8)]):
        with pytest.raises(ValueError, match="non-empty list of files"):
            serving.predict(images)


def test_the_command_line_needs_no_tensorflow(model, exported, tmp_path):
    (tmp_path / "photo.png").write_bytes(encoded(60, 90)[1])
    (tmp_path / "bad.png").write_bytes(b"no image")
    code = (
        "import sys, runpy; sys.modules['tensorflow'] = sys.modules['keras'] = None; "
        "sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    with stand_in.rest_server(model) as address:
        model.faults = []

        def run(name):
            command = [sys.executable, "-c", code, client.__file__, str(tmp_path / name)]
            command += ["--url", address, "--threshold", "0", "--deadline", str(SLOW)]
            command += ["--config", os.path.join(exported, "assets", "config.json")]
            return subprocess.run(command, capture_output=True, text=True, timeout=120)

        good, bad = run("photo.png"), run("bad.png")
    assert good.returncode == 0, good.stderr
    assert "photo.png: 60 x 90, 20 objects" in good.stdout and "pixels" in good.stdout
    assert bad.returncode == 1
    assert bad.stderr.endswith("Image 0 of the batch is no JPEG, PNG or BMP file.\n")
