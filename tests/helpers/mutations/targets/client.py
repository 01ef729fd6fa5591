"""The client of a server: what it is asked to send, and answers of all kinds."""

import http.server
import json

import numpy as np

from helpers.local_server import served
from helpers.mutations.damage import damaged
from helpers.mutations.outcomes import expect
from helpers.mutations.targets.images import good_images
from helpers.mutations.targets.target import Target
from helpers.mutations.texts import as_json, plain
from helpers.mutations.values import mutated, strange
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.serving.client import RestClient, ServingError


def good_answer() -> dict:
    """TF Serving's rows for one image of 48 x 64 pixels."""
    masks = np.full((3, 4, 4), 0.75).tolist()
    row = {
        "detection_boxes": [[0.1, 0.1, 0.5, 0.5], [0.2, 0.3, 0.9, 1.0], [0.0, 0.0, 0.0, 0.0]],
        "detection_scores": [0.9, 0.5, 0.0],
        "detection_classes": [1.0, 2.0, 0.0],
        "num_detections": 2.0,
        "detection_masks": masks,
        "image_size": [48, 64],
        "image_errors": "",
    }
    return {"predictions": [row]}


class Answers(Target):
    """`RestClient.predict` with odd images, and with mutated answers of a server."""

    refusals = (InputError, ServingError)

    def open(self):
        self.images = good_images()
        self.image = np.zeros((48, 64, 3), np.uint8)

    def run(self, rng, folder):
        status, body = 200, json.dumps(good_answer()).encode()
        given = rng.choice((self.image, self.images["rgb.png"]))
        if rng.random() < 0.25:
            given = self._odd_image(rng)
        else:
            status, body = self._odd_answer(rng)
        with _server(status, body) as url:
            found = self._predicted(url, given if isinstance(given, list) else [given], status)
        for instances in found:
            expect(np.isfinite(instances.boxes).all(), "a box is not finite")
            expect(np.isfinite(instances.scores).all(), "a score is not finite")
            height, width = instances.size
            expect(0 < height < 2**16 and 0 < width < 2**16, f"a size of {instances.size}")
            if instances.has_masks:
                expect(instances.masks.shape[1:] == (height, width), "masks are cut")

    @staticmethod
    def _predicted(url, images, status):
        try:
            return RestClient(url, "maskrcnn", deadline=3.0, attempts=1).predict(images)
        except ServingError as error:
            if status == 200:
                raise
            # The sentence is the server's own, whatever it holds.
            said = str(error)
            expect(said.isprintable() and 0 < len(said) <= 1000, f"a bad sentence: {said[:300]!r}")
            return []

    def _odd_answer(self, rng):
        status = rng.choice((*[200] * 16, 400, 404, 500, 503))
        good = good_answer() if status == 200 else {"error": "Image 0 of the batch is bad."}
        if rng.random() < 0.2:
            body, notes = damaged(json.dumps(good).encode(), rng)
        else:
            raw, notes = mutated(good, rng)
            body = as_json(raw).encode()
        self.note([f"status {status}", *notes])
        return status, body

    def _odd_image(self, rng):
        odd = rng.choice(
            [
                *(self.image[..., 0], self.image[None], self.image[..., :1], np.zeros((48, 64, 4))),
                *(self.image.astype(np.float32), self.image[:0], np.array("x"), "text", None, 5),
                *(b"", b"\0", [], [self.image, b"x"], [self.image, self.image[:9]], "/etc/passwd"),
                *(np.float32(np.nan), self.image.tolist(), bytearray(b"x"), memoryview(b"x")),
                *([[1, 2], [3]], np.array([None, 1], object), np.zeros((2, 2, 3), "U3")),
                plain(strange(rng)),
            ]
        )
        self.note([f"the image is {odd!r:.100}"])
        return odd


def _server(status: int, body: bytes):
    """Answer everything with one text; a context that gives the address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            """Keep quiet."""

    return served(Handler)
