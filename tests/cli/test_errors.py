"""Every wrong input ends in exit code 2 and one line that names the culprit, and in good time."""

import json
import os
import re
import shutil

import pytest
import tensorflow as tf
import yaml
from PIL import Image

import tfmaskrcnn as mr
from helpers.tiny import tiny_config, tiny_data
from tfmaskrcnn.cli.main import main
from tfmaskrcnn.config.yaml_files import save_config
from tfmaskrcnn.model.weights import save_weights
from tfmaskrcnn.support.files import DiskFull

NAMES = ("class_names=[circle, square, triangle]", "category_ids=[1, 2, 3]")


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """A folder with `config.yaml`, a train and a val set, and an untrained `run`."""
    folder = tmp_path_factory.mktemp("given")
    paths = []
    for seed, kind in enumerate(("train", "val")):
        json_path, images = tiny_data(folder / kind, num_images=2, seed=seed)
        paths += [f"data.{kind}_json={json_path}", f"data.{kind}_images={images}"]
    config = tiny_config(*paths)
    raw = config.model_dump(mode="json", exclude_unset=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(raw))
    (folder / "run").mkdir()
    config = tiny_config(*paths, *NAMES)
    save_config(config, str(folder / "run" / "config.json"))
    save_weights(mr.MaskRCNN(config.model), str(folder / "run" / "weights.npz"))
    (folder / "run" / "states").mkdir()
    (folder / "run" / "states" / "0000000001.npz").write_bytes(b"")
    return folder


@pytest.fixture
def refused(capfd):
    """Runs the command line, checks that it ends in one line, and returns that line."""

    def run(*arguments):
        capfd.readouterr()
        assert main([os.fspath(a) for a in arguments]) == 2
        shown = capfd.readouterr()
        lines = [li for li in shown.err.splitlines() if li.startswith("tfmaskrcnn: ")]
        assert shown.err == f"{lines[0]}\n", shown.err
        assert "Traceback" not in shown.out
        sentence = lines[0][len("tfmaskrcnn: ") :]
        assert not sentence.endswith("..") and len(sentence) < 500, sentence
        return sentence

    return run


@pytest.fixture
def no_model(monkeypatch):
    """Makes building a model fail: the error must come before."""

    def build(*_):
        raise AssertionError("a model was built before the input was checked")

    monkeypatch.setattr("tfmaskrcnn.train.loop.MaskRCNN", build)
    monkeypatch.setattr("tfmaskrcnn.model.mask_rcnn.MaskRCNN", build)


@pytest.fixture
def train(given, refused, tmp_path):
    """`train` with changed settings; returns the error."""

    def run(*settings, out=tmp_path / "run", config=given / "config.yaml", options=()):
        settings = ["--set", *settings] if settings else []
        return refused("train", config, "--out", out, *options, *settings)

    return run


def changed(given, tmp_path, change):
    """A copy of the train JSON that `change` edits in place; returns a setting that names it."""
    coco = json.loads((given / "train" / "instances.json").read_text())
    coco = change(coco) or coco
    (tmp_path / "changed.json").write_text(json.dumps(coco))
    return f"data.train_json={tmp_path / 'changed.json'}"


# Configuration.


@pytest.mark.parametrize(
    "text, expected",
    [
        (None, "Cannot read the configuration .*config.yaml: No such file"),
        ("model: [unclosed", "config.yaml is not valid YAML or JSON"),
        ("just words", "config.yaml must hold keys and values, found str"),
        ("train: {batchsize: 4}", "'train.batchsize'; did you mean 'train.batch_size'"),
        ("train: {batch_size: two}", "train.batch_size: .*valid integer.*'two'"),
        ("train: {batch_size: 0}", "train.batch_size: .*greater than 0.* 0"),
        ("base: nothing.yaml", "Cannot read .*nothing.yaml: No such file"),
    ],
)
def test_a_wrong_configuration(train, no_model, tmp_path, text, expected):
    path = tmp_path / "config.yaml"
    if text is not None:
        path.write_text(text)
    error = train(config=path)
    assert re.search(expected, error)


@pytest.mark.parametrize(
    "setting, expected",
    [
        ("train.batch_size", "'train.batch_size' is no setting"),
        ("train.learning_rte=1", "did you mean 'train.learning_rate'"),
        ("train.learning_rate=fast", "train.learning_rate: .*'fast'"),
        ("data.train_json=null", "data.train_json is not set"),
        ("model.num_classes=7", "3 categories .*num_classes is 7"),
        ("model.class_names=[a, b, c]", "class 1 is .circle., but model.class_names says .a."),
        ("train.batch_size=16", "2 images, less than one batch"),
    ],
)
def test_a_wrong_setting(request, train, setting, expected):
    if "class" not in setting and "16" not in setting:
        request.getfixturevalue("no_model")
    assert re.search(expected, train(setting))


# Annotations.


def _edit(section, **values):
    def change(coco):
        coco[section][0].update(values)

    return change


@pytest.mark.parametrize(
    "change, expected",
    [
        (lambda coco: {"nothing": 1}, "changed.json is no COCO instance set: 'images' is missing"),
        (lambda coco: [1, 2], "changed.json is no COCO instance set: .* is a list"),
        (_edit("images", file_name="no.png"), "image 1: the file .*no.png does not exist"),
        (_edit("annotations", bbox=[3, 4, 0, 9]), r"annotation 1 .*\[3, 4, 0, 9\] has no area"),
        (_edit("annotations", segmentation=[[1, 2, 3, 4]]), "annotation 1 .*at least 3 points"),
        (_edit("annotations", category_id=77), r"annotation 1 .*category_id 77 .*\(1, 2, 3\)"),
    ],
)
def test_wrong_annotations(given, train, no_model, tmp_path, change, expected):
    assert re.search(expected, train(changed(given, tmp_path, change)))


@pytest.mark.parametrize(
    "content, expected",
    [
        (None, "There is no file .*gone.json., which data.train_json names; give its place"),
        (b"", r"gone.json is empty \(0 bytes\)"),
        (b"{", "gone.json is not valid JSON"),
        (b"\xff\xfe\x00", "gone.json is UTF-16 text; save it as UTF-8"),
        (b"\xff\xff\x00", "gone.json is no UTF-8 text"),
    ],
)
def test_a_wrong_annotation_file(train, no_model, tmp_path, content, expected):
    if content is not None:
        (tmp_path / "gone.json").write_bytes(content)
    assert re.search(expected, train(f"data.train_json={tmp_path / 'gone.json'}"))


def test_a_missing_image_folder(train, no_model, tmp_path):
    error = train(f"data.train_images={tmp_path / 'gone'}")
    assert re.search("There is no folder .*gone., which data.train_images names; give", error)


def test_a_val_set_with_other_categories(given, train, tmp_path):
    change = _edit("categories", name="wheel")
    setting = changed(given, tmp_path, change).replace("train_json", "val_json")
    images = f"data.val_images={given / 'train' / 'images'}"
    assert re.search(
        "does not know the categories of .*changed.json: wheel", train(setting, images)
    )


def _zero_bytes(path):
    path.write_bytes(b"")


def _cut(path):
    path.write_bytes(path.read_bytes()[:-2000])


def _text(path):
    path.write_text("no image")


def _turned(path):
    Image.new("RGB", (96, 128)).save(path)


BAD_IMAGES = [
    (_zero_bytes, "000001.png is empty"),
    (_cut, "000001.png cannot be decoded"),
    (_text, "000001.png is not an image"),
    (_turned, r"000001.png is 128 x 96 pixels .*say 96 x 128"),
]


@pytest.mark.parametrize("damage, expected", BAD_IMAGES)
def test_evaluate_on_a_bad_image(given, refused, tmp_path, damage, expected):
    images = shutil.copytree(given / "val" / "images", tmp_path / "images")
    damage(images / "000001.png")
    assert re.search(expected, refused("evaluate", given / "run", "--images", images))


@pytest.mark.slow
def test_train_on_a_bad_image(given, train, tmp_path):
    images = shutil.copytree(given / "train" / "images", tmp_path / "images")
    _turned(images / "000002.png")
    error = train(f"data.train_images={images}")
    assert re.search(r"000002.png is 128 x 96 pixels .*say 96 x 128", error)


# Folders and weights.


def test_a_folder_that_cannot_be_written(given, refused, train, no_model, tmp_path):
    (tmp_path / "file").write_text("")
    below = tmp_path / "file" / "below"
    assert re.search("Cannot write into the folder .*below: Not a directory", train(out=below))
    image = given / "val" / "images"
    error = refused("predict", given / "run", image, "--out", below)
    assert re.search("Cannot write into the folder .*below", error)


def test_a_folder_that_holds_a_run(given, train, no_model, tmp_path):
    assert re.search("run already holds a run; .*--resume", train(out=given / "run"))
    (tmp_path / "imported").mkdir()
    shutil.copy(given / "run" / "weights.npz", tmp_path / "imported")
    shutil.copy(given / "run" / "config.json", tmp_path / "imported")
    for options in ([], ["--resume"]):
        error = train(out=tmp_path / "imported", options=options)
        assert re.search("imported holds weights.npz, which the run would replace; choose", error)


def test_a_file_to_write_that_is_a_folder(given, refused, no_model):
    val = given / "val"
    for command in (
        ["evaluate", given / "run", "--results", val],
        ["check-data", val / "instances.json", val / "images", "--html", val],
        ["check-data", val / "instances.json", val / "images", "--fix", val],
        ["import-data", "via", val / "instances.json", val],
    ):
        assert re.search("val is a folder; give the name of the file", refused(*command))


def test_an_import_that_would_replace_its_source(given, refused):
    path = given / "val" / "instances.json"
    before = path.read_bytes()
    error = refused("import-data", "via", path, path, "--images", given / "val" / "images")
    assert re.search("instances.json is the file to import; give the new one another", error)
    assert path.read_bytes() == before


def test_an_export_that_cannot_be_written(given, refused, monkeypatch):
    def make(*_):
        raise AssertionError("graphs were made before the folder was tried")

    monkeypatch.setattr("tfmaskrcnn.export.saved_model.Servable", make)
    error = refused("export", given / "run", given / "config.yaml")
    assert re.search("Cannot write into the folder .*config.yaml: File exists", error)


def test_a_folder_that_may_not_be_read(given, refused, monkeypatch, tmp_path):
    def forbidden(path):  # as root nothing is
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr("os.scandir", forbidden)
    images = given / "val" / "images"
    error = refused("predict", given / "run", images, "--out", tmp_path / "out")
    assert error == f"The folder {images} cannot be read: Permission denied."


def test_a_disk_that_is_full_when_a_state_is_saved(given, train, monkeypatch):
    def full(*_):
        raise DiskFull("Cannot write 0000000002.npz: the disk is full, 9.0 MB are free.")

    monkeypatch.setattr("tfmaskrcnn.train.loop._train", full)
    error = train(out=given / "run", options=["--resume"])
    assert re.search("is full, .*The states in .*run/states are whole: make room .*--resume", error)


def test_weights_of_another_number_of_classes(given, refused, train, tmp_path):
    def change(coco):
        coco["categories"].append({"id": 4, "name": "star"})

    settings = [changed(given, tmp_path, change), "model.num_classes=4"]
    settings.append(f"train.weights={given / 'run' / 'weights.npz'}")
    assert re.search("weights.npz holds 3 classes, the model has 4", train(*settings))
    run = shutil.copytree(given / "run", tmp_path / "other")
    config = json.loads((run / "config.json").read_text())
    config["model"].update(num_classes=2, class_names=[], category_ids=[])
    (run / "config.json").write_text(json.dumps(config))
    assert re.search("weights.npz holds 3 classes, the model has 2", refused("evaluate", run))


@pytest.mark.parametrize("command", ["evaluate", "predict", "export"])
def test_settings_that_want_other_weights(given, refused, tmp_path, command):
    rest = {"predict": [given / "val" / "images", "--out", tmp_path], "export": [tmp_path / "1"]}
    for setting, expected in (
        ("backbone.name=resnet34", r"weights.npz does not fit the model: 80 missing \(backbone/"),
        ("mask_head.enabled=false", "weights.npz does not fit the model: 6 unexpected"),
        ("model.num_classes=5", "run: model: class_names has 3 entries, num_classes is 5"),
    ):
        error = refused(command, given / "run", *rest.get(command, []), "--set", setting)
        assert re.search(expected, error)


@pytest.mark.parametrize("command", ["evaluate", "export", "info"])
def test_damaged_weights(given, refused, tmp_path, command):
    run = shutil.copytree(given / "run", tmp_path / "damaged")
    whole = (run / "weights.npz").read_bytes()
    (run / "weights.npz").write_bytes(whole[: len(whole) // 2])
    out = [tmp_path / "1"] if command == "export" else []
    assert re.search("damaged/weights.npz is damaged", refused(command, run, *out))
    (run / "weights.npz").unlink()
    assert re.search("There is no weights file .*damaged/weights.npz", refused(command, run, *out))


def test_damaged_score_thresholds(given, refused, no_model, tmp_path):
    run = shutil.copytree(given / "run", tmp_path / "run")
    (run / "thresholds.json").write_text('{"scores": [0.5]}')
    for command in (
        ["predict", run, given / "val" / "images", "--out", tmp_path / "out"],
        ["export", run, tmp_path / "1"],
        ["info", run],
    ):
        assert re.search("thresholds.json holds no score thresholds .'overall'", refused(*command))


@pytest.mark.parametrize("command", ["evaluate", "predict", "export", "info"])
def test_a_folder_that_is_no_model(given, refused, no_model, tmp_path, command):
    rest = {"predict": [given / "val" / "images", "--out", tmp_path / "out"]}
    rest["export"] = [tmp_path / "1"]
    rest = rest.get(command, [])
    assert re.search("There is no folder .*gone", refused(command, tmp_path / "gone", *rest))
    error = refused(command, given / "val", *rest)
    assert re.search("val is neither a run .* nor a SavedModel", error)
    if command != "info":  # which tells of configurations too
        error = refused(command, given / "config.yaml", *rest)
        assert re.search("config.yaml is neither a run .* nor a SavedModel", error)


@pytest.fixture(scope="module")
def saved_model(tmp_path_factory):
    """A SavedModel of another program."""
    module = tf.Module()
    module.v = tf.Variable(1.0)
    module.f = tf.function(lambda x: x + module.v, input_signature=[tf.TensorSpec([], tf.float32)])
    folder = tmp_path_factory.mktemp("saved") / "1"
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.f})
    return folder


def test_a_saved_model_of_another_program(given, refused, saved_model, tmp_path):
    images = given / "val" / "images"
    data = ["--json", given / "val" / "instances.json", "--images", images]
    for command in (
        ["evaluate", saved_model, *data],
        ["predict", saved_model, images, "--out", tmp_path / "out"],
    ):
        assert re.search(r"takes \['x'\], wanted 'images'", refused(*command))
    assert re.search("is a SavedModel; wanted", refused("export", saved_model, tmp_path / "2"))
    assert re.search("names no data; give --json", refused("evaluate", saved_model))


def test_settings_for_a_saved_model(given, refused, saved_model, tmp_path):
    predict = ["predict", saved_model, given / "val" / "images", "--out", tmp_path / "out"]
    for command in (["evaluate", saved_model], predict):
        error = refused(*command, "--set", "box_head.nms_iou=0.3")
        assert re.search("is a SavedModel, whose settings were fixed .*; --set is for run", error)


def test_settings_of_training_where_nothing_trains(given, refused, no_model, tmp_path):
    predict = ["predict", given / "run", given / "val" / "images", "--out", tmp_path / "out"]
    for command in (["evaluate", given / "run"], predict):
        error = refused(*command, "--set", "train.batch_size=2")
        assert re.search("--set train.batch_size=2: this command does not train", error)


def test_a_damaged_saved_model(given, refused, saved_model, tmp_path):
    folder = shutil.copytree(saved_model, tmp_path / "bad")
    (folder / "saved_model.pb").write_bytes(b"garbage")
    predict = ["predict", folder, given / "val" / "images", "--out", tmp_path / "out"]
    for command in (["info", folder], predict):
        assert re.search("bad is no SavedModel that TensorFlow can load", refused(*command))


# Images to predict on, and options.


def test_inputs_that_stand_for_no_image(given, refused, no_model, tmp_path):
    (tmp_path / "empty").mkdir()
    out = ["--out", tmp_path / "out"]
    for text, expected in (
        (tmp_path / "*.jpg", r"\*.jpg matches no file"),
        (tmp_path / "gone.png", "There is no file .*gone.png"),
        (tmp_path / "gone", "There is no file or folder .*gone"),
        (tmp_path / "empty", "empty holds no image"),
    ):
        assert re.search(expected, refused("predict", given / "run", text, *out))
    assert not (tmp_path / "out").exists()


def test_pictures_that_would_replace_their_images(given, refused):
    images = given / "val" / "images"
    error = refused("predict", given / "run", images, "--out", images)
    assert re.search("images is an input, .* choose another --out folder, such as .*found", error)


def test_predict_on_a_file_that_is_no_image(given, tmp_path, capfd):
    _text(tmp_path / "notes.txt")
    images = given / "val" / "images"
    (image, *_) = sorted(images.iterdir())
    command = ["predict", given / "run", tmp_path / "notes.txt", image, "--out", tmp_path / "out"]
    assert main([os.fspath(part) for part in command]) == 1
    error = capfd.readouterr().err
    assert re.search(r"1 could not be used:\n  .*notes.txt is not an image", error)
    assert (tmp_path / "out" / f"{image.stem}.png").exists()


@pytest.mark.parametrize(
    "arguments, expected",
    [
        (["predict", "m", "i", "--out", "o", "--batch-size", "0"], "--batch-size: '0' is no whole"),
        (["predict", "m", "i", "--out", "o", "--threshold", "2"], "--threshold: '2' is no number"),
        (["predict", "m", "i", "--out", "o", "--threshold", "nan"], "'nan' is no number from 0"),
        (["evaluate", "m", "--limit", "0"], "--limit: '0' is no whole number above 0"),
        (["evaluate", "m", "--max-detections", "1", "x", "9"], "'x' is no whole number"),
        (["predict", "m"], "the following arguments are required: INPUT, --out"),
        (["train", "config.yaml"], "the following arguments are required: --out"),
        (["train", "", "--out", "run"], "argument config: an empty text"),
        (["export", "run", ""], "argument out: an empty text"),
        (["evaluate", "run", "--set", ""], "argument set: an empty text"),
        (["paint"], "invalid choice: 'paint'"),
        ([], "the following arguments are required: COMMAND"),
    ],
)
def test_a_wrong_option(capsys, arguments, expected):
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    shown = capsys.readouterr().err
    assert stopped.value.code == 2 and expected in shown.splitlines()[-1]


def test_verbose_gives_the_traceback(given, tmp_path):
    with pytest.raises(mr.InputError, match="no folder"):
        main(["--verbose", "info", str(tmp_path / "gone")])
