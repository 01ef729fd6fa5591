"""How a run begins in its folder, or goes on there: what is refused, noted and said."""

import csv
import io
import logging
import os
from typing import Optional, Sequence, Union

from tfmaskrcnn import compat
from tfmaskrcnn.checkpoints.training_config import training_config
from tfmaskrcnn.config.run import Config, TrainConfig
from tfmaskrcnn.config.run_paths import with_paths_found
from tfmaskrcnn.config.yaml_files import load_config, override, save_config
from tfmaskrcnn.errors import InputError, quoted
from tfmaskrcnn.inference.trained_sizes import TrainedSizes, save_for_run
from tfmaskrcnn.support import storage
from tfmaskrcnn.support.files import read_text, replaced
from tfmaskrcnn.support.run_folder import Origin, Run, read_origin, write_origin
from tfmaskrcnn.train.saving import states_in

_LOG = logging.getLogger(__name__)
_LONG_WARMUP = 0.1  # share of a run


def config_of(given: Union[str, Config], folder: str, overrides: Sequence[str] = ()) -> Config:
    """The configuration of a run in `folder`, of what somebody gave for it.

    Raises:
        InputError: it is none, or names what is not there.
    """
    if isinstance(given, (str, os.PathLike)):
        return training_config(given, folder, overrides)
    if not isinstance(given, Config):
        raise InputError(
            f"config is {quoted(given)}; wanted a Config, or what load_config reads: a name such "
            "as 'finetune', a YAML file, a run folder."
        )
    return with_paths_found(override(given, overrides) if overrides else given, folder)


def finished_without_states(run: Run, config: Config, resume: bool) -> bool:
    """Whether all is trained that `config` asks for, though there is no state to say so.

    Raises:
        InputError: nothing may begin in the folder, or go on.
    """
    states = states_in(run.states)
    if states and not resume:
        raise InputError(
            f"{run.folder} already holds a run; go on with it (--resume) or choose another folder."
        )
    if states:
        return False
    trained, origin = _epochs_recorded(run), read_origin(run.folder)
    if not storage.exists(run.weights):
        return False
    anew = f"choose another folder (and train.weights={run.folder} to start from these weights)."
    if not resume or not trained:  # a run writes its history before its weights: imported, perhaps
        raise InputError(f"{run.folder} holds weights.npz, which the run would replace; {anew}")
    planned = origin.finished if origin else _planned(run, trained)
    if planned is None and trained == 1:
        _LOG.info("%s: stopped before its first state was saved; it begins anew.", run.folder)
        return False
    if planned is None or config.train.epochs > planned:
        raise InputError(
            f"{run.folder} has trained {trained} epochs, but its states are gone, without which it "
            f"cannot go on; {anew}"
        )
    return True


def note(run: Run, config: Config, sizes: Optional[TrainedSizes] = None) -> None:
    """Write the configuration, from where its relative paths start, and how large things are."""
    save_config(config, run.config)
    if config._choices:
        with replaced(run.choices, "w") as file:
            file.write("\n".join(config._choices) + "\n")
    save_for_run(sizes, run.folder)
    write_origin(run.folder, Origin(os.getcwd()))


def without_validation(config: Config) -> str:
    """What becomes of a run that has no val split, in a sentence; empty if it has one."""
    if config.data.val_json:
        return ""
    patience = config.train.early_stop
    idle = f", and train.early_stop={patience} stops nothing" if patience else ""
    missing = "data.val_json, though there is data.val_images"
    if not config.data.val_images:
        missing = "data.val_json, data.val_images"
    return (
        f"No val split is given ({missing}): nothing is evaluated, the weights "
        f"kept are those of the last epoch and not of the best{idle}; `tfmaskrcnn split JSON` "
        "makes one of a set's own images."
    )


def long_warmup(train: TrainConfig, steps: int) -> str:
    """A sentence if the warm-up takes much of a run with `steps` steps an epoch; else empty."""
    warmup, whole = train.schedule.warmup_steps, steps * train.epochs
    usual = max(1, round(_LONG_WARMUP * whole))
    if train.schedule.kind == "ramp" or not whole or warmup <= usual:
        return ""
    reached = ""
    if warmup >= whole:
        reached = ", so that train.learning_rate is never reached"
    return (
        f"The warm-up has {warmup} steps, the run {whole}{reached}; a tenth is usual: "
        f"train.schedule.warmup_steps={usual}, or more epochs."
    )


def say_long_warmup(train: TrainConfig, steps: int) -> None:
    """Warn of what `long_warmup` finds."""
    caution = long_warmup(train, steps)
    if caution:
        _LOG.warning("%s", caution)


def note_finished(run: Run, config: Config) -> None:
    """Write that all epochs are trained, so that the states may be removed."""
    origin = read_origin(run.folder) or Origin(os.getcwd())
    if origin.finished != config.train.epochs:
        write_origin(run.folder, origin._replace(finished=config.train.epochs))


def say_lengthened(run: Run, config: Config, model) -> None:
    """Say what becomes of the learning rate where `train.epochs` is another than it was."""
    try:
        before = load_config(run.config).train.epochs
    except InputError:  # the file is gone or damaged; the states are what counts
        return
    if before == config.train.epochs:
        return
    kind = config.train.schedule.kind
    about = "stays as it is"
    if kind != "constant":
        rate = compat.learning_rate(model.optimizer)
        about = f"goes by {kind!r} over the new length, and on at {rate:.3g}"
    _LOG.warning(
        "%s: train.epochs was %d and is %d; the learning rate %s.",
        *(run.folder, before, config.train.epochs, about),
    )


def _epochs_recorded(run: Run) -> int:
    """Rows of the run's history; 0 if there is none."""
    try:
        return sum(1 for _ in csv.DictReader(io.StringIO(read_text(run.history))))
    except (ValueError, csv.Error):
        return 0


def _planned(run: Run, trained: int):
    """`train.epochs` of a run older than `Origin`, None unless they are all trained."""
    try:
        epochs = load_config(run.config).train.epochs
    except InputError:
        return None
    return epochs if 1 < epochs <= trained else None
