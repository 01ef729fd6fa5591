"""docs/prelabel.md by its commands: predict, correct in a tool, import, check, train."""

import functools
import json
import os
from xml.etree import ElementTree

import numpy as np
import pytest
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

import tfmaskrcnn as mr
from helpers.one_stack import on_stack_a
from helpers.tiny import tiny_config, tiny_data
from tfmaskrcnn.cli.main import main
from tfmaskrcnn.config.yaml_files import save_config
from tfmaskrcnn.inference.opening import Source
from tfmaskrcnn.instances import Instances
from tfmaskrcnn.model.mask_rcnn import MaskRCNN
from tfmaskrcnn.results.uncertainty import uncertainty

NAMES = ("circle", "square", "triangle")
DRAWN = [[3, 3], [20, 3], [20, 18], [3, 18]]  # what the person adds, x and y
COMMANDS = {
    "coco": "",
    "labelme": "import-data labelme found/labelme corrected.json --images photos",
    "cvat": "import-data cvat annotations.xml corrected.json --images photos",
    "label-studio": "import-data label-studio project.json corrected.json --images photos",
}


@pytest.fixture
def place(tmp_path, monkeypatch):
    """The current folder has `photos`, `truth.json`, and `run`, whose model finds the truth."""
    json_path, images = tiny_data(tmp_path / "set", num_images=4)
    monkeypatch.chdir(tmp_path)
    os.rename(images, "photos")
    os.rename(json_path, "truth.json")
    os.mkdir("run")
    save_config(tiny_config(f"class_names=[{', '.join(NAMES)}]"), "run/config.json")
    truth = coco("truth.json")
    known = {}
    for image in truth.dataset["images"]:
        pixels = mr.data.read_image(f"photos/{image['file_name']}")
        known[pixels.tobytes()] = instances(truth, image)
    names = {c["id"]: c["name"] for c in truth.dataset["categories"]}
    source = Source(
        lambda images: [known[image.tobytes()] for image in images],
        *(tuple(names[k] for k in sorted(names)), tuple(sorted(names))),
    )
    monkeypatch.setattr("tfmaskrcnn.inference.augmented.open_augmented", lambda *_: source)
    monkeypatch.setattr("tfmaskrcnn.inference.prediction_options.weights_digest", lambda _: "0")
    return tmp_path


def coco(path):
    with open(path, encoding="utf-8") as file:
        data = json.load(file)
    made = COCO()
    made.dataset = data
    made.createIndex()
    return made


def instances(truth, image):
    """The objects of an image; the later the image, the lower are the scores."""
    entries = truth.imgToAnns[image["id"]]
    ids = sorted(truth.cats)
    boxes = np.array([entry["bbox"] for entry in entries], np.float32)
    return Instances(
        boxes=np.stack(
            [boxes[:, 1], boxes[:, 0], boxes[:, 1] + boxes[:, 3], boxes[:, 0] + boxes[:, 2]], 1
        ),
        scores=np.full(len(entries), 0.9 - 0.08 * image["id"]),
        classes=[ids.index(entry["category_id"]) + 1 for entry in entries],
        size=(image["height"], image["width"]),
        class_names=[truth.cats[k]["name"] for k in ids],
        exact_rle=[rle(truth, entry) for entry in entries],
    )


def rle(truth, entry):
    made = truth.annToRLE(entry)
    counts = made["counts"]
    return {**made, "counts": counts.decode() if isinstance(counts, bytes) else counts}


def edit_json(path, change, out=None):
    with open(path, encoding="utf-8") as file:
        content = json.load(file)
    content = change(content) or content
    with open(out or path, "w", encoding="utf-8") as file:
        json.dump(content, file)


def correct_coco():
    def change(data):
        first = {}
        for entry in data["annotations"]:
            first.setdefault(entry["image_id"], entry["id"])
        kept = [e for e in data["annotations"] if first[e["image_id"]] != e["id"]]
        ring = [v for point in DRAWN for v in point]
        for i, image in enumerate(data["images"], start=1000):
            new = {"id": i, "image_id": image["id"], "category_id": 1, "iscrowd": 0}
            kept.append({**new, "segmentation": [ring], "bbox": [3, 3, 17, 15], "area": 255})
        data["annotations"] = kept

    edit_json("found/coco.json", change, "corrected.json")


def correct_labelme():
    def change(data):
        new = {"label": NAMES[0], "points": DRAWN, "shape_type": "polygon", "group_id": None}
        kept = [s for s in data["shapes"][1:] if not same_object(s, data["shapes"][0])]
        data["shapes"] = [*kept, {**new, "flags": {}}]

    for name in os.listdir("found/labelme"):
        edit_json(f"found/labelme/{name}", change)  # LabelMe saves where it has read


def same_object(one, other):
    """Whether two shapes are parts of one object."""
    return one.get("group_id") is not None and one.get("group_id") == other.get("group_id")


def correct_cvat():
    tree = ElementTree.parse("found/cvat.xml")
    for image in tree.getroot().iter("image"):
        first = image[0]
        for shape in [shape for shape in image if shape is first or same_object(shape, first)]:
            image.remove(shape)
        points = ";".join(f"{x},{y}" for x, y in DRAWN)
        about = {"label": NAMES[0], "source": "manual", "occluded": "0", "z_order": "0"}
        ElementTree.SubElement(image, "polygon", {**about, "points": points})
    tree.write("annotations.xml", encoding="utf-8", xml_declaration=True)


def correct_label_studio():
    def change(tasks):
        for i, task in enumerate(tasks, start=1):
            regions = task["predictions"][0]["result"]
            size = [regions[0][f"original_{side}"] / 100 for side in ("width", "height")]
            points = [[x / size[0], y / size[1]] for x, y in DRAWN]
            value = {"points": points, "polygonlabels": [NAMES[0]], "closed": True}
            new = {**regions[0], "type": "polygonlabels", "id": "drawn", "value": value}
            task.update(id=i, annotations=[{"id": i, "result": [*regions[1:], new]}])

    edit_json("found/label-studio/tasks.json", change, "project.json")


CORRECT = {
    "coco": correct_coco,
    "labelme": correct_labelme,
    "cvat": correct_cvat,
    "label-studio": correct_label_studio,
}


@pytest.mark.parametrize("tool", list(COMMANDS))
def test_what_was_found_is_corrected_in_a_tool_and_comes_back(place, tool, capsys):
    assert main(f"predict run photos --out found --save {tool}".split()) == 0
    CORRECT[tool]()
    if COMMANDS[tool]:
        assert main(COMMANDS[tool].split()) == 0
    assert main(["check-data", "corrected.json", "photos"]) == 0
    assert "Nothing is wrong" in capsys.readouterr().out
    corrected, truth = coco("corrected.json"), coco("truth.json")
    images = {image["file_name"]: image["id"] for image in corrected.dataset["images"]}
    for image in truth.dataset["images"]:
        before, after = (
            truth.imgToAnns[image["id"]],
            corrected.imgToAnns[images[image["file_name"]]],
        )
        assert len(after) == len(before)  # one deleted, one drawn
        masks = [rle(corrected, entry) for entry in after]
        overlaps = coco_mask.iou([rle(truth, e) for e in before[1:]], masks, [0] * len(masks))
        for entry, row in zip(before[1:], overlaps):
            best = after[int(row.argmax())]
            assert row.max() > 0.95
            names = truth.cats[entry["category_id"]], corrected.cats[best["category_id"]]
            assert names[0]["name"] == names[1]["name"]
        assert 255 in [coco_mask.area(mask) for mask in masks]


def test_only_the_least_sure_pictures_go_to_the_tool(place):
    command = "predict run photos --out found --save labelme coco --only-uncertain 2"
    assert main(command.split()) == 0
    truth = coco("truth.json")
    values = {
        image["file_name"]: uncertainty(instances(truth, image), 0.5)
        for image in truth.dataset["images"]
    }
    names = sorted(values, key=values.get, reverse=True)[:2]  # the first to be corrected first
    assert set(os.listdir("found/labelme")) == {n.replace(".png", ".json") for n in names}
    assert [image["file_name"] for image in coco("found/coco.json").dataset["images"]] == names


@on_stack_a
@pytest.mark.slow
def test_a_run_is_trained_on_the_corrected_labels(place, monkeypatch):
    assert main(["predict", "run", "photos", "--out", "found", "--save", "coco"]) == 0
    correct_coco()
    data = [f"data.{split}_json=corrected.json" for split in ("train", "val")]
    data += [f"data.{split}_images=photos" for split in ("train", "val")]
    fast = ["train.epochs=1", "train.batch_size=2", "input.min_side=64", "input.max_side=96"]
    compiled = functools.partialmethod(MaskRCNN.compile, run_eagerly=True)  # one step: no graph
    monkeypatch.setattr(MaskRCNN, "compile", compiled)
    command = ["train", "run/config.json", "--out", "runs/next", "--limit", "2", "--set"]
    assert main([*command, *data, *fast]) == 0
    assert os.path.exists("runs/next/weights.npz")
