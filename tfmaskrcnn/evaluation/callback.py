"""COCO numbers in the logs of `model.fit`."""

import contextlib
import json
import logging
import zlib
from typing import Dict, Optional, Tuple

import keras

from tfmaskrcnn.config.run import Config
from tfmaskrcnn.data.coco.data_classes import DataClasses
from tfmaskrcnn.data.coco.records import limited
from tfmaskrcnn.data.coco.renumbering import as_classes
from tfmaskrcnn.evaluation.coco_evaluator import CocoEvaluator
from tfmaskrcnn.evaluation.coco_result import CocoResult
from tfmaskrcnn.evaluation.ground_truth import GroundTruthFile
from tfmaskrcnn.evaluation.runner import Predictor, add_predictions, as_predictor
from tfmaskrcnn.inference.tiling.tile_plan import TileOptions
from tfmaskrcnn.inference.tiling.tiled_prediction import tiled_predictor
from tfmaskrcnn.support.given import A_FOLDER, A_PATH, takes
from tfmaskrcnn.support.progress_bar import Progress

_LOG = logging.getLogger(__name__)
_LOGGED = ("ap", "ap50", "ap75")  # more would drown the loss on Keras' line


class CocoCallback(keras.callbacks.Callback):
    """Evaluates `model.predict_images` on a data set at the end of epochs.

    The logs get `val_mask_ap`, `val_mask_ap50`, `val_mask_ap75` and the same for `box` and
    `keypoint`, by the heads that the model has, so that callbacks after this one can use them:
    `ModelCheckpoint("best.keras", monitor="val_mask_ap", mode="max", save_best_only=True)`,
    `EarlyStopping`, `CSVLogger`. An epoch without evaluation has the last evaluation's numbers
    again (0 before the first one), because a key that comes and goes breaks `CSVLogger` and a NaN
    breaks comparisons; a repeated number is never an improvement.
    """

    @takes(json_path=A_PATH, image_dir=A_FOLDER, config=Config)
    def __init__(
        self,
        json_path: str,
        image_dir: str,
        config: Optional[Config] = None,
        prefix: str = "val_",
        every: int = 1,
        workers=None,
        tiles: Optional[TileOptions] = None,
    ):
        """Read the data set.

        Args:
            json_path: COCO instance JSON.
            image_dir: the folder that its file names start from.
            config: its `evaluation` section, heads, class names, `data.classes` and `data.limit`
                are used.
            prefix: of the keys in the logs.
            every: evaluate after each so many epochs, and after the last.
            workers: a `train.distribution.Workers` that share the images; None for this process
                and device alone.
            tiles: how large images are seen; None as a whole. "auto" decides by the sizes that a
                run has trained on (`MaskRCNN.trained_sizes`).

        Raises:
            InputError: the data set is wrong, or has other classes than `config`.
        """
        super().__init__()
        self.config = config or Config()
        if every < 1:
            raise ValueError(f"every is {every}, wanted a number of epochs above 0.")
        self.prefix, self.every, self._workers = prefix, every, workers
        self.results: Dict[int, CocoResult] = {}  # by epoch, counted from 1 as Keras prints it
        masks = config is not None and config.model.mask_head.enabled  # then boxes do not suffice
        skip, keypoints = self.config.data.skip_invalid, self.config.model.keypoint_head
        wanted = DataClasses.of(self.config.data.classes, complete=False)
        truth = GroundTruthFile(json_path, image_dir, skip, masks, keypoints, wanted)
        limits, names = self.config.evaluation.max_detections, self.config.model.class_names
        data = limited(truth.data, self.config.data.limit)
        self.records = as_classes(data, names).records  # as the model counts, to be drawn
        sigmas = self.config.model.keypoint_head.sigmas
        self._evaluator = CocoEvaluator(truth, limits, names, sigmas)
        self._logged: Dict[str, float] = {}
        self.progress: Optional[Progress] = None  # told of the images done
        self._predict: Optional[Predictor] = None  # of the workers
        self._tiles = (tiles or TileOptions("none")).checked()

    def on_epoch_end(self, epoch, logs=None):
        """Evaluate if it is time, and add the numbers to `logs`."""
        epoch += 1
        if not self._logged:
            self._logged = dict.fromkeys(self._keys(), 0.0)
        if epoch % self.every == 0 or epoch == self.params.get("epochs"):
            result = self.evaluate()
            self.results[epoch] = result
            numbers = result.as_logs(self.prefix)
            # A model that found nothing at all found no keypoints either.
            self._logged = {key: numbers.get(key, 0.0) for key in self._logged}
            _LOG.debug("Epoch %d: %s", epoch, self._logged)
        if logs is not None:
            logs.update(self._logged)

    def evaluate(self) -> CocoResult:
        """COCO's numbers of the model as it is now, of its average if it keeps one."""
        self._evaluator.reset()
        batch_size = self.config.evaluation.batch_size
        reading = self.config.model.input.channels, self.config.model.input.exif
        with getattr(self.model, "averaged", contextlib.nullcontext)():
            if self._workers is None:
                predict = tiled_predictor(as_predictor(self.model), self.model, self._tiles)
                parts = (self.records, batch_size, self.progress, reading)
                add_predictions(self._evaluator, predict, *parts)
            else:
                self._evaluate_together(batch_size, reading)
        return self._evaluator.result()

    def _evaluate_together(self, batch_size: int, reading: Tuple[int, str]) -> None:
        """Of several workers each finds the objects of its images; all get what all have found."""
        workers, evaluator, records = self._workers, self._evaluator, self.records
        group = batch_size * workers.local_replicas
        own = [records[i : i + group] for i in range(0, len(records), group)]
        own = [record for part in own[workers.index :: workers.count] for record in part]
        if self._predict is None:  # it is traced once
            predict = workers.predictor(self.model, batch_size)
            self._predict = tiled_predictor(predict, self.model, self._tiles)
        parts = (own, group, self.progress, reading)
        workers.agree(lambda: add_predictions(evaluator, self._predict, *parts))
        found = zlib.compress(json.dumps(evaluator.collected()).encode())
        parts = [json.loads(zlib.decompress(part)) for part in workers.gather(found)]
        evaluator.merge(parts, [record.image_id for record in records])

    def _keys(self):
        """The names of what is logged."""
        has_masks = getattr(self.model, "mask_head", True) is not None
        kinds = ("mask", "box") if has_masks else ("box",)
        kinds += ("keypoint",) if self.config.model.keypoint_head.enabled else ()
        return [f"{self.prefix}{kind}_{name}" for kind in kinds for name in _LOGGED]
