"""A run's folder: begun, resumed, lengthened, moved, finished; steps are eager, to be quick."""

import json
import os
import shutil

import numpy as np
import pytest

import tfmaskrcnn as mr
from helpers.cases import case
from helpers.one_stack import on_stack_a
from helpers.tiny import tiny_config, tiny_data
from tfmaskrcnn.config.run import Config
from tfmaskrcnn.data import load_coco, load_tfrecord, write_tfrecord
from tfmaskrcnn.support.run_folder import Origin, Run, read_origin, write_origin
from tfmaskrcnn.train import loop, train
from tfmaskrcnn.train.data_content import data_content
from tfmaskrcnn.train.run_start import finished_without_states
from tfmaskrcnn.train.saving import states_in
from tfmaskrcnn.train.state import read_state

SETTINGS = ("train.epochs=1", "train.schedule.kind=constant", "train.tensorboard=false")


# What is in a run's folder does not depend on TensorFlow; `test_loop` goes on with runs on both.
pytestmark = [on_stack_a, pytest.mark.usefixtures("eagerly")]


@pytest.fixture(scope="module")
def home(eagerly, tmp_path_factory):
    """A folder with `train.json`, `images` and a run of one epoch, `run`, trained from there."""
    folder = tmp_path_factory.mktemp("home")
    json_path, images = tiny_data(folder / "made", seed=1)
    shutil.move(json_path, folder / "train.json")
    shutil.move(images, folder / "images")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        train(config_for(), "run")
    return folder


@pytest.fixture
def moved(home, tmp_path, monkeypatch):
    """A copy of all that, which is the current folder."""
    for name in ("images", "run"):
        shutil.copytree(home / name, tmp_path / name)
    shutil.copy(home / "train.json", tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def config_for(*overrides, json_path="train.json", images="images"):
    data = f"data.train_json={json_path}", f"data.train_images={images}"
    return tiny_config(*data, *SETTINGS, *overrides)


def last_weights(folder):
    with np.load(states_in(Run(str(folder)).states)[-1]) as state:
        return {name: state[name] for name in state.files if name.startswith(("weights", "opt"))}


def edit(path, change):
    raw = json.loads(path.read_text())
    change(raw)
    path.write_text(json.dumps(raw))


class Killed(Exception):
    pass


@pytest.fixture
def killed(monkeypatch):
    def kill(*args, **kwargs):
        raise Killed

    monkeypatch.setattr(loop, "_run_epochs", kill)


def test_a_run_tells_where_it_was_trained_and_that_it_is_finished(home):
    assert read_origin(home / "run") == Origin(str(home), finished=1)
    assert not os.path.exists(home / "run" / ".lock")


@pytest.mark.parametrize("there", ["nothing", "an empty folder", "a configuration"])
def test_resume_begins_where_there_is_nothing_yet(moved, there, killed):
    if there != "nothing":
        os.mkdir("new")
    if there == "a configuration":
        shutil.copy("run/config.json", "new")
    with pytest.raises(Killed):
        train(config_for(), "new", resume=True)
    assert os.path.exists("new/first_batch.png")


def test_a_lengthened_run_is_the_long_one_to_the_bit(moved, caplog):
    train(config_for("train.epochs=2"), "long")
    with caplog.at_level("INFO"):
        train(config_for("train.epochs=2"), "run", resume=True)
    assert "train.epochs was 1 and is 2; the learning rate stays as it is" in caplog.text
    expected, found = last_weights("long"), last_weights("run")
    assert set(found) == set(expected)
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)
    assert mr.load_config("run").train.epochs == 2 and read_origin("run").finished == 2


def test_a_lengthened_schedule_says_at_what_rate_it_goes_on(moved, killed, caplog):
    shutil.rmtree("run")
    with pytest.raises(Killed):
        train(config_for("train.schedule.kind=cosine"), "run")
    config = mr.load_config("run", ["train.epochs=3"])
    model = loop.compiled_model(config, 2)
    loop.say_lengthened(Run("run"), config, model)
    assert "train.epochs was 1 and is 3; the learning rate goes by 'cosine' over the new" in (
        caplog.text
    )


def test_its_data_may_have_moved_and_become_shards(moved, killed, caplog):
    os.rename("images", "pictures")
    os.rename("train.json", "labels.json")
    longer = ("train.epochs=2",)
    with pytest.raises(Killed):
        train(config_for(*longer, json_path="labels.json", images="pictures"), "run", resume=True)
    write_tfrecord("labels.json", "pictures", "records/train", 2, workers=1)
    shards = ["data.train_json=null", "data.train_images=null"]
    shards += ["data.train_tfrecord=records/train-*.tfrecord", *longer]
    with pytest.raises(Killed):
        train(config_for(*shards), "run", resume=True)


CHANGES = {
    "a box": lambda raw: raw["annotations"][0]["bbox"].__setitem__(2, 9.0),
    "a mask": lambda raw: raw["annotations"][0]["segmentation"][0].__setitem__(0, 1.0),
    "a class": lambda raw: raw["annotations"][0].update(
        category_id=raw["annotations"][0]["category_id"] % 3 + 1
    ),
    "a class's name": lambda raw: raw["categories"][0].update(name="disc"),
    "an object": lambda raw: raw["annotations"].pop(),
    "the order": lambda raw: raw["images"].reverse(),
    "an image": lambda raw: raw["images"].append({**raw["images"][0], "id": 99}),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_changed_annotation_file_is_noticed(moved, what, killed):
    edit(moved / "train.json", CHANGES[what])
    before = sorted(os.listdir("run/states"))
    with pytest.raises(mr.InputError, match="the training data changed since the run began"):
        train(config_for("train.epochs=2"), "run", resume=True)
    assert sorted(os.listdir("run/states")) == before


def test_balanced_weights_are_numbers_in_the_run_which_goes_on_by_either(moved, caplog):
    focal = "train.accumulate=1", "box_head.loss=focal"
    balanced = config_for(*focal, "box_head.class_weights=balanced")
    with caplog.at_level("INFO"):
        train(balanced, "rare")
    assert "box_head.class_weights=balanced: the loss of objects is weighed by" in caplog.text
    own = mr.load_config("rare")
    found = own.model.box_head
    assert (found.loss, set(found.class_weights)) == ("focal", {"circle", "square", "triangle"})
    assert len(set(found.class_weights.values())) > 1
    data = load_coco("train.json", "images")
    state = states_in(Run("rare").states)[-1]
    for config in (own, mr.data.with_classes_of(data, balanced)):
        read_state(state, config)
    other = mr.data.with_classes_of(data, config_for(*focal))
    with pytest.raises(mr.InputError, match="model.box_head.class_weights.circle was .* is None"):
        read_state(state, other)


def test_masks_that_changed_in_shards_are_noticed(moved):
    digests = []
    for name, change in (("a", lambda raw: raw), ("b", lambda raw: raw), ("c", CHANGES["a mask"])):
        edit(moved / "train.json", change)
        write_tfrecord("train.json", "images", f"{name}/train", 2, workers=1)
        digests.append(data_content(load_tfrecord(f"{name}/train-*.tfrecord"), Config()))
    first, same, other = digests
    assert set(first) == {"train", "train_shards"} and first == same
    assert other["train"] == first["train"] and other != first


def test_what_training_does_not_read_may_change(moved, killed):
    edit(moved / "train.json", lambda raw: raw.update(info={"note": "spaces"}))
    with pytest.raises(Killed):
        train(config_for("train.epochs=2"), "run", resume=True)


def test_fingerprints_tell_the_val_split_by_its_file(moved):
    shutil.copy("train.json", "val.json")
    data = load_coco("train.json", "images")
    config = config_for("data.val_json=val.json", "data.val_images=images")
    before = data_content(data, config)
    assert set(before) == {"train", "train_shapes", "val"}
    edit(moved / "val.json", CHANGES["a box"])
    after = data_content(data, config)
    assert after["val"] != before["val"] and after["train"] == before["train"]
    assert set(data_content(data, Config())) == {"train", "train_shapes"}


@pytest.mark.parametrize(
    "change, told",
    [
        ("train.learning_rate=0.5", "train.learning_rate was 0.02 and is 0.5"),
        ("data.limit=2", "data.limit was None and is 2"),
        ("train.rates={backbone: 0.1}", "train.rates.backbone was None and is 0.1"),
        ("rpn.nms_iou=0.5", "model.rpn.nms_iou was 0.7 and is 0.5"),
    ],
)
def test_what_else_differs_is_named_by_key(moved, change, told):
    with pytest.raises(mr.InputError, match=f"another configuration: {told}. Give the run's"):
        train(config_for(change), "run", resume=True)


def test_a_val_split_that_comes_later_is_named(moved):
    val = "data.val_json=train.json", "data.val_images=images"
    with pytest.raises(mr.InputError, match="data.val_json was None and is 'train.json'"):
        train(config_for(*val), "run", resume=True)


def test_states_of_a_finished_run_may_be_removed(moved, caplog, monkeypatch):
    shutil.rmtree("run/states")
    monkeypatch.setattr(loop, "training_data", None)  # nothing is read
    with caplog.at_level("INFO"):
        model = train(config_for(), "run", resume=True)
    assert "run is finished; its best weights are in run/weights.npz" in caplog.text
    expected, found = np.load("run/weights.npz"), mr.model.weights.named_weights(model)
    assert all((expected[name] == found[name].numpy()).all() for name in expected.files)
    with pytest.raises(mr.InputError, match="has trained 1 epochs, but its states are gone"):
        train(config_for("train.epochs=2"), "run", resume=True)
    with pytest.raises(mr.InputError, match="holds weights.npz, which the run would replace"):
        train(config_for(), "run")


def test_so_may_those_of_a_run_older_than_its_origin(tmp_path):
    run = Run(str(tmp_path))
    mr.config.yaml_files.save_config(config_for("train.epochs=3"), run.config)
    (tmp_path / "weights.npz").write_bytes(b"")
    rows = ["epoch,loss", "1,1", "2,1", "3,1"]
    for count, finished in ((4, True), (3, None), (2, False)):  # with the heading
        (tmp_path / "history.csv").write_text("\n".join(rows[:count]))
        if finished is None:
            with pytest.raises(mr.InputError, match="trained 2 epochs, but its states are gone"):
                finished_without_states(run, config_for("train.epochs=3"), True)
        else:
            found = finished_without_states(run, config_for("train.epochs=3"), True)
            assert found is finished, count


def test_a_finished_run_says_so(moved, caplog):
    with caplog.at_level("INFO"):
        train(config_for(), "run", resume=True)
    assert "run: all 1 epochs are trained" in caplog.text


def test_relative_paths_are_found_from_where_the_run_was_trained(moved, tmp_path_factory, killed):
    other = tmp_path_factory.mktemp("other")
    write_origin("run", Origin(str(moved)))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(other)
        with pytest.raises(Killed):
            train(config_for("train.epochs=2"), str(moved / "run"), resume=True)
        os.rename(moved / "train.json", moved / "gone.json")
        gone = f"There is no file 'train.json', .* .neither here nor in '{moved}', where the run"
        with pytest.raises(mr.InputError, match=gone):
            train(config_for(), str(moved / "run"), resume=True)


def test_a_folder_that_stays_empty_is_removed_again(moved):
    with pytest.raises(mr.InputError, match="There is no file 'no.json', which data.train_json"):
        train(config_for(json_path="no.json"), "deep/er/run")
    assert not os.path.exists("deep")
    os.mkdir("mine")
    with pytest.raises(mr.InputError):
        train(config_for(json_path="no.json"), "mine/run")
    assert os.listdir("mine") == []


def test_a_wrong_val_split_is_told_before_a_model_is_built(moved, monkeypatch):
    (moved / "val.json").write_text("{}")
    monkeypatch.setattr(loop, "compiled_model", None)
    with pytest.raises(mr.InputError, match="val.json"):
        train(config_for("data.val_json=val.json", "data.val_images=images"), "new")
    assert not os.path.exists("new")


def test_a_second_run_in_the_folder_is_told_who_has_it(moved, monkeypatch):
    told = []

    def begun(*args, **kwargs):
        with pytest.raises(mr.InputError) as caught:
            train(config_for(), "run", resume=True)
        told.append(str(caught.value))
        raise Killed

    monkeypatch.setattr(loop, "_run_epochs", begun)
    with pytest.raises(Killed):
        train(config_for("train.epochs=2"), "run", resume=True)
    assert f"run is in use by another run (process {os.getpid()} on" in told[0]
    with pytest.raises(mr.InputError, match="already holds a run"):
        train(config_for(), "run")


@pytest.mark.parametrize(
    "name, told",
    [
        ("d09_cvat_all_crowd", "all 8 objects are crowd regions .iscrowd 1"),
        ("d12_size_swapped", "but its annotations say"),
    ],
)
def test_d09_and_d12_are_told_before_a_model_is_built(tmp_path, monkeypatch, name, told):
    monkeypatch.setattr(loop, "compiled_model", None)
    folder = case(f"data/{name}")
    config = config_for(
        "model.num_classes=2", json_path=folder / "train.json", images=folder / "images"
    )
    with pytest.raises(mr.InputError, match=told):
        train(config, str(tmp_path / "run"))
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    "name, told",
    [
        ("d02_roboflow_parent", "1 of 3 classes have no object"),
        ("d10_exif_90", "4 of 4 images looked at are turned by EXIF"),
        ("d10b_exif_180", "4 of 4 images looked at are turned by EXIF"),
        ("d13d_rle_row_major", "8 of 8 masks looked at are an RLE counted along rows"),
        ("d14b_all_xyxy", "fit their masks only as [x1, y1, x2, y2]"),
        ("f04_half_crowd", "4 of 8 objects are crowd regions"),
    ],
)
def test_train_says_what_it_is_about_to_learn_wrongly(tmp_path, monkeypatch, caplog, name, told):
    def stop(*args):
        raise Killed

    monkeypatch.setattr(loop, "compiled_model", stop)
    folder = case(f"data/{name}")
    classes = 3 if name == "d02_roboflow_parent" else 2
    settings = f"model.num_classes={classes}", "data.skip_invalid=true"
    config = config_for(*settings, json_path=folder / "train.json", images=folder / "images")
    with pytest.raises(Killed):
        train(config, str(tmp_path / "run"))
    assert told in caplog.text
