"""Writing the SavedModel."""

import contextlib
import os
import shutil
import tempfile
from typing import Iterator, Optional

import tensorflow as tf

from tfmaskrcnn.errors import InputError
from tfmaskrcnn.export.adapted import adapted, adapted_thresholds
from tfmaskrcnn.export.assets import write_assets
from tfmaskrcnn.export.options import ExportOptions
from tfmaskrcnn.export.signatures import Servable
from tfmaskrcnn.inference.score_thresholds import ScoreThresholds
from tfmaskrcnn.model.mask_rcnn import MaskRCNN
from tfmaskrcnn.support.files import refuse_full, writable_folder
from tfmaskrcnn.support.given import A_PATH, takes
from tfmaskrcnn.support.run_folder import removed_if_empty


@takes(model=MaskRCNN, folder=A_PATH, options=ExportOptions, thresholds=ScoreThresholds)
def export_saved_model(
    model: MaskRCNN,
    folder: str,
    options: Optional[ExportOptions] = None,
    thresholds: Optional[ScoreThresholds] = None,
) -> str:
    """Write `model` as a SavedModel that loads and runs without Keras.

    Args:
        model: with the weights to serve.
        folder: must not exist or be empty; for TF Serving its last part is a version number.
        options: classes, thresholds, kind of masks, precision, ...; None changes nothing but the
            precision: what is exported computes in float32, also of a model made for mixed
            precision, unless `ExportOptions.precision` says otherwise.
        thresholds: of the scores of `model`'s classes; those of the exported classes travel with
            it, and with `ExportOptions.apply_thresholds` what is below them is left out.

    It appears in `folder` when it is whole; after an error or Ctrl-C nothing of it is there.

    Returns:
        `folder`. Beside the graph it holds, in `assets`: `config.json`, the configuration with
        class names and category ids; `label_map.pbtxt`; `export.json`, options and versions;
        `thresholds.json` if there are thresholds; `trained_sizes.json`, how large things were in
        training, of a model that comes from a run.

    Raises:
        InputError: `folder` holds something already or cannot be written, or an option or the
            thresholds do not fit the model.
    """
    folder, options = os.fspath(folder), options or ExportOptions()
    refuse_full(folder)
    thresholds = adapted_thresholds(model, options, thresholds)
    sizes = getattr(model, "trained_sizes", None)
    model, described = adapted(model, options)
    with _whole(folder) as unfinished, tempfile.TemporaryDirectory() as temporary:
        servable = Servable(model, options, thresholds if options.apply_thresholds else None)
        paths = write_assets(described, options, temporary, thresholds, sizes)
        servable.assets = {name: tf.saved_model.Asset(path) for name, path in paths.items()}
        try:
            tf.saved_model.save(servable, unfinished, signatures=servable.functions)
        except (OSError, tf.errors.OpError) as error:
            reason = str(error).splitlines()[0]
            raise InputError(f"Cannot write the SavedModel {folder}: {reason}.") from None
    return folder


@contextlib.contextmanager
def _whole(folder: str) -> Iterator[str]:
    """A folder to write into that becomes `folder` when the block ends without an error."""
    if "://" in folder:  # TensorFlow writes to places that Python knows nothing of
        yield folder
        return
    target = os.path.realpath(folder)
    there = os.path.lexists(target)
    with removed_if_empty(os.path.dirname(target)):
        writable_folder(target if there else os.path.dirname(target))  # before graphs are made
        # What is there may be a mounted disk, which cannot be replaced.
        unfinished = f"{os.path.join(target, 'unfinished') if there else target}.{os.getpid()}.tmp"
        try:
            yield unfinished
            if there:
                # The graph comes last: without it the others are no SavedModel.
                for name in sorted(os.listdir(unfinished), key=lambda name: name.endswith(".pb")):
                    os.rename(os.path.join(unfinished, name), os.path.join(target, name))
            else:
                os.rename(unfinished, target)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
