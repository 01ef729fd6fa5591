"""`data.classes` in a COCO file: which categories are read, as which classes, under which ids."""

import functools
import json
import logging

import numpy as np
import pytest
from PIL import Image

import tfmaskrcnn as mr
from tfmaskrcnn.config.keypoints import KeypointHeadConfig
from tfmaskrcnn.data.coco.configured import configured_coco
from tfmaskrcnn.data.coco.data_classes import DataClasses
from tfmaskrcnn.data.coco.records import load_coco
from tfmaskrcnn.evaluation import CocoCallback, evaluate
from tfmaskrcnn.instances import Instances

NAMES = {3: "car", 5: "person", 8: "truck", 9: "cat"}
MERGED = {"person": ["person"], "vehicle": ["truck", "car"]}


def annotation(number, image_id, category_id, x, **more):
    box = [x, 10, 20, 20]
    corners = [[x, 10, x + 20, 10, x + 20, 30, x, 30]]
    return {
        **{"id": number, "image_id": image_id, "category_id": category_id, "bbox": box},
        **{"segmentation": corners, "area": 400, "iscrowd": 0, **more},
    }


@pytest.fixture
def street(tmp_path):
    """(JSON, folder): a car, a person, a truck; a cat alone; a crowd of cats and one of persons."""
    images = [{"id": i, "file_name": f"{i}.png", "height": 50, "width": 120} for i in (1, 2, 3)]
    annotations = [
        annotation(1, 1, 3, 0),
        annotation(2, 1, 5, 30),
        annotation(3, 1, 8, 60),
        annotation(4, 2, 9, 0, bbox=[0, 0, -4, 7]),  # wrong, but of a cat
        annotation(5, 3, 9, 0, iscrowd=1),
        annotation(6, 3, 5, 40, iscrowd=1),
    ]
    for image in images:
        Image.fromarray(np.zeros((50, 120, 3), np.uint8)).save(tmp_path / image["file_name"])
    categories = [{"id": i, "name": name} for i, name in NAMES.items()]
    raw = {"images": images, "annotations": annotations, "categories": categories}
    path = tmp_path / "street.json"
    path.write_text(json.dumps(raw))
    return str(path), str(tmp_path)


def test_some_categories_are_read_in_the_order_given(street, caplog):
    caplog.set_level(logging.INFO)
    data = load_coco(*street, classes=["truck", "car"])
    assert data.class_names == ("truck", "car") and data.category_ids == (8, 3)
    first, second, third = data.records
    assert first.classes.tolist() == [2, 1] and first.annotation_ids == [1, 3]
    assert not len(second.classes) and not len(third.classes)  # kept, as background
    assert "data.classes leaves out 4 objects of other categories" in caplog.text
    assert "2 of 3 images have no object" in caplog.text


def test_several_become_one_and_crowds_go_with_their_category(street):
    data = load_coco(*street, classes=MERGED)
    assert data.class_names == ("person", "vehicle") and data.category_ids == (5, 3)
    assert data.records[0].classes.tolist() == [2, 1, 2]
    assert data.records[2].annotation_ids == [6] and data.records[2].crowd.all()


@pytest.mark.parametrize(
    "classes, message",
    [
        (["person", "cars"], r"data.classes: .*street.json has no category 'cars'; did you mean"),
        ({"vehicle": ["car", "bus"]}, "no category 'bus'; it has car, person, truck, cat"),
        (["vehicle"], "no category 'vehicle'"),
        ([3], "data.classes: 3 is no name"),
    ],
)
def test_a_name_that_the_training_data_lack_is_told(street, classes, message):
    with pytest.raises(mr.InputError, match=message):
        load_coco(*street, classes=classes)


def test_another_split_may_lack_some_or_have_the_new_names(street):
    for wanted, names in (
        (DataClasses.of({"vehicle": ["car", "bus"]}, complete=False), ("vehicle",)),
        (DataClasses.of({"person": ["man"], "tram": ["tram"]}, complete=False), ("person",)),
    ):
        assert load_coco(*street, classes=wanted).class_names == names
    with pytest.raises(mr.InputError, match="none of the categories of data.classes .tram.; it"):
        load_coco(*street, classes=DataClasses.of(["tram"], complete=False))


def test_a_val_split_counts_as_the_model_does(street):
    overrides = ["data.classes={tram: [tram], person: [man], vehicle: [car, truck]}"]
    overrides += ["model.num_classes=3", "model.class_names=[tram, person, vehicle]"]
    data = configured_coco(*street, mr.load_config(None, overrides), training=False)
    assert data.records[0].classes.tolist() == [3, 2, 3]


def test_keypoints_are_those_of_the_chosen_categories(street):
    path, folder = street
    with open(path) as file:
        raw = json.load(file)
    raw["categories"][1]["keypoints"], raw["categories"][3]["keypoints"] = ["head"], ["tail", "ear"]
    with open(path, "w") as file:
        json.dump(raw, file)
    head = KeypointHeadConfig(enabled=True)
    with pytest.raises(mr.InputError, match="have different 'keypoints'"):
        load_coco(path, folder, True, keypoint_head=head)
    data = load_coco(path, folder, keypoint_head=head, classes=["person"])
    assert data.keypoints.names == ("head",)


def sees_all(images, person=30):
    """The objects of the first image, as classes person (1, at this x) and vehicle (2)."""
    boxes = np.array([[10, x, 30, x + 20] for x in (0, person, 60)], np.float32)
    names = {"class_names": ("person", "vehicle"), "size": (50, 120)}
    masks = np.ones([3, 28, 28], np.float32)
    classes = np.array([2, 1, 2], np.int32)
    return [Instances(boxes, np.full(3, 0.9), classes, mask_probabilities=masks, **names)]


def test_an_evaluation_judges_the_chosen_classes(street):
    path, folder = street
    result = evaluate(sees_all, path, folder, data_classes=MERGED, limit=1)
    assert result.box_ap_per_class == pytest.approx({"vehicle": 1, "person": 1})
    assert result.num_objects == 3
    astray = functools.partial(sees_all, person=95)  # the order of ids is not that of the classes
    result = evaluate(astray, path, folder, data_classes=MERGED, limit=1)
    assert result.box_ap_per_class == pytest.approx({"vehicle": 1, "person": 0})
    alone = evaluate(sees_all, path, folder, data_classes=MERGED, limit=1, classes=["vehicle"])
    assert alone.num_objects == 2 and alone.box_ap_per_class == pytest.approx({"vehicle": 1})
    apart = evaluate(sees_all, path, folder, limit=1)  # as without: cars and trucks are unknown
    assert set(apart.left_out) == {"car", "truck", "cat"}


def test_the_callback_judges_and_draws_the_chosen_classes(street):
    overrides = ["model.num_classes=2", "model.class_names=[person, vehicle]", "train.epochs=1"]
    config = mr.load_config(None, [*overrides, "data.classes={vehicle: [car, truck], person: man}"])
    callback = CocoCallback(*street, config)  # its order is another
    assert callback.records[0].classes.tolist() == [2, 1, 2]
    callback.set_model(type("Model", (), {"predict_images": staticmethod(sees_all)}))
    callback.records = callback.records[:1]
    assert callback.evaluate().boxes["AP"] == pytest.approx(1)


def test_a_check_takes_the_chosen_classes(street):
    path, folder = street
    config = mr.load_config(None, ["data.classes=[car, truck]"])
    assert not mr.data.check(path, folder, config).by_rule.get("box-area")
    assert mr.data.check(path, folder).by_rule["box-area"]


def test_python_takes_names_from_the_data_as_the_command_line_does(street):
    path, folder = street
    chosen = mr.load_config(None, ["data.classes={vehicle: [car, truck]}", "train.batch_size=1"])
    config = mr.data.with_classes_of(path, chosen)
    assert config.model.class_names == ("vehicle",) and config.model.category_ids == (3,)
    assert config.model.num_classes == 1
    with pytest.raises(mr.InputError, match=r"is 80; config = mr.data.with_classes_of\(JSON, con"):
        mr.data.from_coco(path, folder, chosen, training=True)
    told = mr.load_config(None, ["data.classes=[car]", "model.num_classes=7"])
    with pytest.raises(mr.InputError, match="num_classes is 7; leave it out to take the data's"):
        mr.data.from_coco(path, folder, told, training=True)
    batches = mr.data.from_coco(path, folder, config, training=True)
    assert len(batches) == 3
