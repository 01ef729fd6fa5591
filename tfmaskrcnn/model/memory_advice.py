"""What makes a run fit into a memory, by the estimate: settings, each with what it then takes."""

from typing import Iterator, List, Optional, Tuple

from tfmaskrcnn.config.run import Config
from tfmaskrcnn.model.layers.resnet import RESNETS
from tfmaskrcnn.model.memory_estimate import Size, padded, training_bytes

# Of the input's sides, those that are tried, largest first.
_SMALLER = (0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3)
_STEP = 32  # pixels, of sides that are suggested


def as_gigabytes(count: float) -> str:
    """Bytes as "3.7 GB"."""
    return f"{count / 1e9:.1f} GB"


def trains_norms(config: Config) -> bool:
    """Whether statistics of a batch are used, so that parts of it are not the same as the whole."""
    m = config.model
    heads = [head.norm for head in (m.box_head, m.mask_head)]
    return bool({"bn", "sync_bn"} & {m.backbone.norm, m.fpn.norm, *heads})


def fitting_parts(config: Config, replicas: int, size: Size, room: float) -> Optional[int]:
    """The least `train.accumulate` with which a step takes no more than `room` bytes a device.

    None if there is none. Every device's images have to divide into the parts.
    """
    batch = config.train.batch_size
    images = -(-batch // replicas)
    for parts in range(1, images + 1):
        whole = parts == 1 or batch % (replicas * parts) == 0
        if whole and training_bytes(with_train(config, accumulate=parts), images, size) <= room:
            return parts
    return None


def ways_to_fit(config: Config, replicas: int, size: Size, room: float) -> List[str]:
    """Settings of which each by itself makes a step take no more than `room` bytes a device."""
    return [
        f"{setting} ({as_gigabytes(taken)})"
        for setting, taken in _tried(config, replicas, size, room)
        if taken <= room
    ]


def _tried(config: Config, replicas: int, size: Size, room: float) -> Iterator[Tuple[str, int]]:
    images = -(-config.train.batch_size // replicas)
    parts = fitting_parts(config, replicas, size, room)
    if parts and not trains_norms(config):
        changed = with_train(config, accumulate=parts)
        yield f"train.accumulate={parts}", training_bytes(changed, images, size)
    fewer = next((n for n in range(images - 1, 0, -1) if _alone(config, n, size) <= room), 0)
    if fewer:
        yield f"train.batch_size={fewer * replicas}", _alone(config, fewer, size)
    backbone = config.model.backbone
    if backbone.name in RESNETS and backbone.norm not in ("bn", "sync_bn"):
        changed = _with_model(config, backbone=backbone.model_copy(update={"recompute": True}))
        yield "model.backbone.recompute=true", training_bytes(changed, images, size)
    yield from _smaller(config, images, size, room)


def _alone(config: Config, images: int, size: Size) -> int:
    return training_bytes(with_train(config, accumulate=1), images, size)


def _smaller(config: Config, images: int, size: Size, room: float) -> Iterator[Tuple[str, int]]:
    """The largest input that fits."""
    c = config.model.input
    for share in _SMALLER:
        taken = training_bytes(config, images, padded([share * side for side in size], _STEP))
        if taken > room:
            continue
        crop = config.data.augment.crop
        if crop:
            sides = _rounded(share, crop)
            yield f"data.augment.crop=[{sides[0]},{sides[1]}]", taken
        elif c.fixed_size:
            sides = _rounded(share, c.fixed_size)
            yield f"model.input.fixed_size=[{sides[0]},{sides[1]}]", taken
        else:
            short, long = _rounded(share, (c.min_side, c.max_side))
            yield f"model.input.min_side={short} model.input.max_side={long}", taken
        return


def _rounded(share: float, sides) -> List[int]:
    return [max(int(share * side) // _STEP, 1) * _STEP for side in sides]


def with_train(config: Config, **changes) -> Config:
    """`config` with other values in `train`."""
    return config.model_copy(update={"train": config.train.model_copy(update=changes)})


def _with_model(config: Config, **changes) -> Config:
    return config.model_copy(update={"model": config.model.model_copy(update=changes)})
