"""Lines of the log where nobody has set it up, and the hands off where somebody has."""

import io
import logging
import types

import pytest

from tfmaskrcnn.support import shown_log, terminal
from tfmaskrcnn.support.shown_log import log_shown

OWN = logging.getLogger("tfmaskrcnn")
LINE = logging.getLogger("tfmaskrcnn.train.loop")


@pytest.fixture
def bare(monkeypatch):
    """A root logger as a new process has it."""
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    yield logging.getLogger()
    OWN.setLevel(logging.NOTSET)


def test_lines_are_shown_where_nothing_is_set_up(bare, capsys):
    with log_shown():
        LINE.info("epoch %d", 1)
    LINE.info("not this")
    assert capsys.readouterr().err == "epoch 1\n"
    assert not bare.handlers and OWN.level == logging.NOTSET


def test_in_a_notebook_they_are_no_errors(bare, capsys, monkeypatch):
    monkeypatch.setattr(shown_log, "in_notebook", lambda: True)
    with log_shown():
        LINE.info("epoch 1")
    assert capsys.readouterr() == ("epoch 1\n", "")


def test_handlers_that_are_there_are_used(bare, capsys):
    text = io.StringIO()
    bare.addHandler(logging.StreamHandler(text))
    with log_shown():
        LINE.info("epoch 1")
    assert text.getvalue() == "epoch 1\n" and capsys.readouterr().err == ""


def test_who_wants_it_quiet_has_it_quiet(bare, capsys):
    OWN.setLevel(logging.WARNING)
    with log_shown():
        LINE.info("epoch 1")
    assert capsys.readouterr().err == "" and OWN.level == logging.WARNING


def test_the_level_is_taken_back_after_an_error(bare):
    with pytest.raises(ZeroDivisionError), log_shown():
        1 / 0  # noqa: B018
    assert not bare.handlers and OWN.level == logging.NOTSET


def test_a_bar_moves_on_a_terminal_alone():
    consoles = [(True, False), (True, True), (False, False)]
    kinds = [types.SimpleNamespace(is_terminal=t, is_jupyter=j) for t, j in consoles]
    assert [terminal.moves(console) for console in kinds] == [True, False, False]
    assert not terminal.in_notebook()
