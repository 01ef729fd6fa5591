"""Parts of a network that are trained one after another, by one optimizer."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfmaskrcnn as mr
from helpers.tiny import tiny_config
from tfmaskrcnn import compat
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.model import fit
from tfmaskrcnn.model.fit import TrainableModel
from tfmaskrcnn.model.gradients import GradientRules, set_rules
from tfmaskrcnn.model.losses import LossTerm
from tfmaskrcnn.model.weights import load_weights, named_weights

FROZEN = {"heads": 5, "5+": 4, "4+": 3, "3+": 2, "all": 0}  # stages


class Stages(keras.layers.Layer):
    """Five dense layers and a norm, each a stage of a backbone."""

    def __init__(self):
        super().__init__(dtype="float32")
        self.dense = [keras.layers.Dense(3, activation="tanh") for _ in range(5)]
        self.norm = keras.layers.BatchNormalization()
        for layer in (*self.dense, self.norm):
            layer.build((None, 3))
        self.built = True

    @property
    def stages(self):
        first, *others = self.dense
        return [[first, self.norm], *([layer] for layer in others)]

    def call(self, x, training=None):
        x = self.norm(self.dense[0](x), training=training)
        for layer in self.dense[1:]:
            x = layer(x)
        return x


class Staged(TrainableModel):
    """The smallest model of which parts can be trained."""

    def __init__(self, frozen=0):
        super().__init__(dtype="float32")
        self.backbone = Stages()
        for layer in sum(self.backbone.stages[:frozen], []):
            layer.trainable = False
        self.head = keras.layers.Dense(1)
        self.head.build((None, 3))
        self.track_losses(["square"])
        self.built = True
        self.remember_trained()

    def call(self, x, training=None):
        return self.head(self.part("backbone", self.backbone)(x, training=training))

    def loss_terms(self, batch, training):
        found = self(batch["image"], training=training)[:, 0] - batch["target"]
        return {"square": LossTerm(tf.reduce_sum(found**2), 4.0)}


def staged(frozen=0, optimizer=None, **options):
    keras.utils.set_random_seed(1)
    model = Staged(frozen)
    rules = GradientRules(0.1, 0.5, {"backbone/dense/4": 0.25, "head": 0.5})
    optimizer = optimizer or keras.optimizers.SGD(0.1, momentum=0.9, **compat.NO_OPTIMIZER_XLA)
    model.compile(set_rules(optimizer, rules), **{"run_eagerly": True, **options})
    return model


def batch(seed=0):
    rng = np.random.default_rng(seed)
    return {
        "image": tf.constant(rng.normal(size=(4, 3)), tf.float32),
        "target": tf.constant(rng.normal(size=4), tf.float32),
        "image_id": tf.range(4, dtype=tf.int64),
    }


def values(model):
    return {name: v.numpy() for name, v in named_weights(model).items()}


def moved(model, before):
    return {name for name, value in values(model).items() if (value != before[name]).any()}


def assert_same(found, expected):
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)


@pytest.mark.parametrize("part", ["heads", "4+", "all"])
def test_a_part_is_trained_as_if_the_model_was_built_with_the_rest_frozen(part):
    model, built = staged(ema=0.5), staged(FROZEN[part], ema=0.5)
    model.set_trainable(part)
    before = values(model)
    for seed in range(2):
        for each in (model, built):
            each.train_on_batch(batch(seed))
    assert_same(values(model), values(built))
    averages = ({n: a.numpy() for n, a in m.average.averages.items()} for m in (model, built))
    assert_same(*averages)
    still = {f"backbone/dense/{i}/{n}" for i in range(FROZEN[part]) for n in ("kernel", "bias")}
    still |= {name for name in before if "/norm/" in name} if part != "all" else set()
    assert moved(model, before) == set(before) - still
    for name in still:  # nor does their average drift
        np.testing.assert_array_equal(model.average.averages[name], before[name])


def test_the_part_may_change_between_steps_and_graphs_follow():
    keras.utils.set_random_seed(1)
    model = staged(run_eagerly=False)
    slots = len(compat.optimizer_variables(model.optimizer))
    for part in ("3+", "all", "heads"):
        model.set_trainable(part)
        before = values(model)
        model.train_on_batch(batch())
        changed = moved(model, before)
        assert {f"backbone/dense/{i}/kernel" in changed for i in range(FROZEN[part])} <= {False}
        assert {f"backbone/dense/{i}/kernel" in changed for i in range(FROZEN[part], 5)} <= {True}
        assert ("backbone/norm/moving_mean" in changed) == (part == "all")
    assert len(compat.optimizer_variables(model.optimizer)) == slots


def test_a_part_that_was_frozen_begins_without_momentum():
    model, plain = staged(), staged()
    model.set_trainable("heads")
    model.train_on_batch(batch())
    model.set_trainable("all")
    load_weights(plain, values(model))
    for each in (model, plain):
        each.train_on_batch(batch(5))
    found, expected = values(model), values(plain)
    for name in found:
        same = (found[name] == expected[name]).all()
        assert same == name.startswith("backbone"), name


def test_what_xla_compiled_follows_too(monkeypatch):
    # The compiler itself takes seconds, and forgets no more than a plain graph.
    monkeypatch.setattr(fit, "as_graph", lambda function, **options: tf.function(function))
    model = staged(xla=True)
    model.train_on_batch(batch())  # compiled with statistics of the batch
    model.set_trainable("3+")
    before = values(model)
    model.train_on_batch(batch())
    assert not {name for name in moved(model, before) if "/norm/" in name}


def test_adams_decay_leaves_frozen_weights_alone():
    optimizer = keras.optimizers.AdamW(0.1, weight_decay=0.5, **compat.NO_OPTIMIZER_XLA)
    model = staged(optimizer=optimizer)
    model.set_trainable("heads")
    before = values(model)
    model.train_on_batch(batch())
    assert moved(model, before) == {"head/kernel", "head/bias"}


@pytest.mark.parametrize("kind", ["Adam", "AdamW"])
def test_adam_moves_a_part_that_begins_late_as_one_that_begins_with_it(kind):
    def adam():
        decay = {"weight_decay": 0.0} if kind == "AdamW" else {}
        return getattr(keras.optimizers, kind)(0.01, **decay, **compat.NO_OPTIMIZER_XLA)

    model, fresh = staged(optimizer=adam()), staged(optimizer=adam())
    model.set_trainable("heads")
    model.optimizer.iterations.assign(30)
    model.set_trainable("all")
    before = values(model)
    for seed in range(2):
        for each in (model, fresh):
            each.train_on_batch(batch(seed))
        found, expected = values(model), values(fresh)
        fresh.head.set_weights(model.head.get_weights())  # it has begun before
    for name in (name for name in before if name.startswith("backbone/dense")):
        moved_by, wanted = found[name] - before[name], expected[name] - before[name]
        np.testing.assert_allclose(moved_by, wanted, rtol=0.01, atol=1e-5, err_msg=name)
    # A part that pauses goes on where it was.
    own = model._optimized
    ids = {name: id(v) for name, v in named_weights(model).items()}
    stem, head = ids["backbone/dense/0/kernel"], ids["head/kernel"]
    assert (own._missed[stem], own._missed.get(head, 0)) == (30, 0)
    model.set_trainable("heads", update=40)
    model.set_trainable("all", update=90)
    assert own._missed[stem] == 80  # 10 updates of its own


def test_scaling_of_the_loss_changes_nothing_of_a_part():
    scaling = compat.loss_scaling(keras.optimizers.SGD(0.1, momentum=0.9))
    model, plain = staged(optimizer=scaling), staged()
    for each in (model, plain):
        each.set_trainable("5+")
        each.train_on_batch(batch())
    found, expected = values(model), values(plain)
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, atol=1e-6, err_msg=name)


def test_weights_frozen_by_hand_after_compile_keep_the_others_rates():
    model, built = staged(), staged()
    model.backbone.dense[0].trainable = False
    before = values(model)
    for each in (model, built):
        each.optimizer.gradient_rules = rules = GradientRules(0.1, None, {"head": 0.5})
        assert rules.clip_norm is None
        each.train_on_batch(batch())
    expected = values(built)
    for name, value in values(model).items():
        frozen = name.startswith("backbone/dense/0/")
        np.testing.assert_array_equal(value, before[name] if frozen else expected[name], name)
    model.set_trainable("all")  # forgets it
    model.train_on_batch(batch())
    assert "backbone/dense/0/kernel" in moved(model, before)


def test_weights_that_compile_did_not_know_want_another():
    model = staged(2)
    model.backbone.dense[1].trainable = True
    with pytest.raises(InputError, match="backbone/dense/1/kernel.*after `compile`.*compile again"):
        model.train_on_batch(batch())
    model.compile(keras.optimizers.SGD(0.1), run_eagerly=True)
    before = values(model)
    model.train_on_batch(batch())
    assert "backbone/dense/1/kernel" in moved(model, before)


@pytest.mark.parametrize("part", ["head", "backbone", "3", None, ["heads"]])
def test_an_unknown_part_is_told_with_the_list(part):
    with pytest.raises(InputError, match=r"no part .* the parts are heads, 5\+, 4\+, 3\+, all"):
        staged().set_trainable(part)


def test_a_running_fit_refuses_another_part():
    model = staged()

    class Change(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.model.set_trainable("heads")

    data = tf.data.Dataset.from_tensors(batch())
    with pytest.raises(InputError, match="running fit.*initial_epoch.*train.phases"):
        model.fit(data, callbacks=[Change()], verbose=0)
    model.set_trainable("heads")
    model.fit(data, verbose=0)


NETWORKS = {
    "resnet18": {"res2": 2, "res3": 3, "res4": 4, "res5": 5},
    "efficientnet_lite0": {f"stage{n}": s for n, s in enumerate((2, 2, 3, 4, 4, 5, 5), 1)},
}


@pytest.mark.parametrize("name", NETWORKS)
def test_parts_of_the_network_are_its_stages_above_freeze_at(name):
    model = mr.MaskRCNN(
        tiny_config(f"backbone={{name: {name}, freeze_at: 2, norm: frozen_bn}}").model
    )
    stages = {"stem": 1, **NETWORKS[name]}
    for part in ("heads", "4+", "all"):
        model.set_trainable(part)
        names = {id(v): n for n, v in named_weights(model).items()}
        trained = {names[id(v)] for v in model.trainable_variables}
        assert {n.split("/")[0] for n in trained} >= {"fpn", "rpn", "box_head", "mask_head"}
        assert not [n for n in trained if "/norm/" in n]  # frozen norms stay so
        found = {n.split("/")[1] for n in trained if n.startswith("backbone/")}
        least = max(FROZEN[part], 2)  # freeze_at
        assert found == {stage for stage, number in stages.items() if number > least}
    again = type(model).from_config({**model.get_config(), "trained_part": "5+"})
    assert again.trained_part == "5+" and again.get_config()["trained_part"] == "5+"
    assert "trained_part" not in model.get_config()
