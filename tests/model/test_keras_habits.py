"""What an experienced Keras user types without looking anything up, on either Keras."""

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfmaskrcnn as mr
from helpers.line import BATCH, Line
from helpers.tiny import tiny_config, tiny_data
from tfmaskrcnn import compat
from tfmaskrcnn.data import from_coco
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.train import make_optimizer

PLAIN = (
    "backbone={name: resnet18, norm: frozen_bn, freeze_at: 5}",
    "train.schedule={kind: constant, warmup_steps: 0}",
)


@pytest.fixture(scope="module")
def config():
    return tiny_config(*PLAIN)


@pytest.fixture(scope="module")
def images(tmp_path_factory, config):
    """One batch of two images."""
    return from_coco(*tiny_data(tmp_path_factory.mktemp("shapes"), 2), config, training=True)


@pytest.fixture(scope="module")
def model(config):
    keras.utils.set_random_seed(0)
    model = mr.MaskRCNN(config.model)
    model.compile(make_optimizer(config.train, 1), run_eagerly=True)
    return model


@pytest.fixture
def line():
    model = Line()
    model.compile(keras.optimizers.SGD(0.5), run_eagerly=True)
    return model


@pytest.fixture
def batches():
    return tf.data.Dataset.from_tensors(BATCH)


PICTURE = np.zeros((96, 128, 3), np.uint8)


# What is for other models is told before anything runs.


@pytest.mark.parametrize(
    "given, sentence",
    [
        ({"loss": "mse"}, r"compile\(loss=...\) has no effect here: the model has its own losses"),
        ({"loss_weights": [1.0, 2.0]}, "leave `loss_weights` out"),
        ({"metrics": ["accuracy"]}, "CocoCallback.* to fit, which logs AP"),
        ({"weighted_metrics": ["accuracy"]}, "CocoCallback"),
        ({"jit_compile": True}, "xla=True compiles the parts"),
    ],
)
def test_what_compile_would_store_and_never_use_is_refused(line, given, sentence):
    with pytest.raises(InputError, match=sentence):
        line.compile("adam", **given)


def test_a_loss_by_position_is_refused_and_keras_defaults_are_not(model, line):
    with pytest.raises(InputError, match="its own losses"):
        model.compile("adam", "mse")
    auto = {"jit_compile": "auto"} if compat.KERAS3 else {"jit_compile": None}
    line.compile("adam", None, metrics=[], **auto)
    assert isinstance(line.optimizer, keras.optimizers.Adam)


@pytest.mark.parametrize(
    "arguments, given, sentence",
    [
        ((None, 4), {}, r"fit\(batch_size=4\): the data set is in batches already.*epochs=..."),
        ((np.zeros(2),), {}, r"fit\(y=...\) has no effect here: the truth is part of a batch"),
        ((), {"class_weight": {1: 2.0}}, "class_weights in .* data.repeat_threshold shows"),
        ((), {"sample_weight": np.ones(2)}, "images have no weights"),
        ((), {"validation_data": (PICTURE, PICTURE)}, r"fit\(validation_data=...\): .*from_coco"),
    ],
)
def test_arguments_of_fit_for_other_models_are_refused(line, batches, arguments, given, sentence):
    with pytest.raises(InputError, match=sentence):
        line.fit(batches, *arguments, **given)


@pytest.mark.parametrize("method", ["fit", "evaluate"])
def test_data_of_another_form_are_refused(line, batches, method):
    call = getattr(line, method)
    pairs = batches.map(lambda batch: (batch["image"], batch["image_id"]))
    for data in (None, [PICTURE], np.stack([PICTURE]), tf.stack([PICTURE]), pairs):
        with pytest.raises(InputError, match=f"^{method}: .*dicts of images with their truth"):
            call(data)
    with pytest.raises(InputError, match=f"{method}: the data set has no end; leave repeat"):
        call(batches.repeat())


def test_a_batch_that_fit_could_not_see_in_advance_is_refused(line):
    for data in ((BATCH, BATCH["image_id"]), (BATCH["image"],)):
        with pytest.raises(InputError, match="A batch of another form: batches are dicts"):
            line.train_on_batch(*data)


def test_bare_pictures_are_told_where_to_go(model, images):
    pictures = images.map(lambda batch: batch["image"])
    for data in ([PICTURE], np.stack([PICTURE]), pictures):
        with pytest.raises(InputError, match="predict takes batches, .* call predict_images"):
            model.predict(data)
    for data in (PICTURE, np.stack([PICTURE]), [PICTURE], {"image": PICTURE}):
        with pytest.raises(InputError, match="called with a batch, .* call predict_images"):
            model(data)


def test_export_names_what_to_call(model):
    with pytest.raises(InputError, match=r"call mr.export_saved_model\(model, 'exported/1'\)"):
        model.export("exported/1")


@pytest.mark.parametrize("kind", ["LearningRateScheduler", "ReduceLROnPlateau"])
def test_a_callback_that_sets_the_rate_is_refused_beside_a_schedule(line, batches, kind):
    rate = {"LearningRateScheduler": (lambda epoch: 0.5,), "ReduceLROnPlateau": ()}[kind]
    line.compile(make_optimizer(tiny_config("train.schedule.warmup_steps=5").train, 1))
    with pytest.raises(InputError, match=f"^{kind} cannot change .*kind: constant"):
        line.fit(batches, callbacks=[getattr(keras.callbacks, kind)(*rate)])


@pytest.mark.parametrize("name", ["best.h5", "best.weights.h5", "run_{epoch}.hdf5"])
def test_a_checkpoint_of_a_whole_model_that_could_not_be_read_is_refused(line, batches, name):
    try:
        callback = keras.callbacks.ModelCheckpoint(name)
    except ValueError as error:  # Keras 3 refuses some itself
        assert ".keras" in str(error)
        return
    with pytest.raises(InputError, match=f"ModelCheckpoint.'{name}'.*save_weights_only=True"):
        line.fit(batches, callbacks=[callback])


def test_tensorboards_callback_without_tensorboard_is_refused_at_once(line, batches, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match="pip install tensorboard"):
        line.fit(batches, callbacks=[keras.callbacks.TensorBoard("logs", write_graph=False)])


# What works.


def test_the_callbacks_of_keras_work_with_fit(model, images, tmp_path):
    checkpoints, kinds = tmp_path / "checkpoints", keras.callbacks
    weights, whole = checkpoints / "best.weights.h5", checkpoints / "best.keras"
    callbacks = [
        kinds.ModelCheckpoint(str(weights), save_weights_only=True),
        kinds.ModelCheckpoint(str(whole), monitor="loss", save_best_only=True),
        kinds.CSVLogger(str(tmp_path / "log.csv")),
        kinds.EarlyStopping("loss", restore_best_weights=True, start_from_epoch=0),
        kinds.ReduceLROnPlateau("loss"),
        kinds.LearningRateScheduler(lambda epoch: 0.25),
        kinds.BackupAndRestore(str(tmp_path / "backup")),
        kinds.TerminateOnNaN(),
    ]
    with warnings.catch_warnings():
        warnings.filterwarnings("error", ".*shuffle")  # that it is ignored, Keras 3 says
        model.fit(images, shuffle=True, validation_data=images, callbacks=callbacks, verbose=0)
    assert compat.learning_rate(model.optimizer) == 0.25
    assert "val_mask_loss" in (tmp_path / "log.csv").read_text()
    other = mr.MaskRCNN(model.config)
    other.load_weights(str(weights))
    assert_same_weights(other, model)


def test_summary_clone_and_weights_as_a_list(model):
    lines = []
    model.summary(print_fn=lambda line, *args, **kwargs: lines.append(line))
    assert "mask_head" in "\n".join(lines)
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    assert_same_weights(clone, model)


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_float16_alone_has_its_loss_scaled_whoever_made_the_optimizer(precision):
    with compat.precision(precision):
        model = Line()
    for optimizer in ("adam", keras.optimizers.SGD(0.5)):
        model.compile(optimizer)
        scale = 2.0**15 if precision == "float16" else 1.0
        assert float(compat.loss_scale(model.optimizer)) == scale
    kept = compat.loss_scaling(keras.optimizers.SGD(0.5))
    model.compile(kept)
    assert model.optimizer is kept  # not twice


def test_the_network_computes_in_half_precision_by_its_layers(config):
    with compat.precision("float16"):
        model = mr.MaskRCNN(config.model)
    model.compile("adam")
    assert compat.scales_loss(model.optimizer)


def test_a_rate_that_is_not_scheduled_is_a_number(config):
    assert not compat.follows_schedule(make_optimizer(config.train, 10))
    scaled = make_optimizer(tiny_config(*PLAIN, "train.precision=mixed_float16").train, 10)
    assert not compat.follows_schedule(scaled)
    for schedule in ("{kind: cosine, warmup_steps: 0}", "{kind: constant, warmup_steps: 5}"):
        train = tiny_config(f"train.schedule={schedule}").train
        assert compat.follows_schedule(make_optimizer(train, 10))


def assert_same_weights(found, expected):
    expected = mr.weights.named_weights(expected)
    for name, variable in mr.weights.named_weights(found).items():
        np.testing.assert_array_equal(variable.numpy(), expected[name].numpy(), err_msg=name)
