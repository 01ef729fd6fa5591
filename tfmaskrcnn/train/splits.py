"""The data sets that a configuration names."""

from typing import Optional

from tfmaskrcnn.config.run import Config
from tfmaskrcnn.data import load_tfrecord
from tfmaskrcnn.data.batches.sampler import announce
from tfmaskrcnn.data.coco.configured import configured_coco
from tfmaskrcnn.data.coco.records import CocoData, limited
from tfmaskrcnn.errors import InputError


def training_data(config: Config, whole: Optional[CocoData] = None) -> CocoData:
    """The train split that `config` names; the log tells what its settings make of it.

    Args:
        config: the whole configuration.
        whole: what `whole_training_data` gives, if that was called.
    """
    whole = whole_training_data(config) if whole is None else whole
    data = limited(whole, config.data.limit)
    announce(data, config, training=True)
    return data


def whole_training_data(config: Config) -> CocoData:
    """The same whatever `data.limit` is."""
    if config.data.train_tfrecord:
        if config.data.train_json:
            raise InputError("Both data.train_json and data.train_tfrecord are set; wanted one.")
        model, pattern = config.model, config.data.train_tfrecord
        rules = (model.mask_head.enabled, model.keypoint_head)
        return load_tfrecord(pattern, *rules, config.data.classes)
    return _of_json(config, "train")


def validation_data(config: Config) -> CocoData:
    """The val split that `config` names, checked as strictly as the train split."""
    data = _of_json(config, "val")
    announce(data, config, training=False)
    return data


def _of_json(config: Config, split: str) -> CocoData:
    names = f"{split}_json", f"{split}_images"
    paths = (given(getattr(config.data, name), f"data.{name}") for name in names)
    return configured_coco(*paths, config, training=split == "train")


def given(value: Optional[str], key: str) -> str:
    """`value` of the setting `key`, which must be there."""
    if not value:
        raise InputError(f"{key} is not set; give it in the YAML file or with --set {key}=PATH.")
    return value
