"""Builds the documentation as a site: the pages of `docs/`, the notebooks, the API.

    python docs/site/build.py [FOLDER]     # `make docs`; the folder is `site`

The API's pages are made of the docstrings of the public names; which those are, the package says
(`__all__`). A warning is an error: a link to what is not there, a `mr.name` that does not exist.
"""

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path

from api_pages import write_pages
from sphinx.cmd.build import build_main

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
# What pages are, and what they link to.
FILES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "LICENSE", "Makefile", "setup.cfg")
FOLDERS = ("docs", "examples", "export", "configs", "requirements", "tfmaskrcnn", "tests")
INDEX = """# tfmaskrcnn

Mask R-CNN for TensorFlow and Keras.

- [For whom it is, what it needs, how to install it](README.md)
- Begin with a notebook: [train and look](examples/train_and_look.ipynb), then
  [inspect the model](examples/inspect_model.ipynb)
- [The documentation by task](docs/README.md)
- [All names in Python](docs/api.md), and [their docstrings](api/index.rst)

```{{toctree}}
:hidden:
:caption: Begin

README
examples/train_and_look
examples/inspect_model
```

```{{toctree}}
:hidden:
:caption: By task

docs/README
{docs}
examples/README
examples/nuclei/README
export/README
```

```{{toctree}}
:hidden:
:caption: In Python

api/index
```

```{{toctree}}
:hidden:
:caption: The project

CONTRIBUTING
CHANGELOG
```
"""


def main() -> int:
    """Build; returns 0, or Sphinx's exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", default=ROOT / "site", type=Path, help="(site)")
    folder = parser.parse_args().folder.resolve()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.path.insert(0, str(ROOT))
    with tempfile.TemporaryDirectory() as staging:
        source, pages = Path(staging) / "source", Path(staging) / "pages"
        stage(source)
        write_pages(source / "api")
        code = build(source, pages)  # notebooks' pictures are left beside the pages
        if not code:
            shutil.copytree(pages, folder, dirs_exist_ok=True)
            print(f"{folder / 'index.html'}")
    return code


def stage(folder: Path) -> None:
    """Copy pages and what they link to, in the order of folders that their links rely on."""
    folder.mkdir(exist_ok=True)
    for name in FILES:
        shutil.copy(ROOT / name, folder / name)
    for name in FOLDERS:
        unwanted = shutil.ignore_patterns("__pycache__", "golden", "site")
        shutil.copytree(ROOT / name, folder / name, ignore=unwanted)
    pages = sorted(path.stem for path in (ROOT / "docs").glob("*.md"))
    docs = "\n".join(f"docs/{stem}" for stem in pages if stem != "README")
    (folder / "index.md").write_text(INDEX.format(docs=docs), "utf-8")


def build(source: Path, folder: Path, config: Path = HERE) -> int:
    """Sphinx's exit code for the pages in `source`; any warning fails."""
    options = ["-q", "-W", "--keep-going", "-E", "-b", "html", "-c", str(config)]
    return build_main([*options, "-d", str(source / ".doctrees"), str(source), str(folder)])


if __name__ == "__main__":
    sys.exit(main())
