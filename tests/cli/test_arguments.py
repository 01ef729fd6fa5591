"""`cli/arguments.py`: what its options accept, and what they say of what they do not."""

import argparse

import pytest

from tfmaskrcnn.cli.arguments import add_tta


def parsed(*arguments):
    parser = argparse.ArgumentParser()
    add_tta(parser)
    return parser.parse_args(arguments).tta


def test_tta_alone_is_told_from_no_tta():
    assert parsed() is None
    assert parsed("--tta") == []
    assert parsed("--tta", "hflip", "0.8", "1.25") == ["hflip", "0.8", "1.25"]


def test_a_way_that_does_not_exist_is_told_in_a_sentence(capsys):
    with pytest.raises(SystemExit):
        parsed("--tta", "hflip", "rotate")
    told = capsys.readouterr().err.splitlines()[-1]
    assert told.endswith(
        "argument --tta: 'rotate' is none of hflip, vflip, transpose and no scale from 0.1 to 10"
    )
