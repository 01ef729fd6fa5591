"""Configurations that are no configurations: bombs, odd tags and numbers, texts of other kinds."""

import json
import time

import pytest

from helpers.memory import within
from tfmaskrcnn.config.yaml_files import load_config, parse_config, save_config
from tfmaskrcnn.config.yaml_reading import read_value
from tfmaskrcnn.errors import InputError


def aliases(levels, width):
    lines = ["a0: &a0 [1, 2]"]
    for i in range(1, levels):
        lines.append(f"a{i}: &a{i} [" + ", ".join([f"*a{i - 1}"] * width) + "]")
    return "\n".join(lines) + "\n"


def merges(levels):
    lines = ["a0: &a0 {x: 1}"]
    lines += [f"a{i}: &a{i} {{<<: [*a{i - 1}, *a{i - 1}]}}" for i in range(1, levels)]
    return "\n".join(lines) + "\n"


BOMBS = {
    "aliases of aliases": aliases(12, 10),
    "aliases that double": aliases(40, 2),
    "merges that double": merges(40),
    "values of one name": "a: &a {x: 1}\n" + "".join(f"b{i}: *a\n" for i in range(60_000)),
    "an alias within itself": "&a [*a]",
    "an alias within its mapping": "a: &a {b: *a}",
    "many values": "a: [" + "1," * 100_000 + "1]",
    "deep lists": "a: " + "[" * 5000 + "]" * 5000,
    "deep mappings": "{a: " * 5000,
    "deep blocks": "".join(f"{' ' * i}a:\n" for i in range(500)),
    "a long text": "a: " + "x" * (1 << 21),
    "a number of 5000 digits": "train: {seed: " + "9" * 5000 + "}",
    "a sexagesimal number": "train: {seed: 1" + ":1" * 100_000 + "}",
    "a key twice": "train: {seed: 1}\ntrain: {seed: 2}\n",
    "a long key twice": "? " + "k" * 900 + "\n: 1\n? " + "k" * 900 + "\n: 2\n",
    "a list": "- 1\n- 2\n",
    "a tag of Python's": "a: !!python/object/apply:os.system [ls]\n",
    "no YAML": "a: b: c",
    "a tab": "a:\n\t- b\n",
}


@pytest.mark.parametrize("text", BOMBS.values(), ids=BOMBS)
def test_a_file_that_is_no_configuration_is_refused_at_once_and_in_a_sentence(tmp_path, text):
    path = tmp_path / "my.yaml"
    path.write_text(text)
    began = time.monotonic()
    with pytest.raises(InputError, match="my.yaml") as caught:
        load_config(str(path))
    assert time.monotonic() - began < 60
    assert len(str(caught.value)) < len(str(path)) + 400 and "\n" not in str(caught.value)


@pytest.mark.parametrize("name", [name for name in BOMBS if "that" in name or "alias" in name])
def test_a_bomb_takes_no_memory(tmp_path, name):
    (tmp_path / "my.yaml").write_text(BOMBS[name][:100_000])
    with within(100), pytest.raises(InputError, match="my.yaml"):
        load_config(str(tmp_path / "my.yaml"))


def test_a_bomb_is_refused_as_base_and_in_a_setting_too(tmp_path):
    (tmp_path / "bomb.yaml").write_text(aliases(12, 10))
    (tmp_path / "my.yaml").write_text("base: bomb.yaml\n")
    with within(50), pytest.raises(InputError, match="bomb.yaml is not valid .*more than 50000"):
        load_config(str(tmp_path / "my.yaml"))
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.json").write_text('{"base": "../bomb.yaml"}')
    with within(50), pytest.raises(InputError, match="bomb.yaml is not valid .*more than 50000"):
        load_config(str(run))
    text = "{a: &a [1,2], b: &b [" + "*a," * 99 + "], c: [" + "*b," * 999 + "]}"
    with within(50), pytest.raises(InputError, match="more than 50000 values"):
        parse_config({}, [f"train={text}"])


def test_anchors_and_merges_in_good_faith_are_read(tmp_path):
    (tmp_path / "my.yaml").write_text(
        "data: {augment: {scale: &s [0.5, 2.0], min_sides: [500, 600]}}\n"
        "train: &t {epochs: 3, seed: 5}\nevaluation: {max_detections: &m [1, 10, 50]}\n"
        "model: {box_head: {max_detections: 50}}\n"
    )
    assert load_config(str(tmp_path / "my.yaml")).train.epochs == 3
    assert read_value("{a: &x {b: 1, c: 2}, d: {<<: *x, c: 3}, e: *x}") == {
        **{"a": {"b": 1, "c": 2}, "d": {"b": 1, "c": 3}, "e": {"b": 1, "c": 2}}
    }


@pytest.mark.parametrize("value", ["", "[]", "3", "[a.yaml, b.yaml]", "{a: 1}", "''", "'\\0'"])
def test_a_base_that_is_no_name_is_refused(tmp_path, value):
    (tmp_path / "my.yaml").write_text(f"base: {value}\n" + "train: {seed: 3}\n")
    if not value:  # null: there is none
        assert load_config(str(tmp_path / "my.yaml")).train.seed == 3
        return
    with pytest.raises(InputError, match="my.yaml"):
        load_config(str(tmp_path / "my.yaml"))


@pytest.mark.parametrize("base", ["/dev/zero", "/dev/full", "/proc/self/mem"])
def test_a_base_that_is_a_device_is_not_read(tmp_path, base):
    (tmp_path / "my.yaml").write_text(f"base: {base}\n")
    with within(20), pytest.raises(InputError, match=base):
        load_config(str(tmp_path / "my.yaml"))


def test_a_chain_of_bases_has_an_end(tmp_path):
    for i in range(30):
        (tmp_path / f"{i}.yaml").write_text(f"base: {i + 1}.yaml\n" if i < 29 else "train: {}\n")
    assert load_config(str(tmp_path / "15.yaml"))
    with pytest.raises(InputError, match="is the last of 20 bases of bases"):
        load_config(str(tmp_path / "0.yaml"))


SETTINGS = {
    "a date that is none": "train.seed=2020-99-99",
    "a date": "train.seed=2020-09-09",
    "a truth that is none": "train.xla=!!bool x",
    "an empty number": 'train.seed=!!int ""',
    "a number of letters": "train.learning_rate=!!float x",
    "a time that is none": "train.seed=!!timestamp x",
    "bytes that are none": "train.weights=!!binary x",
    "a tag of one's own": "train.seed=!mine 3",
    "400 digits": "train.seed=" + "9" * 400,
    "5000 digits": "train.seed=" + "9" * 5000,
    "400 digits of a share": "data.augment.min_visible=" + "9" * 400,
    "half a character": 'train.weights="\\ud800"',
    "half a character in a list": 'model.class_names=["\\ud800"]',
    "half a character as a key": 'train.rates={"\\udfff": 1.0}',
    "half a character in a name": "train.\ud800=3",
    "a byte that is no text": "train.weights=\udcff",
    "NUL": "train.weights=\0",
    "a long key": "x" * 10_000 + "=1",
    "a long value": "train.epochs=" + "x" * 10_000,
    "a long list of wrong values": "category_ids=[" + "a," * 10_000 + "]",
    "a deep key": "a." * 100_000 + "b=3",
    "keys of numbers": "model={1: 2, 2020-01-01: 3}",
    "a key that is a list": "model={? [1] : 2}",
    "a set": "train.schedule=!!set {a}",
    "infinity": "train.learning_rate=.inf",
    "no number": "data.augment.horizontal_flip=.nan",
    "an alias of nothing": "train.seed=*a",
    "an alias": "train.schedule={milestones: &a [*a]}",
}


@pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS)
def test_a_setting_of_any_kind_is_a_sentence(setting):
    with within(60), pytest.raises(InputError) as caught:
        parse_config({}, [setting])
    said = str(caught.value)
    assert len(said) < 1500 and said.encode() and "\n" not in said and "Traceback" not in said


def test_what_is_wrong_is_told_a_few_times():
    with pytest.raises(InputError, match="; and 996 more$"):
        parse_config({}, ["category_ids=[" + ",".join(["a"] * 1000) + "]"])


@pytest.mark.parametrize(
    "text",
    ['{"train": {"seed": 1e400}}', '{"train": {"seed": NaN}}', '{"train": {"seed": 1, "seed": 2}}']
    + ['{"train": {"seed": ' + "9" * 5000 + "}}", "[" * 10**5, '{"a": ' * 500 + "1" + "}" * 500]
    + ['{"model": {"class_names": ["\\ud800"]}}', '{"\\ud800": 1}', "[]", "3", '{"train": ']
    + ['{"model": {"input": {"mean": [1e400, 0, 0]}}}', '{"x": [' + "[],[" * 99 + "]" * 99 + "]}"],
)
def test_a_runs_json_of_any_kind_is_a_sentence(tmp_path, text):
    (tmp_path / "config.json").write_text(text)
    with within(60), pytest.raises(InputError) as caught:
        load_config(str(tmp_path))
    assert len(str(caught.value)) < len(str(tmp_path)) + 600 and str(caught.value).encode()


def test_what_is_read_can_be_saved_and_read_again(tmp_path):
    names = ["é", "\u2028", "a: b", "'", "\U0001f600"]
    config = parse_config(
        {}, ["num_classes=5", f"class_names={json.dumps(names, ensure_ascii=False)}"]
    )
    save_config(config, str(tmp_path / "config.json"))
    assert load_config(str(tmp_path)) == config
