"""The notebooks of `examples/`: they run from a clean kernel, and are committed as they ran."""

import json
import re
import sys

import pytest

from helpers.one_stack import on_stack_a, on_stack_b
from helpers.paths import EXAMPLES, ROOT

NOTEBOOKS = sorted(path.name for path in EXAMPLES.glob("*.ipynb"))
MAX_BYTES = 600_000
IN_THE_KERNEL = "import sys\nprint(sys.executable)"
# A graph of a training step takes longer to make than the two steps that it is used for.
WITHOUT_GRAPHS = "import tensorflow as tf\ntf.config.run_functions_eagerly(True)"


def cells(name, kind):
    found = json.loads((EXAMPLES / name).read_text("utf-8"))["cells"]
    return [cell for cell in found if cell["cell_type"] == kind]


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs a notebook with other parameters; returns all that it printed, and how many pictures."""
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    # Neither kernels nor settings of the user, and nothing left in the user's folders.
    for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR"):
        monkeypatch.setenv(name, str(tmp_path / "jupyter"))
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))

    def run(name, code="", **parameters):
        notebook = nbformat.read(EXAMPLES / name, as_version=4)
        tags = [cell.metadata.get("tags", ()) for cell in notebook.cells]
        values = "\n".join(f"{key} = {value!r}" for key, value in parameters.items())
        chosen = nbformat.v4.new_code_cell(f"{values}\n{code}")
        notebook.cells.insert(tags.index(["parameters"]) + 1, chosen)
        notebook.cells.append(nbformat.v4.new_code_cell(IN_THE_KERNEL))
        before = sorted(EXAMPLES.rglob("*"))
        where = {"metadata": {"path": str(EXAMPLES)}}
        nbclient.NotebookClient(
            notebook, timeout=600, kernel_name="python3", resources=where
        ).execute()
        assert sorted(EXAMPLES.rglob("*")) == before and not list(temporary.iterdir())
        outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
        printed = "".join(o.text for o in outputs if o.get("name") == "stdout")
        assert printed.endswith(f"{sys.executable}\n")  # this environment's kernel
        return printed, sum("image/" in " ".join(o.get("data", ())) for o in outputs)

    return run


@on_stack_a
@pytest.mark.slow
def test_train_and_look_runs_from_a_clean_kernel(run, tmp_path):
    printed, pictures = run(
        "train_and_look.ipynb", WITHOUT_GRAPHS, EPOCHS=1, LIMIT=4, OUT=str(tmp_path / "out")
    )
    assert "the same detections: True" in printed
    assert "all scores as the Keras model's: True" in printed
    assert "threshold " in printed and pictures >= 6
    assert (tmp_path / "out" / "report.html").exists()


@on_stack_b
@pytest.mark.slow
def test_inspect_model_runs_from_a_clean_kernel(run):
    printed, pictures = run("inspect_model.ipynb", WITHOUT_GRAPHS, EPOCHS=1, DRAWN=16)
    align, pool = map(float, re.search(r"RoIAlign ([\d.]+), RoIPool ([\d.]+)", printed).groups())
    assert align < pool and pictures >= 14


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_is_committed_whole_as_it_ran(name):
    text = (EXAMPLES / name).read_text("utf-8")
    assert len(text) < MAX_BYTES
    assert json.loads(text)["metadata"]["kernelspec"]["name"] == "python3"
    counts = [cell["execution_count"] for cell in cells(name, "code")]
    assert counts == list(range(1, len(counts) + 1))
    outputs = [output for cell in cells(name, "code") for output in cell["outputs"]]
    assert not [o for o in outputs if o["output_type"] == "error" or o.get("name") == "stderr"]
    assert not re.search(r"/(?:tmp|home|root|work|Users)/", text)  # a machine's own


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_what_a_notebook_links_to_exists(name):
    text = "".join("".join(cell["source"]) for cell in cells(name, "markdown"))
    links = re.findall(r"\]\(([\w./]+)(?:#[\w-]+)?\)", text)
    assert links and not [link for link in links if not (EXAMPLES / link).exists()]


def test_the_documentation_begins_with_the_notebooks():
    assert len(NOTEBOOKS) == 2
    for page in ("README.md", "docs/README.md", "examples/README.md"):
        text = (ROOT / page).read_text("utf-8")
        assert all(name in text for name in NOTEBOOKS), page
