"""Sphinx's settings for the pages that `make docs` builds; see `build.py`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import tfmaskrcnn

project = "tfmaskrcnn"
release = tfmaskrcnn.__version__
extensions = ["sphinx.ext.autodoc", "sphinx.ext.napoleon", "myst_nb", "links", "docstrings"]
html_theme = "furo"
html_title = f"tfmaskrcnn {release}"
html_show_sphinx = False
html_show_copyright = False
html_copy_source = False
exclude_patterns = ["examples/nuclei/images"]

# Docstrings are Google's, and `name` in them is code.
default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
napoleon_use_rtype = False  # "Returns:" is prose; the annotation has the type
napoleon_use_ivar = True

# Pages are Markdown as the code host reads it; notebooks are shown as they were run.
myst_heading_anchors = 4
nb_execution_mode = "off"
# Modules' own docstrings show the tree in Markdown fences of no language.
highlight_language = "none"
