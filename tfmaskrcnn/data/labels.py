"""What a configuration leaves to the data set: classes and keypoints, with their names."""

import os
from typing import Union

from tfmaskrcnn.config.keypoints import KeypointHeadConfig
from tfmaskrcnn.config.person_keypoints import OTHER_SIGMA, mirror_pairs
from tfmaskrcnn.config.run import Config
from tfmaskrcnn.data.coco.configured import names_of_coco
from tfmaskrcnn.data.coco.records import CocoData
from tfmaskrcnn.data.tfrecord.reading import load_tfrecord
from tfmaskrcnn.support.given import A_PATH, one_of, takes


@takes(data=one_of(CocoData, A_PATH), config=Config)
def with_classes_of(data: Union[CocoData, str], config: Config) -> Config:
    """`config` with the data set's classes and keypoints, where it says nothing of them.

    Args:
        data: a set that was read; or COCO annotations, or shards ("train-*.tfrecord"), of which
            nothing but the names is looked at here. `data.classes` chooses among them.
        config: the whole configuration.

    Raises:
        InputError: the file cannot be read, or lacks a category of `data.classes`.
    """
    if not isinstance(data, CocoData):
        data = _names_of(os.fspath(data), config)
    config = _with_keypoints_of(data, config)
    model = config.model
    if model.class_names or ("num_classes" in model.model_fields_set and not _fits(data, model)):
        return config  # the data pipeline checks that they agree
    labels = {
        "num_classes": len(data.class_names),
        "class_names": data.class_names,
        "category_ids": data.category_ids,
    }
    return config.model_copy(update={"model": model.model_copy(update=labels)})


def _names_of(path: str, config: Config) -> CocoData:
    """A set of this file's classes and keypoints; its records may be missing."""
    if not path.endswith(".tfrecord"):
        return names_of_coco(path, config)
    model = config.model
    return load_tfrecord(path, False, model.keypoint_head, config.data.classes)


def _with_keypoints_of(data: CocoData, config: Config) -> Config:
    head = config.model.keypoint_head
    chosen = {"names", "num_keypoints"} & head.model_fields_set
    if data.keypoints is None or chosen or data.keypoints.names == head.names:
        return config
    names = data.keypoints.names
    found = {
        "num_keypoints": len(names),
        "names": names,
        "flip_pairs": mirror_pairs(names),
        "skeleton": data.keypoints.skeleton,
        "sigmas": (OTHER_SIGMA,) * len(names),
    }
    given = {name: getattr(head, name) for name in head.model_fields_set}
    head = KeypointHeadConfig(**{**found, **given})
    model = config.model.model_copy(update={"keypoint_head": head})
    return config.model_copy(update={"model": model})


def _fits(data: CocoData, model) -> bool:
    return model.num_classes == len(data.class_names)
