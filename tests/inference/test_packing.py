"""A model as a single file: the same to the bit, and taken wherever a run is taken."""

import json
import zipfile

import numpy as np
import pytest

import tfmaskrcnn as mr
from helpers.one_stack import on_stack_a
from helpers.tiny import tiny_config, tiny_data
from tfmaskrcnn.cli.main import main
from tfmaskrcnn.config.yaml_files import load_config, save_config
from tfmaskrcnn.inference.prediction_options import model_digest
from tfmaskrcnn.inference.score_thresholds import ScoreThresholds, save_for_run
from tfmaskrcnn.inference.trained_sizes import TrainedSizes
from tfmaskrcnn.inference.trained_sizes import save_for_run as save_sizes
from tfmaskrcnn.model.weights import named_weights, save_weights
from tfmaskrcnn.train.first_weights import start_weights

NAMES = ("class_names=[circle, square, triangle]", "category_ids=[1, 2, 3]")
CHOSEN = ScoreThresholds((0.5, None, 0.25), 0.4, 0.5, "mask", 9, ("circle", "square", "triangle"))


@pytest.fixture(scope="module")
def given(eagerly, tmp_path_factory):
    """A folder with a data set, a `run` and the file `x.tfmaskrcnn` of it."""
    folder = tmp_path_factory.mktemp("given")
    json_path, images = tiny_data(folder / "set", num_images=2)
    paths = (f"data.train_json={json_path}", f"data.train_images={images}")
    low = ("box_head.score_threshold=0.01", "evaluation.max_detections=[1, 2, 20]")
    config = tiny_config(*paths, *NAMES, *low, "data.augment.function=some:code")
    run = folder / "run"
    run.mkdir()
    save_config(config, str(run / "config.json"))
    save_weights(mr.MaskRCNN(config.model), str(run / "weights.npz"))
    save_sizes(TrainedSizes(1, 1, 1, 40, 0.4, 2, 5), str(run))
    save_for_run(CHOSEN, str(run))
    assert main(["export", str(run), str(folder / "x.tfmaskrcnn"), "--format", "file"]) == 0
    return folder


def values(model):
    return {name: variable.numpy() for name, variable in named_weights(model).items()}


def test_the_file_holds_numbers_and_json_and_nothing_of_the_place(given):
    with zipfile.ZipFile(given / "x.tfmaskrcnn") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    names = {"model.json", "config.json", "thresholds.json", "trained_sizes.json", "weights.npz"}
    assert set(members) == names
    assert (
        str(given).encode() not in b"".join(members.values())
        and b"some:code" not in (members["config.json"])
    )
    about = json.loads(members["model.json"])
    assert about["format"] == 1 and about["trained"] and "tensorflow" in about["versions"]


def test_unpacked_by_hand_it_is_a_run(given, tmp_path):
    with zipfile.ZipFile(given / "x.tfmaskrcnn") as archive:
        archive.extractall(tmp_path)
    for name in ("weights.npz", "thresholds.json", "trained_sizes.json"):
        assert (tmp_path / name).read_bytes() == (given / "run" / name).read_bytes()


def test_python_and_the_command_write_the_same_bytes_again_and_again(given, tmp_path):
    expected, path = (given / "x.tfmaskrcnn").read_bytes(), tmp_path / "y.tfmaskrcnn"
    for source in (given / "run", given / "x.tfmaskrcnn"):
        assert mr.save(mr.load(source), path) == str(path)
        assert path.read_bytes() == expected


def test_a_file_answers_as_its_run_to_the_bit(given):
    run, file = str(given / "run"), str(given / "x.tfmaskrcnn")
    image = mr.data.read_image(next((given / "set").glob("**/*.png")))
    sources = [mr.inference.open_source(path) for path in (run, file)]
    found = [source.predict([image])[0] for source in sources]
    assert len(found[0]) > 0
    for name in ("boxes", "scores", "classes", "mask_probabilities"):
        np.testing.assert_array_equal(*(getattr(each, name) for each in found))
    same = [s._replace(predict=None) for s in sources]
    assert same[0] == same[1] and same[1].trained
    assert len({model_digest(path, load_config(path)) for path in (run, file)}) == 1


@on_stack_a
def test_the_commands_take_it(given, tmp_path, capsys):
    file = str(given / "x.tfmaskrcnn")
    json_path = str(next((given / "set").glob("**/*.json")))
    pictures = str(next((given / "set").glob("**/*.png")).parent)
    assert main(["info", file]) == 0
    assert "kind: single-file model" in capsys.readouterr().out
    out = ["--out", str(tmp_path / "found")]
    assert main(["predict", file, pictures, *out, "--save", "none"]) == 0
    assert json.loads((tmp_path / "found" / "results.json").read_text())
    data = ["--json", json_path, "--images", pictures]
    assert main(["evaluate", file, *data, "--limit", "1"]) == 0
    assert main(["evaluate", file]) == 2
    assert "has no val split" in capsys.readouterr().err
    assert main(["evaluate", file, *data, "--save-thresholds"]) == 2
    assert "is a file; --save-thresholds is for run folders" in capsys.readouterr().err
    assert main(["evaluate", file, *data, "--results", file]) == 2
    assert "is read here and would be replaced" in capsys.readouterr().err
    assert main(["compare", str(given / "run"), file, "--images", pictures, "--limit", "1"]) == 0


@on_stack_a
def test_training_starts_from_it(given):
    file = str(given / "x.tfmaskrcnn")
    model = mr.MaskRCNN(tiny_config(*NAMES).model)
    start_weights(model, tiny_config(*NAMES, f"train.weights={file}"))
    expected = values(mr.load(file))
    for name, array in values(model).items():
        np.testing.assert_array_equal(array, expected[name])
    assert load_config(file, ["train.epochs=7"]).train.epochs == 7


@on_stack_a
def test_thresholds_of_other_weights_are_left_out(given, tmp_path, caplog):
    model = mr.load(given / "run")
    variable = next(iter(named_weights(model).values()))
    variable.assign(variable + 1.0)
    path = mr.save(model, tmp_path / "other.tfmaskrcnn")
    assert mr.load(path).from_run.thresholds is None
    assert "no longer those of its score thresholds" in caplog.text
    mr.save(model, path, CHOSEN)
    assert mr.load(path).from_run.thresholds.scores == CHOSEN.scores
    with pytest.raises(mr.InputError, match="thresholds of 1 classes, the model has 3"):
        mr.save(model, path, ScoreThresholds((0.5,), 0.4, 0.5, "mask", 9))
    variable.assign(variable * np.nan)
    with pytest.raises(mr.InputError, match="infinite or NaN"):
        mr.save(model, path)


@pytest.mark.parametrize(
    "path, said",
    [("x.npz", "has to end in .tfmaskrcnn"), ("", "wanted a path"), (None, "wanted a path")],
)
def test_a_wrong_name_is_refused(path, said):
    with pytest.raises(mr.InputError, match=said):
        mr.save(None, path)
    with pytest.raises(mr.InputError, match="save takes a MaskRCNN, found NoneType"):
        mr.save(None, "x.tfmaskrcnn")


@pytest.mark.parametrize(
    "words, said",
    [
        ("run y.npz --format file", "has to end in .tfmaskrcnn"),
        ("run y.tfmaskrcnn", "is written with --format file"),
        ("run y.tfmaskrcnn --format file --masks rle", "--masks is not for --format file"),
        ("run y.tfmaskrcnn --format file --images .", "--images is for --format onnx or tflite"),
    ],
)
def test_the_command_says_what_it_wants(given, monkeypatch, capsys, words, said):
    monkeypatch.chdir(given)
    assert main(["export", *words.split()]) == 2
    assert said in capsys.readouterr().err
    assert not (given / "y.tfmaskrcnn").exists()


def spoilt(given, tmp_path, name, content):
    """A copy of the file with another member."""
    path = tmp_path / "spoilt.tfmaskrcnn"
    with zipfile.ZipFile(given / "x.tfmaskrcnn") as source, zipfile.ZipFile(path, "w") as target:
        for member in source.namelist():
            target.writestr(member, content if member == name else source.read(member))
    return str(path)


@pytest.mark.parametrize(
    "name, content, said",
    [
        ("weights.npz", b"no", "spoilt.tfmaskrcnn/weights.npz is damaged"),
        ("config.json", b'{"model": {}}'[:-1], "is not valid YAML or JSON"),
        ("config.json", b'{"base": "/etc/passwd"}', "`base` is for YAML files"),
        ("thresholds.json", b"[]", "holds no score thresholds"),
    ],
)
def test_a_spoilt_member_is_one_sentence(given, tmp_path, name, content, said):
    path = spoilt(given, tmp_path, name, content)
    with pytest.raises(mr.InputError, match=said):
        mr.load(path)
