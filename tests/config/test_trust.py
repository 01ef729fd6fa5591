"""Which code of a configuration is run: what the user names, not what a run's folder names."""

import json

import pytest

from tfmaskrcnn.config.run import Config
from tfmaskrcnn.config.trust import check_code
from tfmaskrcnn.config.yaml_files import load_config, override, parse_config
from tfmaskrcnn.errors import InputError

CODE = {"data": {"augment": {"function": "evil:code"}}}
YAML = "data: {augment: {function: 'evil:code'}}\n"
REFUSED = r"config.json' names code, data.augment.function='evil:code', which .* --trust-code"


@pytest.fixture
def run(tmp_path):
    """The folder of a run that names code."""
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(CODE))
    return folder


def refused(config):
    assert config.data.augment.function == "evil:code"
    with pytest.raises(InputError, match=REFUSED):
        check_code(config)


def test_code_of_a_runs_folder_is_refused_however_it_is_reached(run, tmp_path):
    refused(load_config(run))
    refused(load_config(run / "config.json"))
    refused(load_config(run, ["train.epochs=3", "data.augment.vertical_flip=0.5"]))
    (tmp_path / "mine.yaml").write_text("base: run\ntrain: {epochs: 3}\n")
    refused(load_config(tmp_path / "mine.yaml"))
    (tmp_path / "again.yaml").write_text("base: mine.yaml\n")
    refused(load_config(tmp_path / "again.yaml"))


def test_so_is_code_of_a_file_that_the_run_takes_for_its_base(run, tmp_path):
    (run / "more.yaml").write_text(YAML)
    (run / "config.json").write_text('{"base": "more.yaml"}')
    config = load_config(run)
    with pytest.raises(InputError, match="more.yaml' names code"):
        check_code(config)


def test_copies_of_its_configuration_remember(run):
    config = load_config(run)
    refused(override(config, ["train.batch_size=1"]))
    refused(config.model_copy(update={"train": Config().train}))


@pytest.mark.parametrize(
    "asking",
    [
        "data.augment.function='evil:code'",
        "data.augment={function: 'evil:code'}",
        "data={augment: {function: 'evil:code'}}",
    ],
)
def test_who_names_it_on_the_command_line_asks_for_it(run, asking):
    check_code(load_config(run, [asking]))
    check_code(override(load_config(run), [asking]))


def test_so_does_who_says_so_or_names_it_in_a_file_of_their_own(run, tmp_path):
    check_code(load_config(run, trust_code=True))
    (tmp_path / "mine.yaml").write_text(f"base: run\n{YAML}")
    check_code(load_config(tmp_path / "mine.yaml"))
    (tmp_path / "alone.yaml").write_text(YAML)
    check_code(load_config(tmp_path / "alone.yaml"))
    check_code(parse_config(CODE))
    check_code(Config.model_validate(CODE))


def test_a_run_without_code_or_whose_code_is_taken_out_is_not_refused(run):
    check_code(load_config(run, ["data.augment.function=null"]))
    (run / "config.json").write_text("{}")
    assert load_config(run) == Config()
    check_code(load_config(run))


def test_no_file_can_say_of_itself_that_it_was_asked_for(run):
    (run / "config.json").write_text(json.dumps({**CODE, "_unasked_code": None}))
    with pytest.raises(InputError, match="_unasked_code"):
        load_config(run)
