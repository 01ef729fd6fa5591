"""Requests to an exported model, as a server hands them on."""

import math

import numpy as np

from helpers.mutations.damage import damaged, png_with_sums
from helpers.mutations.outcomes import expect
from helpers.mutations.targets.images import good_images
from helpers.mutations.targets.target import Target
from helpers.tiny import tiny_config


class Refused(Exception):
    """The model's own sentence about a request."""


class Requests(Target):
    """Image bytes, examples and tensors through a SavedModel's signatures."""

    refusals = (Refused,)

    def prepare(self):
        import tfmaskrcnn as mr

        config = tiny_config("box_head.score_threshold=0.01")
        options = mr.ExportOptions(on_error="report")
        mr.export_saved_model(mr.MaskRCNN(config.model), str(self.base / "report"), options)

    def open(self):
        from tfmaskrcnn.inference.exported import load_saved_model

        self.loaded = load_saved_model(str(self.base / "report"))
        self.images = good_images()
        self._ask("image_bytes", image_bytes=[self.images["rgb.png"]])  # traces

    def run(self, rng, folder):
        self._infinite = False
        ask = rng.choice((self._files, self._files, self._files, self._examples, self._tensors))
        outputs, count = ask(rng)
        for name, value in outputs.items():
            # Of the network's input, pixels that are not finite, masks say nothing (docs/export).
            if value.dtype.kind == "f" and not (name == "detection_masks" and self._infinite):
                expect(np.isfinite(value).all(), f"{name} is not finite")
        found = outputs["num_detections"]
        expect(found.shape == (count,) and (found >= 0).all(), f"num_detections is {found}")
        boxes = outputs["detection_boxes"]
        expect((boxes >= -1e-6).all() and (boxes <= 1 + 1e-6).all(), "a box is outside the image")
        scores = outputs["detection_scores"]
        expect(((scores >= 0) & (scores <= 1)).all(), "a score is not in 0..1")
        errors = outputs.get("image_errors", ())
        texts = [value.decode() for value in errors]
        expect(all(len(text) < 300 and "\n" not in text for text in texts), f"errors are {texts}")
        failed = np.array([bool(text) for text in texts], bool)
        if len(failed):
            expect((found[failed] == 0).all(), "something is found in an image that is refused")

    def _ask(self, signature, **inputs):
        import tensorflow as tf

        function = self.loaded.signatures[signature]
        specs = function.structured_input_signature[1]
        try:
            tensors = {k: tf.constant(v, specs[k].dtype) for k, v in inputs.items()}
            return {k: v.numpy() for k, v in function(**tensors).items()}
        except tf.errors.InvalidArgumentError as error:
            from tfmaskrcnn.serving.client import sentence_of

            raise Refused(sentence_of(error.message)) from None

    def _one(self, rng) -> bytes:
        name = rng.choice(sorted(self.images))
        other = self.images[rng.choice(sorted(self.images))]
        content, notes = damaged(self.images[name], rng, other)
        if name.endswith(".png") and rng.random() < 0.4:
            content, notes = png_with_sums(content), [*notes, "sums mended"]
        self.note([name, *notes])
        return content

    def _files(self, rng):
        files = [self._one(rng) for _ in range(rng.choice((1, 1, 2)))]
        if rng.random() < 0.3:
            files.append(self.images["rgb.jpg"])
        return self._ask("image_bytes", image_bytes=files), len(files)

    def _examples(self, rng):
        import tensorflow as tf

        feature = tf.train.Feature(bytes_list=tf.train.BytesList(value=[self._one(rng)]))
        example = tf.train.Example(
            features=tf.train.Features(feature={"image/encoded": feature})
        ).SerializeToString()
        if rng.random() < 0.5:
            example, notes = damaged(example, rng)
            self.note(["the example", *notes])
        return self._ask("tf_example", tf_example=[example]), 1

    def _tensors(self, rng):
        if rng.random() < 0.5:
            sides = (0, 1, 2, 7, 33, 200)
            shape = (rng.choice((0, 1, 2)), rng.choice(sides), rng.choice(sides), 3)
            self.note([f"images of {shape}"])
            return self._ask("serving_default", images=np.full(shape, 99, np.uint8)), shape[0]
        shape = (1, rng.choice((32, 64, 128)), rng.choice((32, 64, 128)), 3)
        images = np.random.default_rng(0).normal(size=shape).astype(np.float32)
        value = rng.choice((math.nan, math.inf, -math.inf, 1e38, 1e20, 0.0))
        images[0, rng.randrange(shape[1]), 0, 0] = value
        self._infinite = not math.isfinite(value)
        sizes = rng.choice((shape[1:3], (1, 1), (9, shape[2])))
        self.note([f"network images of {shape} with a {value}, sizes {sizes}"])
        return self._ask("network", images=images, sizes=[sizes]), 1
