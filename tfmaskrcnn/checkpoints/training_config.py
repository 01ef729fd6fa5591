"""The configuration of a training as the command line and `mr.train.train` make it; no TensorFlow.

Read, its paths found and checked, the code that it names asked for, its network that of published
weights it starts from.
"""

import os
from typing import List, Optional, Sequence

from tfmaskrcnn.checkpoints.named_runs import with_network_of_weights
from tfmaskrcnn.config.run import Config
from tfmaskrcnn.config.run_paths import check_paths, with_paths_found
from tfmaskrcnn.config.trust import check_code
from tfmaskrcnn.config.yaml_files import load_config


def training_config(
    path: str,
    folder: str,
    overrides: Sequence[str] = (),
    trust_code: bool = False,
    limit: Optional[int] = None,
) -> Config:
    """The configuration of a run in `folder`.

    Args:
        path: what `load_config` reads: a name, a YAML file, a run.
        folder: of the run that begins or goes on.
        overrides: `"key=value"` changes.
        trust_code: see `load_config`.
        limit: for a trial: two epochs on so many images of each split, evaluated after each.

    Raises:
        InputError: it cannot be read, or a path that it names is not there.
    """
    path, overrides = os.fspath(path), list(overrides)
    config = load_config(path, overrides, trust_code)
    if limit:
        overrides += _trial(config, limit)
        config = load_config(path, overrides, trust_code)
    config = with_paths_found(config, path, folder)
    check_paths(config, path, folder)
    check_code(config)
    return with_network_of_weights(config, path, overrides)


def _trial(config: Config, limit: int) -> List[str]:
    """Overrides that make a run short, but leave out nothing that a long one does."""
    images = max(limit, config.train.batch_size)
    epochs = min(2, config.train.epochs)
    return [f"data.limit={images}", f"train.epochs={epochs}", "train.evaluate_every=1"]
