"""Phases of a run: what is refused, how they divide it, and that an interrupted run keeps them."""

import csv

import keras
import numpy as np
import pytest

from helpers.one_stack import on_stack_b
from helpers.tiny import tiny_config, tiny_data
from tfmaskrcnn.config.phases import PhaseConfig
from tfmaskrcnn.config.run import Config, ScheduleConfig, TrainConfig
from tfmaskrcnn.config.yaml_files import load_config
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.model.weights import named_weights
from tfmaskrcnn.support.run_folder import Run
from tfmaskrcnn.train import loop, train
from tfmaskrcnn.train.optimizers import make_optimizer
from tfmaskrcnn.train.run_phases import begin_phase, pass_phases, phase_ends
from tfmaskrcnn.train.run_settings import check_settings, saved_settings
from tfmaskrcnn.train.saving import StateKeeper, states_in
from tfmaskrcnn.train.schedule import PhasedSchedule, make_schedule, with_phases
from tfmaskrcnn.train.state import training_digest

PHASES = "train.phases=[{part: heads, until: 10}, {part: 4+, until: 30}, {rate: 0.1}]"


def test_phases_are_read_as_they_are_typed():
    first, second, last = load_config(None, [PHASES]).train.phases
    assert (first.part, first.until, first.rate) == ("heads", 10, 1.0)
    assert (second.part, second.until) == ("4+", 30)
    assert (last.part, last.until, last.rate) == ("all", None, 0.1)


@pytest.mark.parametrize(
    "phases, told",
    [
        ("[{part: head, until: 3}]", "train.phases.0.part: .*'heads'"),
        ("[{part: heads, until: 3}]", "the last of phases goes on .* leave its `until` out"),
        ("[{part: heads}, {part: all}]", "each but the last needs an `until`"),
        ("[{until: 5}, {until: 5}, {}]", r"\[5, 5\]; each but the last .* above the one before"),
        ("[{until: 0}, {}]", "train.phases.0.until"),
        ("[{rate: 0}]", "train.phases.0.rate"),
        ("[{layers: heads}]", "layers"),
        ("heads", "train.phases"),
    ],
)
def test_what_is_no_list_of_phases_is_told(phases, told):
    with pytest.raises(InputError, match=told):
        load_config(None, [f"train.phases={phases}"])


def test_parts_that_begin_late_want_an_optimizer_that_can():
    late = (PhaseConfig(part="heads", until=1), PhaseConfig())
    TrainConfig(phases=late)
    TrainConfig(phases=late, optimizer="adamw")
    with pytest.raises(InputError, match="novograd would move .* set optimizer to sgd, sgdw, adam"):
        TrainConfig(phases=late, optimizer="novograd")
    # From the whole to the heads no weight begins late.
    TrainConfig(phases=(PhaseConfig(until=1), PhaseConfig(part="heads")), optimizer="novograd")


def test_epochs_are_divided_where_a_phase_ends_within_them():
    phases = load_config(None, [PHASES]).train.phases
    assert phase_ends(phases, 0, 50) == [10, 30, 50]
    assert phase_ends(phases, 9, 50) == [10, 30, 50]
    assert phase_ends(phases, 10, 50) == [30, 50]
    assert phase_ends(phases, 0, 10) == [10]
    assert phase_ends(phases, 0, 2) == [2]
    assert phase_ends(phases, 31, 32) == phase_ends((), 0, 32) == [32]


def test_a_run_that_goes_on_begins_each_part_with_the_same_update():
    phases = load_config(None, [PHASES]).train.phases

    class Noted:
        trainable_variables = weights = ()

        def __init__(self):
            self.calls = []

        def set_trainable(self, part, update):
            self.calls.append((part, update))

    whole = Noted()
    for start, end in ((0, 10), (10, 30), (30, 50)):
        begin_phase(whole, phases, start, end, steps=7)
    assert whole.calls == [("heads", 0), ("4+", 70), ("all", 210)]
    for start, number in ((0, 1), (9, 1), (10, 2), (29, 2), (30, 3), (44, 3)):
        resumed = Noted()
        pass_phases(resumed, phases, start, steps=7)
        begin_phase(resumed, phases, start, 50, steps=7)
        assert resumed.calls == whole.calls[:number]
    begin_phase(whole, (), 0, 50, steps=7)
    pass_phases(whole, (), 9, steps=7)
    assert len(whole.calls) == 3


@pytest.mark.parametrize("kind", ["constant", "cosine"])
def test_the_rate_is_the_schedules_times_the_phases(kind):
    phases = (PhaseConfig(until=2, rate=0.5), PhaseConfig(until=3), PhaseConfig(rate=0.1))
    base = make_schedule(ScheduleConfig(kind=kind, warmup_steps=0), 0.02, 40)
    schedule = with_phases(base, phases, 10)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(schedule))
    for step, factor in ((0, 0.5), (19, 0.5), (20, 1.0), (29, 1.0), (30, 0.1), (39, 0.1)):
        rate = float(base(step)) if callable(base) else base
        assert float(schedule(step)) == pytest.approx(rate * factor, rel=1e-6)
        assert float(again(step)) == float(schedule(step))


def test_phases_of_one_rate_leave_the_schedule_as_it_is():
    assert with_phases(0.02, (PhaseConfig(until=2), PhaseConfig()), 10) == 0.02
    assert with_phases(0.02, (), 10) == 0.02
    config = TrainConfig(phases=(PhaseConfig(rate=0.1),))
    assert isinstance(make_optimizer(config, 10)._learning_rate, PhasedSchedule)


def test_a_run_goes_on_with_its_own_phases_alone():
    plain, phased = Config(), load_config(None, [PHASES])
    assert training_digest(plain) != training_digest(phased)
    former = saved_settings(plain)
    check_settings("s.npz", phased, None, saved_settings(phased), None)
    with pytest.raises(InputError, match="train.phases was .* and is .*heads"):
        check_settings("s.npz", phased, None, former, None)
    del former["train"]["phases"]  # a state of before
    check_settings("s.npz", plain, None, former, None)


class Killed(Exception):
    pass


def weights_of(path):
    with np.load(path) as file:
        return {name: file[name] for name in file.files if name.startswith("weights/")}


@on_stack_b
@pytest.mark.slow
@pytest.mark.usefixtures("eagerly")
@pytest.mark.filterwarnings("ignore:Even though the:UserWarning")  # of tf.data
def test_a_run_killed_within_a_phase_goes_on_to_the_bit(tmp_path, monkeypatch, caplog):
    data, images = tiny_data(tmp_path / "set", num_images=2)
    config = tiny_config(
        *(f"data.train_json={data}", f"data.train_images={images}", "train.epochs=2"),
        *("train.phases=[{part: heads, until: 1}, {part: 5+, rate: 0.5}]", "train.batch_size=1"),
        *("train.save_every=1", "train.keep_states=9", "train.tensorboard=false", "train.ema=0.5"),
        "train.optimizer=adamw",
    )
    caplog.set_level("INFO")
    run = Run(str(tmp_path / "whole"))
    averages = {n: v.numpy() for n, v in named_weights(train(config, run.folder)).items()}
    said = [r.getMessage() for r in caplog.records if r.getMessage().startswith("Phase")]
    assert said[0].startswith("Phase 1 of 2, epochs 1 to 1: trains heads, ")
    assert said[1].startswith("Phase 2 of 2, epochs 2 to 2: trains 5+, ")
    assert said[1].endswith(" at 0.5 times the learning rate.")
    states = [weights_of(path) for path in states_in(run.states)]
    for name, value in states[0].items():
        frozen = name.startswith("weights/backbone")
        assert (value == states[1][name]).all() or not frozen, name
        deep = name.startswith("weights/backbone/res5")
        assert (states[1][name] == states[-1][name]).all() == (frozen and not deep), name

    class KilledInTraining(StateKeeper):
        def save(self, epoch, step):
            super().save(epoch, step)
            if (epoch, step) == (1, 1):
                raise Killed

    parts = str(tmp_path / "parts")
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(loop, "StateKeeper", KilledInTraining)
        train(config, parts)
    resumed = train(config, parts, resume=True)
    assert resumed.trained_part == "5+"
    expected = weights_of(states_in(run.states)[-1])
    for name, value in weights_of(states_in(Run(parts).states)[-1]).items():
        np.testing.assert_array_equal(value, expected[name], err_msg=name)
    for name, variable in named_weights(resumed).items():
        average = averages[name]
        np.testing.assert_array_equal(variable.numpy(), average, err_msg=name)
    rows = []
    for folder in (run.folder, parts):
        with open(Run(folder).history, encoding="utf-8") as file:
            rows.append([(r["loss"], r["learning_rate"]) for r in csv.DictReader(file)])
    assert rows[0] == rows[1]
