"""What makes a run fit into a memory, by the estimate: settings, each with what it then takes."""

from typing import Dict, Iterator, List, NamedTuple, Optional, Tuple

from tfmaskrcnn.config.run import Config
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.model.layers.resnet import RESNETS
from tfmaskrcnn.model.memory_estimate import (
    largest_input,
    padded,
    prediction_bytes,
    training_bytes,
)
from tfmaskrcnn.model.network_sizes import Size

# Shares of the input's sides that are tried, largest first.
_SMALLER = (0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3)
_STEP = 32  # pixels, of sides that are suggested


class Step(NamedTuple):
    """A step of training on one of several devices."""

    config: Config
    size: Size  # of the padded batch
    replicas: int = 1  # devices that share a batch
    gpu: bool = False

    @property
    def images(self) -> int:
        """Of a batch, that one device sees."""
        return -(-self.config.train.batch_size // self.replicas)

    def taken(self) -> int:
        """Bytes."""
        return training_bytes(self.config, self.images, self.size, self.gpu)

    def with_train(self, **changes) -> "Step":
        """The same step with other values in `train`."""
        return self._replace(config=with_train(self.config, **changes))

    def fitting_parts(self, room: float) -> Optional[int]:
        """The least `train.accumulate` with which it takes at most `room` bytes, if there is one.

        Every device's images have to divide into the parts.
        """
        for parts in range(1, self.images + 1):
            whole = parts == 1 or self.config.train.batch_size % (self.replicas * parts) == 0
            if whole and self.with_train(accumulate=parts).taken() <= room:
                return parts
        return None

    def ways_to_fit(self, room: float) -> List[str]:
        """Settings of which each by itself makes it take at most `room` bytes."""
        tried = [*self._tried(room), *self._smaller(room)]
        return [f"{setting} ({as_gigabytes(n)})" for setting, n in tried if n <= room]

    def _tried(self, room: float) -> Iterator[Tuple[str, int]]:
        parts = None if trains_norms(self.config) else self.fitting_parts(room)
        if parts:
            yield f"train.accumulate={parts}", self.with_train(accumulate=parts).taken()
        for images in range(self.images - 1, 0, -1):
            batch = images * self.replicas
            fewer = self.with_train(batch_size=batch, accumulate=1).taken()
            if fewer <= room:
                yield f"train.batch_size={batch}", fewer
                break
        backbone = self.config.model.backbone
        if backbone.name in RESNETS and backbone.norm not in ("bn", "sync_bn"):
            again = backbone.model_copy(update={"recompute": True})
            model = self.config.model.model_copy(update={"backbone": again})
            config = self.config.model_copy(update={"model": model})
            yield "model.backbone.recompute=true", self._replace(config=config).taken()

    def _smaller(self, room: float) -> Iterator[Tuple[str, int]]:
        """The largest input that fits."""
        c, crop = self.config.model.input, self.config.data.augment.crop
        for share in _SMALLER:
            size = padded([share * side for side in self.size], _STEP)
            taken = self._replace(size=size).taken()
            if taken <= room:
                sides = c.fixed_size or crop or (c.min_side, c.max_side)
                first, second = (max(int(share * side) // _STEP, 1) * _STEP for side in sides)
                name = "model.input.fixed_size" if c.fixed_size else "data.augment.crop"
                setting = f"{name}=[{first},{second}]"
                if not (c.fixed_size or crop):
                    setting = f"model.input.min_side={first} model.input.max_side={second}"
                yield setting, taken
                return


def as_gigabytes(count: float) -> str:
    """Bytes as "3.7 GB"."""
    return f"{count / 1e9:.1f} GB"


def memory_about(config: Config) -> Dict[str, str]:
    """What training and prediction take at most, in words, with images of any shape.

    Nothing of a backbone that cannot be made from the configuration.
    """
    batch = config.train.batch_size
    size, seen = largest_input(config, batch), largest_input(config, 1, training=False)
    try:
        trained = as_gigabytes(training_bytes(config, batch, size))
        predicted = as_gigabytes(prediction_bytes(config, 1, seen))
    except InputError:
        return {}
    images = -(-batch // (config.train.accumulate or 1))
    return {
        "training_memory": f"{trained} on one device, {counted(images)} of {shown(size)} at a time",
        "prediction_memory": f"{predicted}, 1 image of {shown(seen)} at a time",
    }


def counted(images: int) -> str:
    """A number of images in words."""
    return f"{images} image{'s' * (images != 1)}"


def shown(size: Size) -> str:
    """A size in words."""
    return f"{size[0]} x {size[1]}"


def trains_norms(config: Config) -> bool:
    """Whether statistics of a batch are used, so that parts of it are not the same as the whole."""
    m = config.model
    parts = (m.backbone, m.fpn, m.box_head, m.mask_head)
    return any(part.norm in ("bn", "sync_bn") for part in parts)


def with_train(config: Config, **changes) -> Config:
    """`config` with other values in `train`."""
    return config.model_copy(update={"train": config.train.model_copy(update=changes)})
