"""A data set as a configuration reads it."""

from tfmaskrcnn.config.run import Config
from tfmaskrcnn.data.coco.data_classes import DataClasses, numbering
from tfmaskrcnn.data.coco.entries import read_categories
from tfmaskrcnn.data.coco.faults import Faults
from tfmaskrcnn.data.coco.lazy_entries import read_coco_lazily
from tfmaskrcnn.data.coco.records import CocoData, load_coco, rules_of
from tfmaskrcnn.data.coco.renumbering import as_classes


def configured_coco(json_path: str, image_dir: str, config: Config, training: bool) -> CocoData:
    """`load_coco` with the classes, heads and `data.skip_invalid` of `config`.

    Args:
        json_path: the annotations.
        image_dir: the folder that its file names start from.
        config: the whole configuration.
        training: all categories that `data.classes` names must be there. Otherwise the set may lack
            some, and objects have the numbers of the model's classes.
    """
    wanted = DataClasses.of(config.data.classes, complete=training)
    model = config.model
    reading = (config.data.skip_invalid, model.mask_head.enabled, model.keypoint_head)
    data = load_coco(json_path, image_dir, *reading, wanted)
    return as_classes(data, model.class_names) if wanted and not training else data


def names_of_coco(json_path: str, config: Config) -> CocoData:
    """The classes and keypoints that `config` makes of the categories of a file; no records."""
    raw = read_coco_lazily(json_path, ("categories",))
    wanted, model = DataClasses.of(config.data.classes), config.model
    keypoints, _ = rules_of(raw, json_path, model.mask_head.enabled, model.keypoint_head, wanted)
    categories = read_categories(raw["categories"], json_path, Faults(raw, json_path))
    names = numbering(categories, wanted, json_path).names
    return CocoData((), tuple(names.values()), tuple(names), json_path, keypoints)
