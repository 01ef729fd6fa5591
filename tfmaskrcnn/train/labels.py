"""What a configuration leaves to the data set: classes and keypoints, with their names."""

from tfmaskrcnn.config.keypoints import KeypointHeadConfig
from tfmaskrcnn.config.person_keypoints import OTHER_SIGMA, mirror_pairs
from tfmaskrcnn.config.run import Config
from tfmaskrcnn.data.coco.records import CocoData


def with_classes_of(data: CocoData, config: Config) -> Config:
    """`config` with the data set's classes and keypoints, where it says nothing of them."""
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
