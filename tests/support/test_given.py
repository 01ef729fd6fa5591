import os
from pathlib import Path

import numpy as np
import pytest

from tfmaskrcnn.errors import InputError
from tfmaskrcnn.support.given import A_COUNT, A_FOLDER, A_PATH, TEXTS, check, one_of, takes


@takes(path=A_PATH, folder=A_FOLDER, names=TEXTS, count=one_of(A_COUNT, dict))
def function(path, folder="", names=(), count=None, **options):
    """Says what it got."""
    return path, folder, names, count, options


def test_what_fits_is_handed_on():
    assert function("a", names=["b"], more=1) == ("a", "", ["b"], None, {"more": 1})
    given = (Path("a"), os.curdir, ("b",), np.int64(3))
    assert function(*given) == (*given, {})
    assert function("a", "", [], {}) == ("a", "", [], {}, {})
    assert function.__name__ == "function" and function.__doc__ == "Says what it got."


@pytest.mark.parametrize(
    "arguments, said",
    [
        ({"path": None}, "function: path is None; wanted a path."),
        ({"path": ""}, "function: path is ''; wanted a path."),
        ({"path": b"a"}, "function: path is b'a'; wanted a path."),
        ({"path": "a", "folder": 7}, "folder is 7; wanted the path of a folder."),
        ({"path": "a", "names": "bc"}, "names is 'bc'; wanted a list of texts."),
        ({"path": "a", "names": [1]}, r"names is \[1\]; wanted a list of texts."),
        ({"path": "a", "count": True}, "is True; wanted a whole number above 0 or a dict."),
        ({"path": "a", "count": 0}, "wanted a whole number above 0 or a dict."),
    ],
)
def test_what_does_not_fit_is_one_sentence(arguments, said):
    with pytest.raises(InputError, match=said):
        function(**arguments)


def test_a_call_that_is_none_stays_pythons():
    with pytest.raises(TypeError, match="path"):
        function()


def test_the_article_is_the_names():
    with pytest.raises(InputError, match="x is 1; wanted an OSError."):
        check(1, "x", OSError)
