"""The configurations that come with the package (`configs/*.yaml`), found by name."""

import os
from typing import Dict

from tfmaskrcnn.errors import InputError
from tfmaskrcnn.support import storage
from tfmaskrcnn.support.shipped import shipped
from tfmaskrcnn.support.suggestions import did_you_mean


def recipes() -> Dict[str, str]:
    """Name -> path of each, sorted: "finetune", "maskrcnn_r50_fpn_1x_coco", ..."""
    folder = shipped("configs")
    names = sorted(name for name in os.listdir(folder) if name.endswith(".yaml"))
    return {os.path.splitext(name)[0]: os.path.join(folder, name) for name in names}


def summary(path: str) -> str:
    """The line of comment that a YAML file begins with, which says what it is for."""
    with open(path, encoding="utf-8-sig") as file:
        return file.readline().lstrip("#").strip().rstrip(".")


def find_config(text: str) -> str:
    """The path that `text` stands for: a file, a run's folder, or a recipe's name.

    What lies on the disk goes before a recipe of the same name, but for a folder that is no run.

    Raises:
        InputError: it is none of them; names the nearest recipe.
    """
    name = text[: -len(".yaml")] if text.endswith(".yaml") else text
    if storage.is_file(text) or storage.exists(os.path.join(text, "config.json")):
        return text
    known = recipes()
    if name in known:
        return known[name]
    if storage.exists(text):
        return text  # a folder; whoever reads it says what it lacks
    stem = os.path.splitext(os.path.basename(text))[0]
    if text != stem:  # meant as a path
        hint = f" {stem!r} alone names the one that comes with the package." * (stem in known)
        raise InputError(f"Cannot read the configuration {text}: No such file or directory.{hint}")
    raise unknown(text)


def find_base(text: str, path: str) -> str:
    """The path of the `base:` of the file `path`: a file relative to it, or a recipe's name.

    Raises:
        InputError: it is neither.
    """
    beside = os.path.join(os.path.dirname(path), text)
    here = storage.is_file(beside) or storage.exists(os.path.join(beside, "config.json"))
    if here or os.path.basename(text) != os.path.splitext(text)[0]:  # or meant as a path
        return beside
    known = recipes()
    if text not in known:
        raise InputError(f"{path}: base: {unknown(text)}")
    return known[text]


def unknown(name: str) -> InputError:
    """What to say of a name that no recipe has."""
    hint = did_you_mean(name, recipes(), most=3, cutoff=0.5)
    meant = f"; {hint}" if hint else "."
    return InputError(
        f"There is no configuration {name[:100]!r}, neither a file nor a name{meant} "
        "`tfmaskrcnn configs` lists the names."
    )
