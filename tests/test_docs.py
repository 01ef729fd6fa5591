"""What the documentation tells a reader to type: it parses, its settings and its files exist."""

import re
import shlex
from pathlib import Path

import pytest

from helpers.paths import ROOT
from tfmaskrcnn.cli.main import _parser
from tfmaskrcnn.config.yaml_files import load_config

PAGES = ["README.md", "CONTRIBUTING.md", "docs/*.md", "export/README.md", "examples/**/*.md"]
PAGES = sorted(str(path.relative_to(ROOT)) for page in PAGES for path in ROOT.glob(page))
# A command at the beginning of a line, behind "$ " or settings of the environment.
COMMAND = re.compile(r"^ *(?:\$ )?(?:[A-Z_]+=\S+ )?tfmaskrcnn (.*)", re.MULTILINE)


def commands(text):
    """The arguments of each command in the fenced blocks of a page, without placeholders."""
    blocks = re.findall(r"^ *```\w*\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)
    found = COMMAND.findall("\n".join(blocks).replace("\\\n", " "))
    return [line for line in found if "[--" not in line]  # a synopsis


def test_the_pages_show_commands():
    shown = sum((commands((ROOT / page).read_text("utf-8")) for page in PAGES), [])
    assert len(shown) > 25
    assert {"train", "evaluate", "predict", "export"} < {line.split()[0] for line in shown}


@pytest.mark.parametrize("page", PAGES)
def test_every_command_of_a_page_parses_and_its_settings_exist(page, monkeypatch):
    monkeypatch.chdir(ROOT)
    for line in commands((ROOT / page).read_text("utf-8")):
        options = _parser().parse_args(shlex.split(line, comments=True))
        settings = [text for text in getattr(options, "set", ()) if text != "..."]
        config = getattr(options, "config", None)
        load_config(config if config and Path(config).exists() else None, settings)


@pytest.mark.parametrize("page", PAGES)
def test_every_file_of_the_repository_that_a_page_names_exists(page):
    text = (ROOT / page).read_text("utf-8")
    named = set(re.findall(r"(?<![\w/.])(?:configs|docs|export|examples|tests)/[\w./]+\.\w+", text))
    named -= {"configs/mine.yaml"}  # the reader's
    assert not [name for name in sorted(named) if not (ROOT / name).exists()]
    links = re.findall(r"\]\(([\w./]+)\)", text)
    assert not [link for link in links if not (ROOT / page).parent.joinpath(link).exists()]
