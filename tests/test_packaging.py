"""What `pip install` of the wheel brings: it works in another folder, without the clone."""

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile

import pytest

from helpers.one_stack import on_stack_a
from helpers.paths import GOLDEN, ROOT

SOURCES = ("tfmaskrcnn", "configs", "export", "setup.cfg", "setup.py", "pyproject.toml")
SOURCES += ("MANIFEST.in", "README.md", "LICENSE")


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder that holds what the wheel does."""
    folder = tmp_path_factory.mktemp("wheel")
    clone = folder / "clone"  # pip leaves build/ behind
    clone.mkdir()
    for name in SOURCES:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, clone / name)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", str(clone)]
    command += ["--no-build-isolation", "--wheel-dir", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    shutil.rmtree(clone)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as file:
        file.extractall(folder / "site")
    return folder / "site"


def run(installed, folder, *arguments):
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    command = [sys.executable, *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


def test_the_wheel_holds_every_module_recipe_and_script(installed):
    kinds = (".py", ".html", ".css")  # the report's templates travel too
    names = {
        str(p.relative_to(ROOT)) for p in (ROOT / "tfmaskrcnn").rglob("*") if p.suffix in kinds
    }
    names |= {"tfmaskrcnn/py.typed"}
    for folder, pattern in (("configs", "*.yaml"), ("export", "*.py")):
        names |= {f"tfmaskrcnn/shipped/{folder}/{p.name}" for p in (ROOT / folder).glob(pattern)}
    found = {str(path.relative_to(installed)) for path in installed.rglob("*") if path.is_file()}
    found = {name for name in found if ".dist-info" not in name}
    assert found == names


def test_recipes_and_scripts_are_found_in_the_package(installed, tmp_path):
    code = "import tfmaskrcnn; print(tfmaskrcnn.__file__)"
    assert run(installed, tmp_path, "-c", code)[1].startswith(str(installed))
    code, out, _ = run(installed, tmp_path, "-m", "tfmaskrcnn", "configs")
    assert code == 0 and "\nfinetune " in out
    code, out, _ = run(installed, tmp_path, "-m", "tfmaskrcnn", "benchmark", "--help")
    assert code == 0 and "--against" in out
    train = ("-m", "tfmaskrcnn", "train", "nuclei_demo", "--out", "run")
    code, _, error = run(installed, tmp_path, *train)
    assert code == 2 and "examples/nuclei/train.json" in error and error.count("\n") == 1


@on_stack_a
@pytest.mark.slow
def test_a_model_is_measured_with_what_is_installed(installed, tmp_path):
    with tarfile.open(GOLDEN / "before_layout_saved_model.tar.xz") as file:
        file.extractall(tmp_path, filter="data")
    options = ("--size", "64x64", "--repeats", "1", "--warmup", "0", "--profile")
    code, out, error = run(
        installed, tmp_path, "-m", "tfmaskrcnn", "benchmark", "saved_model", *options
    )
    assert code == 0 and "images/s" in out and "backbone" in out and "pasting" in out, error
