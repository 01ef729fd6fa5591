"""The data sets that a configuration names."""

from typing import Optional

from tfmaskrcnn.config.run import Config
from tfmaskrcnn.data import load_coco, load_tfrecord
from tfmaskrcnn.data.batches.sampler import announce
from tfmaskrcnn.data.coco.records import CocoData, limited
from tfmaskrcnn.errors import InputError


def training_data(config: Config) -> CocoData:
    """The train split that `config` names; the log tells what its settings make of it."""
    data = limited(_whole_training_data(config), config.data.limit)
    announce(data, config, training=True)
    return data


def _whole_training_data(config: Config) -> CocoData:
    if config.data.train_tfrecord:
        if config.data.train_json:
            raise InputError("Both data.train_json and data.train_tfrecord are set; wanted one.")
        model = config.model
        masks = model.mask_head.enabled
        return load_tfrecord(config.data.train_tfrecord, masks, model.keypoint_head)
    return _of_json(config, "train")


def validation_data(config: Config) -> CocoData:
    """The val split that `config` names, checked as strictly as the train split."""
    data = _of_json(config, "val")
    announce(data, config, training=False)
    return data


def _of_json(config: Config, split: str) -> CocoData:
    names = f"{split}_json", f"{split}_images"
    return load_coco(
        *(given(getattr(config.data, name), f"data.{name}") for name in names),
        config.data.skip_invalid,
        masks=config.model.mask_head.enabled,
        keypoint_head=config.model.keypoint_head,
    )


def given(value: Optional[str], key: str) -> str:
    """`value` of the setting `key`, which must be there."""
    if not value:
        raise InputError(f"{key} is not set; give it in the YAML file or with --set {key}=PATH.")
    return value
