"""A training run in a folder: `compile`, `fit`, evaluation, the best weights, resumption."""

import contextlib
import logging
from typing import List, Optional, Sequence, Union

import keras
import numpy as np
import tensorflow as tf

from tfmaskrcnn.config.phases import Phases
from tfmaskrcnn.config.run import Config
from tfmaskrcnn.config.run_paths import check_paths
from tfmaskrcnn.config.yaml_files import load_config
from tfmaskrcnn.data import from_records
from tfmaskrcnn.data.augment.user_function import function_of
from tfmaskrcnn.data.batches.pipeline import check_fits
from tfmaskrcnn.data.batches.sampler import steps_per_epoch
from tfmaskrcnn.data.checking.first_look import first_look
from tfmaskrcnn.data.coco.records import CocoData
from tfmaskrcnn.data.labels import with_classes_of
from tfmaskrcnn.errors import InputError, explained
from tfmaskrcnn.evaluation import CocoCallback
from tfmaskrcnn.inference.opening import FromRun
from tfmaskrcnn.inference.trained_sizes import NetworkInput, sizes_of
from tfmaskrcnn.model.mask_rcnn import MaskRCNN
from tfmaskrcnn.model.weights import load_weights
from tfmaskrcnn.support.folder_lock import locked_folder
from tfmaskrcnn.support.given import TEXTS, path_text, takes
from tfmaskrcnn.support.run_folder import Run, removed_if_empty
from tfmaskrcnn.support.shown_log import log_shown
from tfmaskrcnn.train.auto.auto_config import chosen, taken_up
from tfmaskrcnn.train.data_content import data_content
from tfmaskrcnn.train.distribution import Workers, make_strategy
from tfmaskrcnn.train.epoch_batches import Batches, check_same
from tfmaskrcnn.train.first_weights import check_start, start_weights
from tfmaskrcnn.train.optimizers import make_optimizer
from tfmaskrcnn.train.progress import Speed, progress_display
from tfmaskrcnn.train.recorder import RunRecorder, draw_first_batch
from tfmaskrcnn.train.run_end import tell_what_is_left, told_how_to_go_on
from tfmaskrcnn.train.run_memory import with_parts
from tfmaskrcnn.train.run_phases import begin_phase, pass_phases, phase_ends
from tfmaskrcnn.train.run_start import (
    config_of,
    finished_without_states,
    note,
    note_finished,
    say_lengthened,
    say_long_warmup,
    without_validation,
)
from tfmaskrcnn.train.saving import StateKeeper
from tfmaskrcnn.train.splits import given, training_data, whole_training_data
from tfmaskrcnn.train.tensorboard import BoardWriter
from tfmaskrcnn.train.validation import ValidationLoss

_LOG = logging.getLogger(__name__)


@takes(overrides=TEXTS)
def train(
    config: Union[str, Config],
    folder: str,
    resume: bool = False,
    overrides: Sequence[str] = (),
    epochs: Optional[int] = None,
    strategy: Optional[tf.distribute.Strategy] = None,
) -> MaskRCNN:
    """Train a model on `config.data` and leave all about it in `folder`, as the command `train`.

    On a terminal a bar shows how far it is, in a notebook and in a log lines do; where logging is
    not set up, they are shown all the same. `logging.getLogger("tfmaskrcnn").setLevel("WARNING")`
    keeps a run quiet.

    Args:
        config: the whole configuration, or what `load_config` reads: a name such as "finetune", a
            YAML file, a run. Where it names no classes, the data set's are taken, or
            those of `data.classes`. Without `data.val_json` nothing is evaluated, which the log
            says, and the weights in `folder` are those of the last epoch. A name or file that
            starts from published weights takes their network, a `Config` is taken as it is.
        folder: made if it does not exist; `Run` tells what will lie in it.
        resume: go on from the last state that `folder` holds, or begin; on a CPU the result is the
            same to the bit as that of a run never interrupted.
        overrides: `"key=value"` changes of the configuration.
        epochs: stop after this epoch, though the schedule is for `config.train.epochs`.
        strategy: what to train on instead of `config.train.strategy`; the result is the same. Of
            several workers all call this function, and the first one writes the files.

    Returns:
        The model with the weights of the last epoch, their average with `train.ema`; the best ones
        are in the folder: `load(folder)`.

    Raises:
        InputError: data, configuration or folder are wrong; the loss is not finite.
    """
    folder = path_text(folder, "folder")
    config = config_of(config, folder, overrides)
    with contextlib.ExitStack() as stack:
        stack.enter_context(log_shown())
        stack.enter_context(told_how_to_go_on(folder))
        workers = Workers(make_strategy(config.train.strategy) if strategy is None else strategy)
        stack.enter_context(removed_if_empty(folder))
        run = Run(stack.enter_context(workers.own_folder(folder)))
        workers.agree(lambda: stack.enter_context(locked_folder(run.folder)))
        try:
            model = _train(config, run, resume, epochs, workers)
            workers.wait()  # until the chief has written its last file
        except tf.errors.OpError as error:
            raise explained(error, {}) from None
        if workers.chief:
            tell_what_is_left(folder, config)
    return model


def _train(config: Config, run: Run, resume: bool, epochs, workers) -> MaskRCNN:
    config = taken_up(config, run, resume, workers)
    done = workers.agree(lambda: finished_without_states(run, config, resume))
    if workers.sum(np.array([done]))[0]:  # of the chief, who has the run's folder
        return _finished(run, config, workers)
    workers.agree(lambda: _check_before(config, run))
    whole = workers.agree(lambda: whole_training_data(config))
    config = chosen(config, whole, workers)
    data = workers.agree(lambda: training_data(config, whole))
    config = with_classes_of(data, config)
    check_same(workers, config, data)
    config = with_parts(config, run, data.records, workers)
    share = workers.share(config.train.batch_size, config.train.accumulate)
    workers.agree(lambda: check_fits(data, config, training=True))
    evaluation = workers.agree(lambda: _evaluation(config, workers))
    content = workers.agree(lambda: data_content(data, config))
    workers.agree(lambda: _look(data, config, evaluation) if workers.chief else None)
    steps = steps_per_epoch(data, config)
    if evaluation is None and workers.chief:
        _LOG.warning("%s", without_validation(config))
    keras.utils.set_random_seed(config.train.seed)
    with workers.scope():
        model = compiled_model(config, max(steps, 1))
    model.trained_sizes = sizes_of(data.records, NetworkInput.of(config.model.input.model_dump()))
    model.from_run = FromRun(config, trained=True)
    keeper = StateKeeper(run.states, config, steps, workers, content)
    progress = keeper.restore(model) if resume else None
    if progress is None:
        if workers.chief:
            say_long_warmup(config.train, steps)
        workers.agree(lambda: check_start(config) if workers.count > 1 else None)
        workers.agree(lambda: start_weights(model, config))
        note(run, config, model.trained_sizes)
        workers.agree(lambda: _draw_first(data, config, run) if workers.chief else None)
    else:
        say_lengthened(run, config, model)
        keeper.first_saved = lambda: note(run, config, model.trained_sizes)
    last = min(epochs or config.train.epochs, config.train.epochs)
    if progress and (progress["stopped"] or keeper.start[0] >= last):
        return _ended(model, run, config, keeper, progress)
    callbacks = _callbacks(run, config, keeper, progress, evaluation, workers)
    shown = callbacks[-1].shown()
    callbacks = keras.callbacks.CallbackList(
        callbacks, True, False, model, verbose=0, epochs=last, steps=steps
    )
    _LOG.info(
        "%s: %d images, %d steps an epoch, from epoch %d, step %d, to epoch %d of %d",
        *(run.folder, len(data.records), steps, keeper.start[0] + 1, keeper.start[1] + 1),
        *(last, config.train.epochs),
    )
    with keeper.listening(), shown:
        batches = Batches(data, config, workers, share)
        _run_epochs(model, batches, callbacks, keeper, config.train.phases, last)
    if last == config.train.epochs:
        note_finished(run, config)
    return _averaged(model)


def _finished(run: Run, config: Config, workers: Workers) -> MaskRCNN:
    """The model of a run whose states were removed when it was finished."""
    _LOG.info("%s is finished; its best weights are in %s.", run.folder, run.weights)
    if workers.chief:
        config = load_config(run.config)  # whose classes are those of the weights
    model = MaskRCNN(config)
    workers.agree(lambda: load_weights(model, run.weights) if workers.chief else None)
    return model


def _ended(model: MaskRCNN, run: Run, config: Config, keeper: StateKeeper, progress) -> MaskRCNN:
    """The model of a run whose last state is all that it is to train."""
    if progress["stopped"]:
        text = "%s stopped early, at its best epoch %d; train.epochs does not go on with it."
        _LOG.info(text, run.folder, progress["best_epoch"])
    else:
        _LOG.info("%s: all %d epochs are trained.", run.folder, keeper.start[0])
    if progress["stopped"] or keeper.start[0] >= config.train.epochs:
        note_finished(run, config)
    return _averaged(model)


def _look(data: CocoData, config: Config, evaluation: Optional[CocoCallback]) -> None:
    """Say what will be learned wrongly."""
    for line in first_look(data, config, evaluation.records if evaluation else ()):
        _LOG.warning("%s", line)


def _draw_first(data: CocoData, config: Config, run: Run) -> None:
    draw_first_batch(from_records(data, config, training=True), config, run.first_batch)


def _averaged(model: MaskRCNN) -> MaskRCNN:
    """The model with the weights that are evaluated and kept."""
    if model.average:
        model.average.use()
    return model


def compiled_model(config: Config, steps: int) -> MaskRCNN:
    """A model at random weights, ready for epochs of `steps` steps."""
    model, c = MaskRCNN(config), config.train
    model.compile(make_optimizer(c, steps), accumulate=c.accumulate, xla=c.xla, ema=c.ema)
    return model


def _run_epochs(
    model, batches: Batches, callbacks, keeper: StateKeeper, phases: Phases, last: int
) -> None:
    start, step = keeper.start
    steps = keeper.steps if batches.share else None
    pass_phases(model, phases, start, keeper.steps)
    for end in phase_ends(phases, start, last):
        begin_phase(model, phases, start, end, keeper.steps)
        if step:
            _finish_epoch(model, batches, callbacks, keeper)
            start, step = start + 1, 0
            if model.stop_training:
                return
        if start < end:
            _fit(model, batches.starting(start), callbacks, start, end, steps)
            start = end
            if model.stop_training:
                return


def _fit(model: MaskRCNN, dataset, callbacks, start: int, last: int, steps) -> None:
    # The data set shuffles by itself. That of a share of the batches has no end.
    span = {"initial_epoch": start, "epochs": last, "steps_per_epoch": steps}
    model.fit(dataset, callbacks=callbacks, shuffle=False, **span)


def _finish_epoch(model, batches: Batches, callbacks, keeper: StateKeeper) -> None:
    """The rest of the epoch that the last state was saved in."""
    epoch, step = keeper.start
    if step < keeper.steps:
        steps = keeper.steps - step if batches.share else None
        _fit(model, batches.starting(epoch, step), callbacks, epoch, epoch + 1, steps)
        return
    # Trained to its end, but not evaluated.
    model.stop_training = False
    callbacks.on_train_begin()
    callbacks.on_epoch_begin(epoch)
    logs = {name: float(mean.result()) for name, mean in model.loss_means.items()}
    callbacks.on_epoch_end(epoch, logs)


def _check_before(config: Config, run: Run) -> None:
    """Refuse what can be told before anything is read."""
    if config.train.validation_loss and not config.data.val_json:
        raise InputError(
            "train.validation_loss is true, but there is no val split to compute it on; set "
            "data.val_json and data.val_images."
        )
    check_paths(config, run.folder)
    function_of(config)


def _evaluation(config: Config, workers: Workers) -> Optional[CocoCallback]:
    if not config.data.val_json:
        return None
    images = given(config.data.val_images, "data.val_images")
    every, sharing = config.train.evaluate_every, workers if workers.strategy else None
    return CocoCallback(config.data.val_json, images, config, every=every, workers=sharing)


def _callbacks(
    run: Run, config: Config, keeper: StateKeeper, progress, evaluation, workers: Workers
) -> List[keras.callbacks.Callback]:
    losses = None
    if config.train.validation_loss:
        losses = workers.agree(lambda: ValidationLoss(config, evaluation, workers))
    recorder = RunRecorder(run, config, evaluation, keeper, progress)
    speed = Speed(config.train.batch_size)
    board = None
    if config.train.tensorboard:
        board = BoardWriter(run.tensorboard, config, evaluation, keeper, speed)
    display = progress_display(recorder, keeper, speed, bar=workers.chief)
    each = (keeper, evaluation, losses, board, recorder, speed, display)
    return [callback for callback in each if callback is not None]
