"""Writing the SavedModel."""

import os
import tempfile
from typing import Optional

import tensorflow as tf

from tfmaskrcnn.errors import InputError
from tfmaskrcnn.export.adapted import adapted, adapted_thresholds
from tfmaskrcnn.export.assets import write_assets
from tfmaskrcnn.export.options import ExportOptions
from tfmaskrcnn.export.signatures import Servable
from tfmaskrcnn.inference.score_thresholds import ScoreThresholds
from tfmaskrcnn.model.mask_rcnn import MaskRCNN
from tfmaskrcnn.support.files import writable_folder


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

    Returns:
        `folder`. Beside the graph it holds, in `assets`: `config.json`, the configuration with
        class names and category ids; `label_map.pbtxt`; `export.json`, options and versions;
        `thresholds.json` if there are thresholds.

    Raises:
        InputError: `folder` holds something already or cannot be written, or an option or the
            thresholds do not fit the model.
    """
    folder, options = os.fspath(folder), options or ExportOptions()
    if os.path.isdir(folder) and os.listdir(folder):
        raise InputError(f"{folder} is not empty; choose a new folder, such as the next version.")
    thresholds = adapted_thresholds(model, options, thresholds)
    model, described = adapted(model, options)
    if "://" not in folder:  # TensorFlow writes to places that Python knows nothing of
        writable_folder(folder)  # before the graphs are made
    servable = Servable(model, options, thresholds if options.apply_thresholds else None)
    with tempfile.TemporaryDirectory() as temporary:
        paths = write_assets(described, options, temporary, thresholds)
        servable.assets = {name: tf.saved_model.Asset(path) for name, path in paths.items()}
        try:
            tf.saved_model.save(servable, folder, signatures=servable.functions)
        except (OSError, tf.errors.OpError) as error:
            reason = str(error).splitlines()[0]
            raise InputError(f"Cannot write the SavedModel {folder}: {reason}.") from None
    return folder
