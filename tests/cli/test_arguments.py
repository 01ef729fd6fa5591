"""`cli/arguments.py`: what its options accept, and what they say of what they do not."""

import argparse

import pytest

from tfmaskrcnn import InputError
from tfmaskrcnn.cli.arguments import add_tta, count, share
from tfmaskrcnn.cli.main import main


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


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "", "9" * 10, "9" * 5000, "\u00b2", "\udcff"])
def test_a_count_is_a_number_that_can_be_meant(text):
    assert count("1") == 1 and count("9" * 9) == 999_999_999
    with pytest.raises(argparse.ArgumentTypeError, match="is no whole number above 0") as caught:
        count(text)
    assert len(str(caught.value)) < 150 and str(caught.value).encode()


@pytest.mark.parametrize("text", ["nan", "inf", "-0.1", "1.01", "9" * 5000, "1e400", "x" * 5000])
def test_a_share_is_a_number_from_0_to_1(text):
    assert share("0.25") == 0.25
    with pytest.raises(argparse.ArgumentTypeError, match="is no number from 0 to 1") as caught:
        share(text)
    assert len(str(caught.value)) < 150


@pytest.mark.parametrize(
    "words, told",
    [
        (["predict", "run", "a.png", "--masks"], "predict: the following arguments are required"),
        (["predict", "r", "i", "--out", "o", "--colour-by"], "did you mean '--color-by'? `tfm"),
        (
            ["predict", "run", "--out", "o", "--save", "coco", "photos"],
            "required: INPUT (what follows --save belongs to it: the others come before). `tfm",
        ),
        (["predict", "run", "--save", "coco"], "predict: the following arguments are required"),
    ],
)
def test_what_is_wrong_is_one_line_without_all_options(capsys, words, told):
    with pytest.raises(SystemExit):
        main(words)
    shown = capsys.readouterr().err
    assert told in shown and shown.count("\n") == 1
    assert shown.endswith("`tfmaskrcnn predict --help` has all options.\n")


def test_verbose_stands_before_the_command_or_after_it(tmp_path):
    gone = str(tmp_path / "gone")
    for words in (["--verbose", "info", gone], ["info", gone, "--verbose"]):
        with pytest.raises(InputError):
            main(words)
    assert main(["info", gone]) == 2


def test_without_a_command_there_is_the_help(capsys):
    with pytest.raises(SystemExit):
        main([])
    assert "train a model" in capsys.readouterr().err
