"""Writes a page for each public module of the package, of the names in its `__all__`."""

import importlib
import inspect
import types
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple

import pydantic

import tfmaskrcnn
from tfmaskrcnn.config.run import Config

PACKAGE = "tfmaskrcnn"


class Name(NamedTuple):
    """A public name."""

    path: str  # by which a person reaches it: "tfmaskrcnn.data.from_coco"
    value: object
    home: str  # path of the page's entry that describes it: a shorter path to the same, or `path`


def public_names(module: types.ModuleType) -> List[str]:
    """What a module shows: its `__all__`, else what it defines without an underscore."""
    if hasattr(module, "__all__"):
        return [name for name in module.__all__ if not name.startswith("_")]
    own = [n for n, v in vars(module).items() if getattr(v, "__module__", "") == module.__name__]
    return sorted(name for name in own if not name.startswith("_"))


def public_modules() -> Dict[str, List[Name]]:
    """Path of each public module -> its names, those that are modules too; the package first.

    What several modules show is described where the path is shortest.
    """
    homes: Dict[int, str] = {}
    pages: Dict[str, List[Name]] = {}
    waiting = [(PACKAGE, tfmaskrcnn)]
    while waiting:  # the shallowest first
        path, module = waiting.pop(0)
        pages[path] = []
        for name in public_names(module):
            value, own = getattr(module, name), f"{path}.{name}"
            if isinstance(value, types.ModuleType) and id(value) not in homes:
                waiting.append((own, value))
            home = homes.setdefault(id(value), own)
            pages[path].append(Name(own, value, home))
    return pages


def sections(model=Config) -> Iterator[type]:
    """The classes of a configuration: `model` and those of its fields, each once."""
    found = [model]
    for section in found:
        for field in section.model_fields.values():
            kind = field.annotation
            is_section = inspect.isclass(kind) and issubclass(kind, pydantic.BaseModel)
            if is_section and kind not in found:
                found.append(kind)
    yield from found


def write_pages(folder: Path) -> None:
    """Write `index.rst`, a page a module, and one of all settings."""
    folder.mkdir()
    pages = public_modules()
    for path, names in pages.items():
        (folder / f"{path}.rst").write_text(_page(path, names), "utf-8")
    (folder / "settings.rst").write_text(_settings(), "utf-8")
    lines = ["API", "===", "", "Made of the docstrings; ``import tfmaskrcnn as mr``.", ""]
    lines += [".. toctree::", "", *(f"   {path}" for path in pages), "   settings", ""]
    (folder / "index.rst").write_text("\n".join(lines), "utf-8")


def _page(path: str, names: List[Name]) -> str:
    """A module's page: its docstring, a table of its names, and their descriptions."""
    module = importlib.import_module(PACKAGE)
    for part in path.split(".")[1:]:
        module = getattr(module, part)
    shown = path.replace(PACKAGE, "mr", 1)
    lines = [shown, "=" * len(shown), "", f".. automodule:: {module.__name__}", "   :no-members:"]
    lines += ["   :no-index:", "", ".. list-table::", "   :widths: 30 70", ""]
    for name in names:
        lines += [f"   * - {_link(name)}", f"     - {_first_sentence(name.value)}"]
    for name in names:
        if name.home == name.path and not isinstance(name.value, types.ModuleType):
            lines += ["", *_description(name)]
    return "\n".join([*lines, ""])


def _link(name: Name) -> str:
    short = name.path.rpartition(".")[2]
    if isinstance(name.value, types.ModuleType):
        return f":doc:`{short} <{name.home}>`"
    return f":py:obj:`{short} <{name.home}>`"


def _first_sentence(value) -> str:
    text = inspect.getdoc(value) if callable(value) or inspect.ismodule(value) else ""
    return " ".join((text or "").split("\n\n")[0].split())


def _description(name: Name) -> List[str]:
    """The directive that makes the entry of a class, a function, or a constant."""
    if inspect.isclass(name.value):
        # Of base classes what is the package's, see `docstrings`.
        options = ["   :members:", "   :inherited-members:"]
        return [f".. autoclass:: {name.path}", *options]
    if callable(name.value):
        return [f".. autofunction:: {name.path}"]
    return [f".. py:data:: {name.path}", "", f"   ``{name.value!r}``"]


def _settings() -> str:
    """All sections of the configuration."""
    title = "Settings"
    lines = [
        title,
        "=" * len(title),
        "",
        "What YAML files and ``load_config`` set, by section.",
        "",
    ]
    for section in sections():
        lines += [
            f".. autoclass:: {section.__module__}.{section.__qualname__}",
            "   :no-index:",
            "",
        ]
    return "\n".join(lines)
