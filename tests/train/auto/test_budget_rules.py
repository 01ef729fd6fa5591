"""`train/auto/budget_rules.py`: batch, epochs, learning rate."""

import pytest

from helpers.some_facts import CPU, auto, facts_of_squares, no_facts, values
from tfmaskrcnn.train.auto import budget_rules
from tfmaskrcnn.train.auto.budget_rules import batch_size, epochs, evaluations, learning_rate
from tfmaskrcnn.train.auto.facts import Machine

MEGABYTE = 1 << 20


@pytest.fixture(autouse=True)
def _an_image_takes_a_megabyte(monkeypatch):
    monkeypatch.setattr(budget_rules, "training_bytes", lambda config, n, size: n * MEGABYTE)


def batch_of(images, config, machine=CPU):
    return batch_size(facts_of_squares(20, images=images), config, machine)[0]


@pytest.mark.parametrize("images, batch", [(1, 1), (2, 2), (99, 2), (100, 4), (100_000, 4)])
def test_small_sets_take_small_batches(images, batch):
    assert batch_of(images, auto()).value == batch


@pytest.mark.parametrize("megabytes, batch", [(100, 4), (4, 2), (2, 1), (0, 1), (None, 4)])
def test_memory_bounds_the_batch(megabytes, batch):
    memory = None if megabytes is None else megabytes * MEGABYTE
    found = batch_of(500, auto(), Machine(False, memory=memory))
    assert found.value == batch and ("memory" in found.reason) == (batch < 4)
    frozen = auto("backbone.norm=frozen_bn")  # a batch may be gone through in parts
    assert batch_of(500, frozen, Machine(False, memory=memory)).value == 4


def test_every_device_gets_its_images_and_every_part_of_a_batch():
    assert batch_of(500, auto(), Machine(True, replicas=8)).value == 32
    assert batch_of(500, auto("train.accumulate=8")).value == 8
    assert batch_of(12, auto("train.accumulate=8")).value == 8
    assert batch_of(0, auto()).value == 2  # a set without images is refused later


@pytest.mark.parametrize(
    "images, count, updates",
    [(46, 87, "2,001"), (11, 100, "500"), (448, 12, "2,688"), (100_000, 12, "600,000")],
)
def test_epochs_make_some_2000_updates_within_bounds(images, count, updates):
    facts = facts_of_squares(20, images=images)
    (found,) = epochs(facts, auto("train.batch_size=2"), CPU)
    assert found.value == count and found.reason.startswith(f"{updates} updates")


@pytest.mark.parametrize(
    "settings, rate",
    [
        (["train.batch_size=4"], 0.001),
        (["train.batch_size=1"], 0.0005),
        (["train.batch_size=16"], 0.002),
        (["train.optimizer=sgd", "train.batch_size=4"], 0.005),
        (["train.batch_size=2", "train.reference_batch=4"], 0.001),  # is scaled by itself
    ],
)
def test_the_rate_follows_the_batch(settings, rate):
    found = values(learning_rate(facts_of_squares(20, images=400), auto(*settings), CPU))
    assert found["train.learning_rate"] == pytest.approx(rate)


def test_the_warm_up_is_a_twentieth_of_the_run():
    config = auto("train.batch_size=4", "train.epochs=10")
    found = values(learning_rate(facts_of_squares(20, images=400), config, CPU))
    assert found["train.schedule.warmup_steps"] == 50
    assert values(learning_rate(no_facts(), config, CPU))["train.schedule.warmup_steps"] == 1


def test_of_an_optimizer_without_a_rule_the_rate_is_left_alone():
    found = values(learning_rate(facts_of_squares(20), auto("train.optimizer=lamb"), CPU))
    assert "train.learning_rate" not in found


@pytest.mark.parametrize("count, every", [(1, 1), (12, 1), (50, 5), (100, 10)])
def test_ten_evaluations_a_run(count, every):
    found = evaluations(facts_of_squares(20), auto(f"train.epochs={count}"), CPU)
    assert values(found) == {"train.evaluate_every": every}
