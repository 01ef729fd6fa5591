"""Whatever is handed to a public function for something else is told in one sentence."""

import numpy as np
import pytest

import tfmaskrcnn as mr
from helpers.tiny import tiny_config, tiny_data
from tfmaskrcnn.data.coco.records import CocoData
from tfmaskrcnn.inference.opening import Source

NOTHING = CocoData((), (), (), "")
FOUND = mr.Instances(np.zeros((0, 4)), np.zeros(0), np.zeros(0, int), (8, 8))
IMAGE = np.zeros((8, 8, 3), np.uint8)
SOURCE = Source(lambda images: [FOUND] * len(images), ("a", "b", "c"), (1, 2, 3))
CONFIG = tiny_config()

CALLS = {  # what is wrong in each -> the call
    "load_config: path": lambda wrong: mr.load_config(wrong or 7),
    "load_config: overrides": lambda wrong: mr.load_config("finetune", wrong),
    "What is loaded": mr.load,
    "save takes": lambda wrong: mr.save(wrong, "x.tfmaskrcnn"),
    "The name of the file": lambda wrong: mr.save(None, wrong),
    "MaskRCNN takes a ModelConfig": mr.MaskRCNN,
    "from_checkpoint: checkpoint": mr.from_checkpoint,
    "export_saved_model: model": lambda wrong: mr.export_saved_model(wrong, "out"),
    "boxes is": lambda wrong: mr.Instances(wrong, [], [], (8, 8)),
    "load_coco: json_path": lambda wrong: mr.data.load_coco(wrong, "images"),
    "load_coco: image_dir": lambda wrong: mr.data.load_coco("a.json", wrong),
    "from_coco: config": lambda wrong: mr.data.from_coco("a.json", "images", wrong, True),
    "from_records: data": lambda wrong: mr.data.from_records(wrong, CONFIG, True),
    "from_arrays: config": lambda wrong: mr.data.from_arrays([], [], [], [], wrong, True),
    "from_generator: config": lambda wrong: mr.data.from_generator([], wrong, True),
    "with_classes_of: data": lambda wrong: mr.data.with_classes_of(wrong, CONFIG),
    "with_classes_of: config": lambda wrong: mr.data.with_classes_of(NOTHING, wrong),
    "load_tfrecord: pattern": mr.data.load_tfrecord,
    "write_tfrecord: out": lambda wrong: mr.data.write_tfrecord("a.json", "images", wrong, 1),
    "check: json_path": lambda wrong: mr.data.check(wrong, "images"),
    "write_page: result": lambda wrong: mr.data.write_page(wrong, "page.html"),
    "write_repaired: result": lambda wrong: mr.data.write_repaired(wrong, "mended.json"),
    "split: json_path": mr.data.split,
    "read_image: path": mr.data.read_image,
    "make_shapes: num_images": mr.data.make_shapes,
    "write_shapes: folder": lambda wrong: mr.data.write_shapes(wrong, 1),
    "albumentations_transform: compose": mr.data.albumentations_transform,
    "config is": lambda wrong: mr.train.train(wrong, "run"),
    "folder is": lambda wrong: mr.train.train(CONFIG, wrong),
    "train: overrides": lambda wrong: mr.train.train(CONFIG, "run", overrides=wrong),
    "make_optimizer: config": mr.train.make_optimizer,
    "evaluate: json_path": lambda wrong: mr.evaluation.evaluate(SOURCE.predict, wrong, "images"),
    "report: image_dir": lambda wrong: mr.evaluation.report(SOURCE.predict, "a.json", wrong),
    "write_page: report": lambda wrong: mr.evaluation.write_page(wrong, "page.html"),
    "write_csv: report": lambda wrong: mr.evaluation.write_csv(wrong, "tables"),
    "to_json: report": mr.evaluation.to_json,
    "summary: report": mr.evaluation.summary,
    "__init__: json_path": lambda wrong: mr.evaluation.CocoCallback(wrong, "images"),
    "load_backbone: config": lambda wrong: mr.checkpoints.load_backbone(None, wrong),
    "load_imagenet: backbone": mr.checkpoints.load_imagenet,
    "run_of: name": mr.checkpoints.run_of,
    "fetched: name": mr.checkpoints.fetched,
    "save_weights: model": lambda wrong: mr.weights.save_weights(wrong, "x.npz"),
    "named_weights: model": mr.weights.named_weights,
    "read_weights: path": mr.weights.read_weights,
    "draw: instances": lambda wrong: mr.visualize.draw(IMAGE, wrong),
    "draw_ground_truth: record": lambda wrong: mr.visualize.draw_ground_truth(IMAGE, wrong),
    "side_by_side: images": mr.visualize.side_by_side,
    "plot_curves: history": lambda wrong: mr.visualize.plot_curves(wrong, "curves.png"),
    "open_source: folder": mr.inference.open_source,
    "describe: folder": mr.inference.describe,
    "saved_model_predictor: path": mr.inference.saved_model_predictor,
    "find_images: inputs": lambda wrong: mr.inference.find_images(wrong or [wrong]),
    "predict_files: source": lambda wrong: mr.inference.predict_files(wrong, [], "out"),
    "predict_all: folder": lambda wrong: mr.inference.predict_all(SOURCE, [], wrong),
    "__init__: path": mr.inference.VideoFrames,
    "publish: folder": lambda wrong: mr.serving.publish.publish("exported/1", wrong),
}


@pytest.mark.parametrize("wrong", [None, object(), []], ids=["None", "object", "empty list"])
@pytest.mark.parametrize("what", CALLS)
def test_a_wrong_argument_is_one_sentence(what, wrong, tmp_path, monkeypatch):
    if wrong == [] and what in ("load_config: overrides", "train: overrides"):
        pytest.skip("an empty list is right")
    if wrong == [] and what in ("boxes is", "find_images: inputs"):
        pytest.skip("of nothing, nothing is found")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(mr.InputError, match=what) as told:
        CALLS[what](wrong)
    assert "\n" not in str(told.value) and len(str(told.value)) < 300


@pytest.mark.parametrize(
    "options, said",
    [
        ({"batch_size": "x"}, "batch_size is 'x'; wanted a whole number above 0"),
        ({"batch_size": None}, "batch_size is None; wanted"),
        ({"limit": 1.5}, "limit is 1.5; wanted a whole number"),
        ({"classes": "cell"}, "classes is 'cell'; wanted a list of texts"),
        ({"max_detections": None}, "max_detections is None; wanted three numbers"),
        ({"iou": "x"}, "The IoU is 'x'"),
    ],
)
def test_a_wrong_option_of_a_report_is_one_sentence(options, said, tmp_path):
    with pytest.raises(mr.InputError, match=said):
        mr.evaluation.report(SOURCE.predict, *tiny_data(tmp_path, 1), **options)


@pytest.mark.parametrize(
    "options, said",
    [
        ({"classes": 7}, "classes is 7; wanted a list"),
        ({"fixed_size": 7}, r"fixed_size is 7; wanted \(height, width\)"),
        ({"score_threshold": "x"}, "score_threshold is 'x'; wanted a number from 0 to 1"),
    ],
)
def test_a_wrong_option_of_an_export_is_one_sentence(options, said):
    with pytest.raises(mr.InputError, match=said):
        mr.ExportOptions(**options)


def test_settings_in_a_dict_are_checked_as_those_of_a_file():
    with pytest.raises(mr.InputError, match="The configuration: unknown key 'num_clases'; did you"):
        mr.MaskRCNN({"num_clases": 3})
    with pytest.raises(mr.InputError, match="train.epochs: .*'x'"):
        mr.MaskRCNN({"model": {}, "train": {"epochs": "x"}})
