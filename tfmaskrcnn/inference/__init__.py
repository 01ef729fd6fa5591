"""Trained models in use: run folders and exported models opened alike, images in, results out."""

from typing import TYPE_CHECKING

from tfmaskrcnn.support.lazy import on_use

if TYPE_CHECKING:
    from tfmaskrcnn.inference import (
        augmented,
        description,
        exported,
        opening,
        prediction_files,
        score_thresholds,
    )
    from tfmaskrcnn.inference.description import describe
    from tfmaskrcnn.inference.exported import saved_model_predictor
    from tfmaskrcnn.inference.loading import load
    from tfmaskrcnn.inference.opened_model import OpenedModel
    from tfmaskrcnn.inference.opening import Source, open_source
    from tfmaskrcnn.inference.packing import save
    from tfmaskrcnn.inference.prediction_files import find_images, predict_all, predict_files
    from tfmaskrcnn.inference.prediction_options import PredictionOptions
    from tfmaskrcnn.inference.score_thresholds import ScoreThresholds
    from tfmaskrcnn.inference.tracking import Tracker
    from tfmaskrcnn.inference.video import VideoFrames
    from tfmaskrcnn.inference.video_writer import VideoWriter

__all__ = [
    "OpenedModel",
    "PredictionOptions",
    "ScoreThresholds",
    "Source",
    "Tracker",
    "VideoFrames",
    "VideoWriter",
    "augmented",
    "describe",
    "description",
    "exported",
    "find_images",
    "load",
    "open_source",
    "opening",
    "predict_all",
    "predict_files",
    "prediction_files",
    "save",
    "saved_model_predictor",
    "score_thresholds",
]

__getattr__, __dir__ = on_use(
    __name__,
    {
        "PredictionOptions": "prediction_options:PredictionOptions",
        "ScoreThresholds": "score_thresholds:ScoreThresholds",
        "Source": "opening:Source",
        "Tracker": "tracking:Tracker",
        "VideoFrames": "video:VideoFrames",
        "VideoWriter": "video_writer:VideoWriter",
        "OpenedModel": "opened_model:OpenedModel",
        "load": "loading:load",
        "save": "packing:save",
        "open_source": "opening:open_source",
        "describe": "description:describe",
        "find_images": "prediction_files:find_images",
        "predict_all": "prediction_files:predict_all",
        "predict_files": "prediction_files:predict_files",
        "saved_model_predictor": "exported:saved_model_predictor",
        "augmented": "augmented",
        "description": "description",
        "exported": "exported",
        "opening": "opening",
        "prediction_files": "prediction_files",
        "score_thresholds": "score_thresholds",
    },
)
