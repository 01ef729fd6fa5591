"""What the clients of all servers share: checked images, requests of a few, one deadline."""

import re
import time
from typing import Dict, List, Optional, Sequence

import numpy as np

from tfmaskrcnn.errors import InputError, quoted
from tfmaskrcnn.instances import Instances
from tfmaskrcnn.serving.answers import REFUSED, ServingError, instances_of, labels_of
from tfmaskrcnn.serving.retrying import retried, seconds_of
from tfmaskrcnn.serving.sending import Image, checked_images, model_and_version

# Images a request; the shipped settings of TF Serving and of Triton take as many.
MAX_BATCH = 8
_NUMBERED = re.compile(r"\bImage (\d+) of the batch")


class Client:
    """A client of a model on a server; `_call` is how it asks.

    Args:
        model: the server's name of the model; "maskrcnn/versions/3" for a certain version.
        config: the `assets/config.json` of the exported model, for the class names and the rule
            by which masks are pasted; without it there are numbers, and Detectron2's rule.
        deadline: seconds that a call of `predict` may take, all requests and attempts together.
        attempts: at most so many a request.
        max_batch: images that a request may have; more are sent in several, one after the other.
    """

    def __init__(
        self,
        model: str,
        config: Optional[str] = None,
        deadline: float = 30.0,
        attempts: int = 6,
        max_batch: int = MAX_BATCH,
    ):
        for name, number in (("attempts", attempts), ("max_batch", max_batch)):
            if not isinstance(number, int) or number < 1:
                raise InputError(f"{name} is {quoted(number)}, wanted at least 1.")
        self.name, self.version = model_and_version(model)
        self.model, self.deadline, self.attempts = model, seconds_of(deadline), attempts
        self.max_batch = max_batch
        self._labels, self._channels = labels_of(config) if config else ({}, None)

    def predict(self, images: Sequence[Image], deadline: Optional[float] = None) -> List[Instances]:
        """Detect objects in images.

        Args:
            images: all files (bytes) or all arrays (uint8 [H, W, C]); sizes and formats may differ.
                Arrays are sent as PNG files, but for those of other than 1, 3 or 4 channels, which
                have one size.
            deadline: seconds, instead of the client's.

        Returns:
            One `Instances` an image; `.masks` [D, H, W] bool are pasted on first use.

        Raises:
            InputError: `images` is no such list.
            ServingError: the server refuses an image, answers with another error, or does not
                answer in time.
        """
        images = checked_images(images, self._channels)
        seconds = self.deadline if deadline is None else seconds_of(deadline)
        until, found, start = time.monotonic() + seconds, [], 0
        while start < len(images):
            part = images[start : start + self._most_at_once(until)]
            found += self._found(part, start, until)
            start += len(part)
        return found

    def _most_at_once(self, until: float) -> int:
        """Images of the next request; `until` is when the answer is no longer waited for."""
        return self.max_batch

    def _found(self, images: List[Image], start: int, until: float) -> List[Instances]:
        """What is found in the images of one request, the first of which has the number `start`."""
        files = isinstance(images[0], bytes)
        name = "image_bytes" if files else "images"
        signature = "image_bytes" if files else "serving_default"
        left = max(until - time.monotonic(), 1e-3)
        try:
            outputs = retried(
                lambda seconds: self._call(signature, name, images, seconds), left, self.attempts
            )
            return instances_of(outputs, len(images), self.model, self._labels)
        except ServingError as error:
            message = _renumbered(str(error), start)
            if not files and error.code in REFUSED:
                channels = images[0].shape[2]
                message += f" (the arrays have {channels} channels, most models take 3: RGB)"
            raise ServingError(message, error.code) from None

    def _call(self, signature: str, name: str, images, seconds: float) -> Dict[str, np.ndarray]:
        raise NotImplementedError


def _renumbered(message: str, start: int) -> str:
    """A sentence about images of a request, with their numbers in the whole list."""
    return _NUMBERED.sub(lambda found: f"Image {start + int(found[1])} of the batch", message)
