"""A SavedModel is there as a whole or not at all, and what is wrong is told before TensorFlow."""

import os
import subprocess
import sys

import pytest
import tensorflow as tf

import tfmaskrcnn as mr
from helpers.tiny import tiny_config
from tfmaskrcnn.cli.main import main
from tfmaskrcnn.config.yaml_files import save_config
from tfmaskrcnn.model.weights import save_weights


@pytest.fixture(scope="module")
def model():
    return mr.MaskRCNN(tiny_config().model)


@pytest.fixture(scope="module")
def run(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("given") / "run"
    folder.mkdir()
    save_config(tiny_config(), str(folder / "config.json"))
    save_weights(model, str(folder / "weights.npz"))
    return str(folder)


@pytest.fixture
def saving(monkeypatch):
    """What `tf.saved_model.save` writes before it ends as told."""

    def end(error=None):
        def save(_, folder, signatures):
            assert signatures
            os.makedirs(os.path.join(folder, "variables"))
            for name in ("saved_model.pb", "variables/index"):
                with open(os.path.join(folder, name), "w") as file:
                    file.write("part")
            if error:
                raise error

        monkeypatch.setattr(tf.saved_model, "save", save)

    return end


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("x"), OSError(28, "full")])
@pytest.mark.parametrize("there", [False, True])
def test_nothing_is_left_of_an_export_that_fails(model, saving, tmp_path, error, there):
    saving(error)
    folder = tmp_path / "new" / "1"
    if there:
        folder.mkdir(parents=True)
    with pytest.raises((KeyboardInterrupt, RuntimeError, mr.InputError)):
        mr.export_saved_model(model, folder)
    if there:
        assert folder.is_dir() and not list(folder.iterdir())
    else:
        assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("there", [False, True])
def test_a_whole_export_takes_its_place(model, saving, tmp_path, there):
    saving()
    folder = tmp_path / "new" / "1"
    if there:
        folder.mkdir(parents=True)
    assert mr.export_saved_model(model, folder) == str(folder)
    assert sorted(os.listdir(folder)) == ["saved_model.pb", "variables"]
    assert os.listdir(folder.parent) == ["1"] and os.listdir(folder / "variables") == ["index"]


@pytest.mark.parametrize("name", ["", "/"])
def test_a_link_to_an_empty_folder_is_filled(model, saving, tmp_path, name):
    saving()
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "disk")
    mr.export_saved_model(model, f"{tmp_path / 'link'}{name}")
    assert (tmp_path / "disk" / "saved_model.pb").exists() and (tmp_path / "link").is_symlink()


def test_a_stopped_command_leaves_no_folder(run, saving, tmp_path, capsys):
    saving(KeyboardInterrupt())
    assert main(["export", run, str(tmp_path / "a" / "b")]) == 130
    assert not list(tmp_path.iterdir()) and "stopped" in capsys.readouterr().err


def test_a_file_that_is_not_written_leaves_no_folder(run, tmp_path, monkeypatch, capsys):
    def fail(*_, **__):
        raise mr.InputError("It does not convert.")

    monkeypatch.setattr("tfmaskrcnn.export.formats.saved_model_of", fail)
    out = str(tmp_path / "new" / "model.onnx")
    assert main(["export", run, out, "--format", "onnx", "--fixed-size", "96", "128"]) == 2
    assert not list(tmp_path.iterdir()) and "does not convert" in capsys.readouterr().err


@pytest.mark.parametrize(
    "options, sentence",
    [
        (["--fixed-size", "96", "128", "--min-side", "5"], "either fixed_size or min_side"),
        ([], "is not empty; choose a new folder"),
    ],
)
def test_a_wrong_choice_is_told_before_tensorflow_is_imported(run, tmp_path, options, sentence):
    (tmp_path / "there").write_text("")
    code = (
        "import sys; sys.modules['tensorflow'] = None; "
        "from tfmaskrcnn.cli.main import main; sys.exit(main(sys.argv[1:]))"
    )
    out = tmp_path if not options else tmp_path / "1"
    command = [sys.executable, "-c", code, "export", run, str(out), *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and sentence in done.stderr, done.stderr
    assert os.listdir(tmp_path) == ["there"]
