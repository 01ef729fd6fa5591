"""The weights that a new run starts from."""

import logging

from tfmaskrcnn.checkpoints.backbone_weights import load_backbone
from tfmaskrcnn.checkpoints.named_runs import is_published, run_of
from tfmaskrcnn.config.run import Config
from tfmaskrcnn.config.yaml_files import load_config
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.model.mask_rcnn import MaskRCNN
from tfmaskrcnn.model.weights import CLASS_LAYERS, load_weights
from tfmaskrcnn.support import storage
from tfmaskrcnn.support.run_folder import Run
from tfmaskrcnn.support.single_file import is_single_file

_LOG = logging.getLogger(__name__)


def check_start(config: Config) -> None:
    """Refuse a source of weights that is not there, before any worker waits for another."""
    source = config.train.weights
    if source is not None and not storage.exists(source) and not is_published(source):
        raise InputError(f"There is no {source}, which train.weights names.")


def start_weights(model: MaskRCNN, config: Config) -> None:
    """Load what the configuration says a new run starts from."""
    source = config.train.weights
    if source is None:
        load_backbone(model.backbone, config.model.backbone, config.model.input)
        return
    source = run_of(source) if is_published(source) else source
    skip = ()
    if storage.is_folder(source) or is_single_file(source):
        # A class is at home in its own data set: other names, other predictors.
        other = load_config(source).model.class_names
        skip = () if other == config.model.class_names else CLASS_LAYERS
        source = Run(source).weights
    load_weights(model, source, skip)
    if skip:
        _LOG.info("%s has other classes: %s start at random.", source, ", ".join(skip))
