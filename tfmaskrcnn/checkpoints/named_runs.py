"""Published weights by name as run folders, which whatever opens a run takes."""

import logging
import os
import shutil
from typing import Sequence

from tfmaskrcnn.checkpoints.fetching import file_in, weights_folder
from tfmaskrcnn.checkpoints.published import BACKBONES, DETECTORS, meant, published
from tfmaskrcnn.config.run import Config
from tfmaskrcnn.config.yaml_files import load_config, parse_config, split_override
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.support import storage
from tfmaskrcnn.support.files import writable_folder
from tfmaskrcnn.support.folder_lock import locked_folder
from tfmaskrcnn.support.given import A_TEXT, takes
from tfmaskrcnn.support.single_file import SUFFIX

_LOG = logging.getLogger(__name__)
# Below the weights' folder. It counts up when the importers make something else of a file.
_RUN = "run-1"
_LABELS = ("num_classes", "class_names", "category_ids")
# Of the box head: how it is trained, which fits any weights.
_LOSS = ("loss", "focal_gamma", "class_weights")


@takes(name=A_TEXT)
def run_of(name: str) -> str:
    """The run folder of published weights; the file is fetched and imported at first use.

    It lies in the cache and appears whole; a process that finds another one at it waits.

    Raises:
        InputError: there is no such name, it is a backbone alone, or the file cannot be fetched or
            is another one than was published.
    """
    entry, folder = published(name), weights_folder(name)
    if name in BACKBONES:
        raise InputError(
            f"{name} is a backbone without a detector's heads: model.backbone.weights={name} takes "
            "it."
        )
    run = os.path.join(folder, _RUN)
    if os.path.isdir(run):  # renamed when it was whole; the folder need not be writable
        return run
    writable_folder(folder)
    with locked_folder(folder, wait=True):
        if not os.path.isdir(run):
            path = file_in(folder, name)
            _import(path, entry.source, run)
    return run


def model_folder(text: str) -> str:
    """`text`; where nothing lies there and it names published weights, their `run_of`.

    Raises:
        InputError: as `run_of`; or nothing lies there, and it is nearly such a name.
    """
    text = os.fspath(text)
    if is_published(text):
        return run_of(text)
    if os.path.basename(text) != text or storage.exists(text):
        return text
    hint = meant(text)
    if hint:
        raise InputError(
            f"There is neither a folder {text} nor are there weights of that name; {hint} "
            "`tfmaskrcnn weights` lists the names."
        )
    return text


def is_published(text: str) -> bool:
    """Whether `text` names published weights and nothing that lies here is called so."""
    return (text in DETECTORS or text in BACKBONES) and not storage.exists(text)


def with_network_of_weights(config: Config, path: str, overrides: Sequence[str]) -> Config:
    """`config` with the network that `train.weights` names, if that is a published name.

    The weights fit no other network, and want images as they were trained on. How it is trained,
    and on what, stays; so do the classes and what `overrides` say of the model.

    Args:
        config: the whole configuration.
        path: what it was read from. The network of a run is left as it is.
        overrides: the `"key=value"` changes that are part of it.

    Raises:
        InputError: as `run_of`.
    """
    name = config.train.weights
    of_run = storage.is_folder(path) or path.endswith((".json", SUFFIX))
    if name is None or of_run or not is_published(name):
        return config
    theirs = load_config(run_of(name)).model
    network = {key: v for key, v in theirs.model_dump().items() if key not in _LABELS}
    if theirs.roi.sampling_ratio == 0:  # Detectron2's, which has no gradient
        network["roi"]["sampling_ratio"] = 2
    network["box_head"].update((key, getattr(config.model.box_head, key)) for key in _LOSS)
    chosen = config.model.model_fields_set & set(_LABELS)
    network.update((key, getattr(config.model, key)) for key in chosen)
    own = [text for text in overrides if split_override(text)[0][0] == "model"]
    model = parse_config({"model": network}, own, name).model
    _LOG.info(
        "train.weights=%s: the network is that of these weights (%s, images of %d to %d pixels); "
        "of other settings of the model those of --set count.",
        *(name, model.backbone.name, model.input.min_side, model.input.max_side),
    )
    return config.model_copy(update={"model": model})


def _import(path: str, source: str, run: str) -> None:
    """Make a run folder of a file, which appears whole."""
    from tfmaskrcnn.checkpoints.importing import import_weights

    temporary = f"{run}.tmp"  # whoever made it and was killed had the lock that we have
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        import_weights(path, source, temporary)
        os.rename(temporary, run)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
