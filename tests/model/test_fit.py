import os
import subprocess
import sys
import textwrap

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfmaskrcnn as mr
from helpers.one_stack import on_stack_a
from helpers.paths import ROOT
from helpers.tiny import tiny_config, tiny_data
from tfmaskrcnn import compat
from tfmaskrcnn.data import from_coco
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.model.fit import TrainableModel
from tfmaskrcnn.model.gradients import GradientRules, set_rules
from tfmaskrcnn.model.losses import LossTerm
from tfmaskrcnn.model.weights import load_weights, named_weights
from tfmaskrcnn.train import make_optimizer


class Toy(TrainableModel):
    """Two layers and two losses, one of which counts a number of rows that differs by image."""

    def __init__(self):
        super().__init__(dtype="float32")
        self.first = keras.layers.Dense(4, activation="tanh")
        self.last = keras.layers.Dense(1, dtype="float32")
        self.track_losses(("square", "absolute"))
        self.first.build((None, 3))
        self.last.build((None, 4))
        self.built = True

    def call(self, x):
        return self.last(self.part("first", self.first)(x))

    def loss_terms(self, batch, training):
        found = self(batch["image"])[:, 0] - batch["target"]
        absolute = tf.reduce_sum(tf.abs(found) * batch["rows"])
        count = tf.cast(tf.shape(found)[0], tf.float32)
        return {
            "square": LossTerm(tf.reduce_sum(found**2), count),
            "absolute": LossTerm(absolute, tf.reduce_sum(batch["rows"])),
        }


def toy(seed=0, rules=None, scaling=False, rate=0.1, **options):
    keras.utils.set_random_seed(seed)
    with compat.precision("float16" if scaling else "float32"):
        model = Toy()
    optimizer = set_rules(keras.optimizers.SGD(rate, momentum=0.9), rules or GradientRules())
    optimizer = compat.loss_scaling(optimizer) if scaling else optimizer
    options.setdefault("run_eagerly", True)
    model.compile(optimizer, **options)
    return model


def batch(seed=0, images=4, scale=1.0):
    rng = np.random.default_rng(seed)
    return {
        "image": tf.constant(scale * rng.normal(size=(images, 3)), tf.float32),
        "target": tf.constant(rng.normal(size=images), tf.float32),
        "rows": tf.constant(([7.0, 0.0, 1.0, 2.0] * 2)[:images]),
        "image_id": tf.range(images, dtype=tf.int64) + 40,
    }


def values(model):
    return {name: v.numpy() for name, v in named_weights(model).items()}


def assert_close(found, expected, atol):
    assert list(found) == list(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, atol=atol, err_msg=name)


@pytest.mark.parametrize("eagerly", [True, False])
@pytest.mark.parametrize("parts", [2, 4])
def test_a_batch_in_parts_makes_the_update_of_the_whole(parts, eagerly):
    rules = GradientRules(weight_decay=0.1, clip_norm=0.5)
    whole = toy(rules=rules)
    divided = toy(rules=rules, accumulate=parts, run_eagerly=eagerly)
    for step in range(3):
        expected = whole.train_on_batch(batch(step), return_dict=True)
        logs = divided.train_on_batch(batch(step), return_dict=True)
        for name, value in expected.items():
            assert float(logs[name]) == pytest.approx(float(value), rel=1e-5)
    assert_close(values(divided), values(whole), 1e-6)


def test_a_batch_that_does_not_divide_into_parts_is_refused():
    with pytest.raises(InputError, match="4 images does not divide into 3"):
        toy(accumulate=3).train_on_batch(batch())


def test_a_loss_that_is_not_finite_names_the_images_of_its_part():
    bad = batch()
    bad["target"] = tf.constant([0.0, 0.0, np.nan, 0.0])
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        toy(accumulate=2).train_on_batch(bad)
    assert "42" in str(caught.value) and "40" not in str(caught.value)


def test_a_gradient_that_overflows_float16_is_skipped_until_the_scale_fits():
    model = toy(scaling=True, rate=0.001, ema=0.5)
    model.last.kernel.assign(3.0 * np.ones((4, 1)))
    before, scale = values(model), float(compat.loss_scale(model.optimizer))
    logs = model.train_on_batch(batch(scale=0.1), return_dict=True)
    assert np.isfinite(logs["loss"])
    assert_close(values(model), before, 0.0)
    assert float(compat.loss_scale(model.optimizer)) == scale / 2
    for _ in range(8):
        model.train_on_batch(batch(scale=0.1))
    changed = values(model)
    assert all(np.isfinite(v).all() and (v != before[n]).any() for n, v in changed.items())
    # Without the factor of the scale the update is float32's, but for rounding.
    plain = toy(rate=0.001)
    load_weights(plain, changed)
    scaled = toy(scaling=True, rate=0.001)
    load_weights(scaled, changed)
    while (values(scaled)["last/kernel"] == changed["last/kernel"]).all():
        scaled.train_on_batch(batch(scale=0.1))
    plain.train_on_batch(batch(scale=0.1))
    assert_close(values(scaled), values(plain), 1e-4)


def test_layer_wise_rates_go_by_the_beginning_of_the_path():
    plain = toy()
    model = toy(rules=GradientRules(rates={"first": 0.5, "first/bias": 2.0, "last": 1.0}))
    before = values(plain)
    for one in (plain, model):
        one.train_on_batch(batch())
    found, expected = values(model), values(plain)
    for name, factor in {"first/kernel": 0.5, "first/bias": 2.0, "last/kernel": 1.0}.items():
        moved = factor * (expected[name] - before[name])
        np.testing.assert_allclose(found[name] - before[name], moved, atol=1e-7)


@pytest.mark.parametrize("start", ["fir", "first/kernels", "backbone"])
def test_a_rate_of_no_weight_names_the_parts_there_are(start):
    with pytest.raises(InputError, match=f"begins with '{start}'.* parts are first, last"):
        toy(rules=GradientRules(rates={start: 0.5}))


@pytest.mark.parametrize("eagerly", [True, False])
def test_validation_divides_the_sums_of_all_batches_by_their_counts(eagerly):
    model = toy(run_eagerly=eagerly, rate=1e-9)
    whole, small = batch(0, 8), batch(1, 2)

    def images():
        yield from (whole, small)

    spec = {n: tf.TensorSpec([None, *v.shape[1:]], v.dtype) for n, v in whole.items()}
    data = tf.data.Dataset.from_generator(images, output_signature=spec)  # of unknown length
    history = model.fit(data, validation_data=data, verbose=0).history
    both = {n: tf.concat([whole[n], small[n]], 0) for n in whole}
    terms = model.loss_terms(both, training=False)
    expected = {name: float(term.total / term.count) for name, term in terms.items()}
    expected["loss"] = sum(expected.values())
    assert {n: history[f"val_{n}"][0] for n in expected} == pytest.approx(expected, rel=1e-6)
    assert history["loss"][0] != pytest.approx(expected["loss"], rel=1e-2)  # a mean over batches


def test_parts_compiled_with_xla_make_the_same_update():
    plain, compiled = toy(), toy(xla=True)
    for model in (plain, compiled):
        model.train_on_batch(batch())
    assert compiled.part("first", compiled.first) is not compiled.first
    assert_close(values(compiled), values(plain), 1e-6)


# The network itself, eagerly: tracing it costs more than computing it.

STEADY = (
    "backbone={name: resnet18, norm: frozen_bn, freeze_at: 2}",
    "train.schedule={kind: constant, warmup_steps: 0}",
    "train.learning_rate=0.01",
    "train.clip_norm=null",
)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return tiny_data(tmp_path_factory.mktemp("shapes"), num_images=2)


@pytest.fixture(scope="module")
def one(data):
    """(start, end, losses) of the network's plain update."""
    keras.utils.set_random_seed(0)
    start = values(mr.MaskRCNN(tiny_config(*STEADY)))
    return start, *updated(data, start)


def updated(data, start, *overrides):
    """Weights and losses after one update of the weights `start`."""
    config = tiny_config(*STEADY, *overrides)
    model = mr.MaskRCNN(config)
    load_weights(model, start)
    c = config.train
    options = {"accumulate": c.accumulate, "xla": c.xla, "ema": c.ema, "run_eagerly": True}
    model.compile(make_optimizer(c, 10), **options)
    train = next(iter(from_coco(*data, config, training=True)))
    logs = model.train_on_batch(train, return_dict=True)
    return values(model), {name: float(value) for name, value in logs.items()}


@pytest.mark.parametrize(
    "override",
    [
        "train.accumulate=2",
        "backbone={name: resnet18, norm: frozen_bn, freeze_at: 2, recompute: true}",
    ],
)
def test_what_saves_memory_leaves_the_networks_update_as_it_is(data, one, override):
    start, expected, losses = one
    found, logs = updated(data, start, override)
    assert_close(found, expected, 1e-6)
    assert logs == pytest.approx(losses, rel=1e-5)
    name = "backbone/res5/0/conv1/kernel"
    assert np.abs(expected[name] - start[name]).max() > 1e-5


@on_stack_a
def test_a_weighed_focal_loss_trains_the_same_in_parts(data, one):
    start, _, plain = one
    names = "model.class_names=[circle, square, triangle]"
    rare = names, "box_head={loss: focal, class_weights: {square: 9, triangle: 0.2}}"
    expected, whole = updated(data, start, *rare)
    found, logs = updated(data, start, *rare, "train.accumulate=2")
    assert_close(found, expected, 1e-6)
    assert logs == pytest.approx(whole, rel=1e-5)
    assert abs(whole["cls_loss"] - plain["cls_loss"]) > 0.01
    for name in ("rpn_cls_loss", "box_loss", "mask_loss"):
        assert whole[name] == pytest.approx(plain[name], rel=1e-6)


@on_stack_a
@pytest.mark.slow
def test_backbone_pyramid_and_heads_compile_with_xla(data, one):
    start, expected, losses = one
    found, logs = updated(data, start, "train.xla=true")
    assert_close(found, expected, 1e-4)
    assert logs == pytest.approx(losses, rel=1e-4)


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_the_network_trains_in_16_bits_with_losses_in_32(data, one, precision):
    start, expected, losses = one
    found, logs = updated(data, start, f"train.precision={precision}")
    assert all(np.isfinite(v).all() and v.dtype == np.float32 for v in found.values())
    assert logs["rpn_cls_loss"] == pytest.approx(losses["rpn_cls_loss"], rel=1e-2)
    name = "rpn/objectness/kernel"  # its anchors do not depend on what the network finds
    moved, wanted = found[name] - start[name], expected[name] - start[name]
    assert np.linalg.norm(moved - wanted) < 0.05 * np.linalg.norm(wanted)


def test_a_whole_configuration_decides_what_the_layers_compute_in():
    model = mr.MaskRCNN(tiny_config("train.precision=mixed_bfloat16"))
    assert model.backbone.compute_dtype == model.mask_head.compute_dtype == "bfloat16"
    assert model.compute_dtype == model.box_head.class_logits.compute_dtype == "float32"
    assert {v.dtype for v in values(model).values()} == {np.dtype(np.float32)}
    assert keras.mixed_precision.global_policy().name == "float32"
    assert mr.MaskRCNN(tiny_config().model).backbone.compute_dtype == "float32"


REPLICAS = """
    import numpy as np, tensorflow as tf
    one = tf.config.LogicalDeviceConfiguration()
    tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], [one] * 2)
    from model.test_fit import GradientRules, assert_close, batch, toy, values

    rules = GradientRules(0.1, 0.5, {"first": 0.25})
    whole = toy(rules=rules, ema=0.5)
    devices = tf.distribute.ReductionToOneDevice()
    strategy = tf.distribute.MirroredStrategy(["/cpu:0", "/cpu:1"], devices)
    with strategy.scope():
        many = toy(rules=rules, accumulate=2, ema=0.5)

    @tf.function
    def step(halves):
        def mine():
            index = tf.distribute.get_replica_context().replica_id_in_sync_group
            return many.train_step({name: value[index] for name, value in halves.items()})
        return strategy.run(mine)

    for seed in range(3):
        whole.train_on_batch(batch(seed, 8))
        step({n: tf.stack(tf.split(v, 2)) for n, v in batch(seed, 8).items()})
    assert_close(values(many), values(whole), 1e-6)
    for name, average in whole.average.averages.items():
        np.testing.assert_allclose(many.average.averages[name], average, atol=1e-6)

    for model in (whole, many):
        model.first.trainable = False
    whole.train_on_batch(batch(3, 8))
    halves = {n: tf.stack(tf.split(v, 2)) for n, v in batch(3, 8).items()}
    frozen = values(many)
    tf.function(step.python_function)(halves)
    assert_close(values(many), values(whole), 1e-6)
    moved = {name for name, value in values(many).items() if (value != frozen[name]).any()}
    assert moved == {"last/kernel", "last/bias"}

    @tf.function
    def validate(halves):
        def mine():
            index = tf.distribute.get_replica_context().replica_id_in_sync_group
            return many.test_step({name: value[index] for name, value in halves.items()})
        return strategy.run(mine)

    for model in (whole, many):
        for mean in model.loss_means.values():
            mean.reset_state()
    for seed, images in ((3, 8), (4, 2)):  # no row of the second half counts in the last
        whole.test_step(batch(seed, images))
        validate({n: tf.stack(tf.split(v, 2)) for n, v in batch(seed, images).items()})
    for name, mean in whole.loss_means.items():
        np.testing.assert_allclose(many.loss_means[name].result(), mean.result(), rtol=1e-6)
"""


@pytest.mark.slow
def test_parts_on_two_replicas_make_the_update_of_the_whole_batch_on_one():
    # Its own process: logical devices must be made before TensorFlow first runs.
    paths = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(REPLICAS)],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
