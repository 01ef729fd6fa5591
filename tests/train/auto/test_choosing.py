"""`train/auto/choosing.py`: the rules together, and what is set before them."""

import numpy as np
import pytest

from helpers.some_facts import CPU, auto, facts_of_squares, no_facts
from tfmaskrcnn.config.yaml_files import is_set, override, value_of
from tfmaskrcnn.data.checking import anchor_ladders
from tfmaskrcnn.train.auto.choosing import KEYS, choices, open_keys, settings_of
from tfmaskrcnn.train.auto.facts import Machine


@pytest.fixture(autouse=True)
def _few_objects_are_enough_for_anchors(monkeypatch):
    monkeypatch.setattr(anchor_ladders, "_SAMPLE", 30)  # for the sake of time


def lines(made):
    return "\n".join(choice.line() for choice in made)


def test_every_key_of_a_rule_is_chosen_and_taken():
    facts = facts_of_squares(np.geomspace(10, 40, 150), image=(1500, 2000), images=1)
    made = choices(facts, auto(), CPU)
    assert tuple(choice.proposal.key for choice in made) == KEYS
    config = override(auto(), settings_of(made))
    for choice in made:
        assert value_of(config, choice.proposal.key) == choice.proposal.value
    assert not list(open_keys(config))
    again = choices(facts, config, CPU)
    assert settings_of(again) == [] and all(choice.kept for choice in again)


def test_what_is_set_stays_and_later_rules_go_by_it():
    facts = facts_of_squares(20, images=400)
    set_by_a_person = ("train.batch_size=8", "anchors.sizes=[[10],[20],[40],[80],[160]]")
    made = choices(facts, auto(*set_by_a_person), CPU)
    keys = [text.partition("=")[0] for text in settings_of(made)]
    assert not {"train.batch_size", "anchors.sizes"} & set(keys)
    config = override(auto(*set_by_a_person), settings_of(made))
    assert config.train.batch_size == 8
    assert config.model.roi.canonical_size == 70  # 1.75 x 40
    assert config.train.learning_rate == pytest.approx(0.0014)
    assert "train.batch_size=8" in lines(made) and "as set; the rule says 4" in lines(made)


def test_a_default_that_is_set_counts_as_set():
    config = auto("train.epochs=12")
    assert is_set(config, "train.epochs") and not is_set(auto(), "train.epochs")
    assert "train.epochs" not in open_keys(config) and "train.epochs" in open_keys(auto())


def test_an_override_leaves_open_what_it_does_not_name():
    config = override(auto(), ["train.seed=3"])
    assert set(open_keys(config)) == set(KEYS) and is_set(config, "train.seed")


ODD_SETS = {
    "none": no_facts(),
    "empty": facts_of_squares([], images=3),
    "dot": facts_of_squares(1, images=1),
    "pixel": facts_of_squares(1, image=(1, 1), images=1),
    "gigantic": facts_of_squares(30, image=(20_000, 20_000), images=2),
    "ribbon": facts_of_squares(3, image=(10, 20_000)),
    "thousands": facts_of_squares([5] * 10_001, images=1),
    "both": facts_of_squares([1, 20_000], image=(20_000, 300)),
}


@pytest.mark.parametrize("name", ODD_SETS)
def test_odd_sets_get_a_configuration_too(name):
    machine = Machine(True, 2) if name == "both" else Machine(False, memory=1)
    made = choices(ODD_SETS[name], auto(), machine)
    config = override(auto(), settings_of(made))  # would refuse what is wrong
    assert config.train.epochs >= 12
    assert all(len(line) < 220 for line in lines(made).splitlines())
