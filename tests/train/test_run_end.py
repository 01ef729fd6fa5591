import logging
import os

import pytest

import tfmaskrcnn as mr
from helpers.tiny import tiny_config
from tfmaskrcnn.data.coco.annotations import Fault
from tfmaskrcnn.support.files import DiskFull
from tfmaskrcnn.train.run_end import tell_what_is_left, told_how_to_go_on


@pytest.mark.parametrize("begun", [False, True])
@pytest.mark.parametrize(
    "error, always, if_begun",
    [
        (DiskFull("No room."), "No room.", " The states in .*states are whole: make room and go"),
        (KeyboardInterrupt(), "", "Add --resume to go on."),
    ],
)
def test_what_ends_a_run_says_how_to_go_on(tmp_path, error, always, if_begun, begun):
    if begun:
        os.mkdir(tmp_path / "states")
    wanted = f"^{always}{if_begun if begun else '$'}"
    with pytest.raises(type(error), match=wanted), told_how_to_go_on(str(tmp_path)):
        raise error


def test_wrong_data_are_sent_to_the_checker(tmp_path):
    wanted = "^Bad box. tfmaskrcnn check-data lists all"
    with pytest.raises(mr.InputError, match=wanted), told_how_to_go_on(str(tmp_path)):
        raise Fault("box", "Bad box.")


def test_a_run_tells_where_things_lie(caplog):
    with caplog.at_level(logging.INFO, "tfmaskrcnn"):
        tell_what_is_left("run", tiny_config())
        tell_what_is_left("run", tiny_config("data.val_json=val.json"))
    lines = [record.getMessage() for record in caplog.records]
    assert lines[0] == "checkpoint  run/weights.npz (of the last epoch: there is no val split)"
    assert lines[1:4] == [
        "curves      run/curves.png",
        "history     run/history.csv",
        lines[0][:27],
    ]
