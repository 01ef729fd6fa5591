"""A configuration with what it leaves open chosen from its data, once a run."""

import json
import logging
from typing import Iterable, List, Optional

from tfmaskrcnn.config.run import Config
from tfmaskrcnn.config.yaml_files import is_set, load_config, override, value_of
from tfmaskrcnn.data.coco.records import CocoData
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.support import storage
from tfmaskrcnn.support.given import takes
from tfmaskrcnn.support.run_folder import Run
from tfmaskrcnn.support.shown_log import log_shown
from tfmaskrcnn.train.auto.choosing import Choice, choices, open_keys, settings_of
from tfmaskrcnn.train.auto.facts import Machine, facts_of
from tfmaskrcnn.train.distribution import Workers
from tfmaskrcnn.train.saving import states_in
from tfmaskrcnn.train.splits import whole_training_data

_LOG = logging.getLogger(__name__)


@takes(config=Config)
def auto_config(
    config: Config, data: Optional[CocoData] = None, machine: Optional[Machine] = None
) -> Config:
    """`config` with anchors, input size, epochs, rate, batch and limits chosen from its data.

    What a file or a `--set` has set stays. The log gets a line a setting, with the reason. A second
    call finds nothing to choose.

    Args:
        config: the whole configuration, such as `load_config("auto", ["data.train_json=..."])`; of
            one read from a run's folder everything is set.
        data: its train split, if that was read.
        machine: what it is to be trained on; None is this one with a device.

    Raises:
        InputError: the data are not set or wrong.
    """
    if not any(open_keys(config)):
        return config
    data = whole_training_data(config) if data is None else data
    made = choices(facts_of(data, config.model.input), config, machine or Machine.here())
    lines = _lines(data, made)
    with log_shown():
        for line in lines:
            _LOG.info("%s", line)
    config = override(config, settings_of(made))
    config = override(config, _as_in(config, open_keys(config)))  # what no rule had to say of
    config._choices = tuple(lines)
    return config


def settled(config: Config) -> Config:
    """`auto_config` where `train.auto` asks for it, else `config` as it is."""
    return auto_config(config) if config.train.auto else config


def chosen(config: Config, data: CocoData, workers: Workers) -> Config:
    """`settled` with the train split at hand; all workers take what the first one chooses."""
    if not config.train.auto:
        return config
    machine = Machine.here(workers.replicas, workers.local_replicas)
    made = workers.agree(lambda: auto_config(config, data, machine) if workers.chief else config)
    return _agreed(config, made, workers)


def taken_up(config: Config, run: Run, resume: bool, workers: Workers) -> Config:
    """`config` with what was chosen when the run began, if it is to go on and `train.auto` is set.

    Its data may lie elsewhere by now, and rules of another version may choose otherwise.
    """
    if not (config.train.auto and resume):
        return config
    return _agreed(config, workers.agree(lambda: _as_before(config, run)), workers)


def _as_before(config: Config, run: Run) -> Config:
    began = states_in(run.states) or storage.exists(run.weights)
    keys = list(open_keys(config))
    if not (keys and began and storage.is_file(run.config)):
        return config
    try:
        before = load_config(run.config)
    except InputError:  # damaged; the states say whether what is chosen anew is the same
        return config
    _LOG.info("%s: goes on with what was chosen from the data at its start.", run.folder)
    return override(config, _as_in(before, keys))


def _agreed(config: Config, made: Config, workers: Workers) -> Config:
    """`made` of the first worker, of which the others know the `config` that it began as."""
    keys = [key for key in open_keys(config) if is_set(made, key)]
    told = json.loads(workers.broadcast(json.dumps(_as_in(made, keys)).encode()))
    return made if workers.chief else override(config, told)


def _as_in(config: Config, keys: Iterable[str]) -> List[str]:
    """The values that these keys have in `config`, as `--set` takes them."""
    return [f"{key}={json.dumps(value_of(config, key))}" for key in keys]


def _lines(data: CocoData, made: List[Choice]) -> List[str]:
    images, objects = len(data.records), sum(len(r.classes) for r in data.records)
    first = f"Chosen from {images:,} images with {objects:,} objects (--set KEY=VALUE wins):"
    return [first, *(f"  {choice.line()}" for choice in made)]
