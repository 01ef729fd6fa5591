"""A client of Triton (KServe v2 over HTTP) for models of `tfmaskrcnn.serving.triton`."""

import json
import time
import urllib.parse
from typing import Dict, NamedTuple, Optional

import numpy as np

from tfmaskrcnn.serving import kserve
from tfmaskrcnn.serving.answers import REFUSED, ServingError
from tfmaskrcnn.serving.asking import Client
from tfmaskrcnn.serving.posting import asked
from tfmaskrcnn.serving.retrying import TryAgain, retried
from tfmaskrcnn.serving.sending import address_of, png_of

# One number or text an image, which Triton gives as [B, 1] where it knows of batches.
_SCALARS = ("num_detections", "image_errors")
_MOST = 4096  # images that a server may want at once; a client fills up to that number
_FILLER = png_of(np.zeros((1, 1, 3), np.uint8))  # a good image, so that no sentence is about it
# Of a model that is being loaded, or could not be.
_LOADING = ("has no available versions", "is not ready")


class _Form(NamedTuple):
    """What the server's configuration says of requests."""

    most: int  # images a request
    exactly: bool  # so many, no fewer
    batched: bool  # Triton itself counts the first axis
    inputs: tuple  # names


class TritonClient(Client):
    """See `Client` for the other arguments.

    Args:
        url: such as "http://localhost:8000".
        model: the server's name of the model, "maskrcnn/versions/3" for a certain version.
    """

    def __init__(self, url: str, model: str, **options):
        super().__init__(model, **options)
        version = "" if self.version is None else f"/versions/{self.version}"
        self.url = f"{address_of(url)}/v2/models/{urllib.parse.quote(self.name, safe='')}{version}"
        self._form: Optional[_Form] = None

    def _most_at_once(self, until):
        if self._form is None:
            left = max(until - time.monotonic(), 1e-3)
            self._form = retried(self._asked_form, left, self.attempts)
        form = self._form
        return form.most if form.exactly else min(self.max_batch, form.most)

    def _asked_form(self, seconds: float) -> _Form:
        url = f"{self.url}/config"
        body, _ = self._asked(url, None, {}, seconds)
        try:
            config = json.loads(body)
            most, inputs = int(config.get("max_batch_size", 0)), config["input"]
            first = int(inputs[0]["dims"][0])
            names = tuple(str(tensor["name"]) for tensor in inputs)
            if max(most, first) > _MOST and names == ("image_bytes",):
                raise ValueError(most, first)
        except kserve.DAMAGE:
            raise ServingError(f"{url} answers with no configuration of a model") from None
        if most > 0:
            return _Form(most, False, True, names)
        return _Form(first if first > 0 else self.max_batch, first > 0, False, names)

    def _call(self, signature, name, images, seconds) -> Dict[str, np.ndarray]:
        if self._form.inputs != (name,):
            raise ServingError(
                f"the model {self.model!r} takes {', '.join(self._form.inputs)}, these images are "
                f"sent as {name}; ask the model that takes it, which "
                "`python -m tfmaskrcnn.serving.triton` makes"
            )
        missing = self._form.most - len(images) if self._form.exactly else 0
        filled = images + [_FILLER if name == "image_bytes" else images[-1]] * missing
        if name == "image_bytes":
            array = np.empty(len(filled), object)
            array[:] = filled
            array = array[:, None] if self._form.batched else array
        else:
            array = np.stack(filled)
        body, headers = kserve.request({name: array})
        url = f"{self.url}/infer"
        outputs = kserve.outputs_of(*self._asked(url, body, headers, seconds), url)
        for key in _SCALARS:
            if key in outputs and outputs[key].shape[1:] == (1,):
                outputs[key] = outputs[key][:, 0]
        return {key: value[: len(images)] for key, value in outputs.items() if value.ndim}

    def _asked(self, url, body, headers, seconds):
        """`asked`, with the meaning that Triton's errors have."""
        try:
            return asked(url, body, headers, seconds, f"{self.url} has no model {self.model!r}")
        except TryAgain:
            raise
        except ServingError as error:
            text = str(error)
            if any(words in text for words in _LOADING):
                raise TryAgain(text, error.code) from None
            if "unknown model" in text and error.code != 404:
                text = f"{self.url} has no model {self.model!r}: {text}"
                raise ServingError(text, 404) from None
            about_image = text.startswith("Image ") or "The request has" in text
            raise ServingError(text, REFUSED[0] if about_image else error.code) from None
