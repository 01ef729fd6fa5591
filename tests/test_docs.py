"""What the documentation tells a reader to type: it parses, its settings and its files exist."""

import importlib.util
import re
import shlex
from pathlib import Path

import pytest

import tfmaskrcnn as mr
from helpers.paths import ROOT
from tfmaskrcnn.cli.main import _parser
from tfmaskrcnn.config.recipes import recipes
from tfmaskrcnn.config.yaml_files import load_config
from tfmaskrcnn.support.shipped import script

PAGES = ["README.md", "CONTRIBUTING.md", "docs/*.md", "export/README.md", "examples/**/*.md"]
PAGES = sorted(str(path.relative_to(ROOT)) for page in PAGES for path in ROOT.glob(page))
# What stands for a reader's own file or run; None where a command takes no configuration.
OF_THE_READER = (None, "CONFIG", "mine.yaml", "configs/mine.yaml", "runs/start", "runs/mine")
# A command at the beginning of a line, behind "$ " or settings of the environment.
COMMAND = re.compile(r"^ *(?:\$ )?(?:[A-Z_]+=\S+ )?tfmaskrcnn (.*)", re.MULTILINE)


def commands(text):
    """The arguments of each command in the blocks of a page, without placeholders."""
    found = COMMAND.findall(text)
    return [line for line in found if "[--" not in line]  # a synopsis


def test_the_pages_show_commands():
    shown = sum((commands(blocks(page)) for page in PAGES), [])
    assert len(shown) > 25
    assert {"train", "evaluate", "predict", "export"} < {line.split()[0] for line in shown}


@pytest.mark.parametrize("page", PAGES)
def test_every_command_of_a_page_parses_and_its_settings_exist(page, monkeypatch):
    monkeypatch.chdir(ROOT)
    for line in commands(blocks(page)):
        options = _parser().parse_args(shlex.split(line, comments=True))
        settings = [text for text in getattr(options, "set", ()) if text != "..."]
        config = getattr(options, "config", None)
        known = config in recipes() or Path(config or "").is_file()
        assert known or config in OF_THE_READER, f"{page}: there is no configuration {config}"
        load_config(config if known else None, settings)


@pytest.mark.parametrize("page", PAGES)
def test_every_file_of_the_repository_that_a_page_names_exists(page):
    text = (ROOT / page).read_text("utf-8")
    named = set(re.findall(r"(?<![\w/.])(?:configs|docs|export|examples|tests)/[\w./]+\.\w+", text))
    named -= {"configs/mine.yaml"}  # the reader's
    assert not [name for name in sorted(named) if not (ROOT / name).exists()]
    links = re.findall(r"\]\(([\w./]+)\)", text)
    assert not [link for link in links if not (ROOT / page).parent.joinpath(link).exists()]


def blocks(page):
    """The fenced blocks of a page as one text, continued lines joined."""
    text = (ROOT / page).read_text("utf-8")
    found = re.findall(r"^ *```\w*\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)
    return "\n".join(found).replace("\\\n", " ")


@pytest.mark.parametrize("page", PAGES)
def test_every_module_script_and_target_that_a_page_runs_exists(page):
    text = blocks(page)
    for module in re.findall(r"python3? -m (tfmaskrcnn[\w.]*)", text):
        assert importlib.util.find_spec(module), module
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    for line in re.findall(r"^ *(?:\$ )?make(?: ([^#\n]*))?$", text, re.MULTILINE):
        words = [word for word in shlex.split(line) if "=" not in word]
        assert set(words) <= {*targets, ".venv-trt/.ready"}, line
    for line in re.findall(r"python3? tf_trt\.py ([^\n]*)", text):
        script("tf_trt").parse(shlex.split(line, comments=True))
    for line in re.findall(r"python3? latency\.py ([^\n]*)", text):
        script("latency").parser().parse_args(shlex.split(line, comments=True))


@pytest.mark.parametrize("page", PAGES)
def test_every_name_of_the_package_that_a_page_shows_is_there(page):
    text = (ROOT / page).read_text("utf-8")
    for dotted in set(re.findall(r"\bmr((?:\.[A-Za-z_]\w*)+)", text)):
        value = mr
        for part in dotted[1:].split("."):
            assert hasattr(value, part), f"mr{dotted}"
            value = getattr(value, part)
    for module, names in re.findall(r"from (tfmaskrcnn[\w.]*) import ([\w, ]+)", text):
        for name in names.split(", "):
            assert hasattr(importlib.import_module(module), name.split(" as ")[0]), name


SOURCES = [*ROOT.glob("tfmaskrcnn/**/*.py"), *ROOT.glob("tests/**/*.py"), *ROOT.glob("ex*/*.py")]
# Files of other programs, and what the tests themselves write.
FOREIGN = {"rules.py", "references/detection/train.py", "config/defaults.py", "own_augmentation.py"}
FOREIGN |= {"model.py", "model_config_pb2.py"}  # Triton's


def test_every_module_that_a_source_file_names_exists():
    wrong = []
    for path in SOURCES:
        if path.parent.name == "golden":  # of the version that made what lies there
            continue
        places = [ROOT / place for place in ("", "tfmaskrcnn", "tests", "export", "examples")]
        places += [path.parent, path.parent.parent, ROOT / "tfmaskrcnn/ops"]
        named = set(re.findall(r"(?<![\w{}/*])[a-z]\w*(?:/\w+)*\.py\b", path.read_text("utf-8")))
        for name in named - FOREIGN:
            if not any((place / name).exists() for place in places):
                wrong.append(f"{path.relative_to(ROOT)} names {name}")
    assert not wrong


def test_the_front_door_is_short():
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= 140
