"""`inference/web_images.py` against a server that does all that servers do."""

import contextlib
import http.server
import io
import time

import numpy as np
import pytest
from PIL import Image

from helpers.local_server import served
from tfmaskrcnn import InputError
from tfmaskrcnn.data.coco.image_files import read_image
from tfmaskrcnn.inference import web_images
from tfmaskrcnn.inference.web_images import fetched, is_address, name_of


def png():
    buffer = io.BytesIO()
    Image.fromarray(np.full((6, 5, 3), 77, np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        with contextlib.suppress(ConnectionError):
            getattr(self, "_" + self.path.strip("/").split("?")[0].split(".")[0])()

    def _send(self, status=200, content=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content)

    def _good(self):
        self._send(200, png(), Content_Length=str(len(png())))

    def _gone(self):
        self._send(404)

    def _moved(self):
        self._send(302, Location="/good.png")

    def _file(self):
        self._send(302, Location="file:///etc/passwd")

    def _cut(self):
        self._send(200, png(), Content_Length=str(len(png()) + 5))

    def _huge(self):
        self._send(200, b"", Content_Length=str(1 << 40))

    def _endless(self):
        self._send(200, bytes(5000))

    def _silent(self):
        time.sleep(1.5)

    def log_message(self, *_):
        """Keep quiet."""


@pytest.fixture(scope="module")
def server():
    with served(_Handler) as address:
        yield address


def test_an_image_is_read_also_after_a_redirection(server):
    for name in ("good.png", "good.png?size=a b#c", "moved"):
        pixels = read_image(fetched(f"{server}/{name}"))
        assert pixels.shape == (6, 5, 3) and (pixels == 77).all()


@pytest.mark.parametrize(
    "name, expected",
    [
        ("gone", r"/gone answers 404 Not Found\.$"),
        ("file", "/file (cannot be fetched|answers 302)"),
        ("cut", "/cut (cannot be fetched|has sent .* the connection was cut)"),
        ("huge", r"/huge has 1099512 MB or more; at most 0 MB are fetched"),
        ("endless", "/endless has 0 MB or more"),
        ("silent", "/silent cannot be fetched: timed out"),
    ],
)
def test_what_a_server_does_wrong_is_a_sentence(server, name, expected):
    with pytest.raises(InputError, match=expected):
        fetched(f"{server}/{name}", timeout=0.5, largest=4000)


def test_an_image_that_trickles_in_is_given_up(server, monkeypatch):
    monkeypatch.setattr(web_images, "LONGEST", -1.0)
    with pytest.raises(InputError, match="no whole image within"):
        fetched(f"{server}/good.png")


def test_addresses_that_lead_nowhere_are_sentences():
    for address in (
        "http://",
        "http://[::1",
        "http://127.0.0.1:1/a.png",
        "https://a b/\n",
        "http://ü",
    ):
        with pytest.raises(InputError, match="cannot be fetched"):
            fetched(address, timeout=2)


def test_names_of_addresses_are_file_names():
    assert is_address("HTTPS://x/a.png") and not is_address("photos/http://")
    for address, expected in (
        ("http://x.org/photos/a%20b.png?w=3&h=4#top", "a_b.png"),
        ("http://x.org/photos/", "photos"),
        ("http://x.org", "x.org"),
        ("http://x.org/..%2f..%2fetc", "etc"),
        ("http://x.org/.hidden", "hidden"),
        ("http://x.org/" + "n" * 300 + ".jpeg", "n" * 100 + ".jpeg"),
    ):
        assert name_of(address) == expected


def test_a_password_in_an_address_is_refused_and_not_taken_for_a_port():
    with pytest.raises(InputError, match="has a name and a password, which results would tell"):
        fetched("http://me:secret@127.0.0.1:1/a.png")
