"""What a prediction on many images is asked for."""

import hashlib
import json
import numbers
import os
from typing import Any, Dict, NamedTuple, Optional, Sequence, Tuple, Union

from tfmaskrcnn.config.run import Config
from tfmaskrcnn.drawing.drawing_style import DrawingStyle, checked_style
from tfmaskrcnn.errors import InputError, quoted
from tfmaskrcnn.inference.journal import plain
from tfmaskrcnn.inference.runtimes.file_about import is_model_file
from tfmaskrcnn.inference.runtimes.host_nms import part_paths
from tfmaskrcnn.inference.score_thresholds import weights_digest
from tfmaskrcnn.inference.tiling.tile_plan import TileOptions
from tfmaskrcnn.results.result_formats import FORMATS, writer
from tfmaskrcnn.support.files import open_regular
from tfmaskrcnn.support.run_folder import Run
from tfmaskrcnn.support.single_file import exists

# What `save` may name besides the formats of `results.result_formats`.
PICTURES, NONE = "pictures", "none"
LABEL_FORMATS = ("png", "tiff")
# Neither changes what is written for an image: how images are found, and what the journal keeps by
# itself.
_OF_INPUTS = ("recursive", "ids_from", "resume", "model")


def _is_whole(value: Any) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool) and value >= 1


def _is_within(value: Any, high: float) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and 0 <= value <= high


def _is_shard(value: Any) -> bool:
    pair = isinstance(value, (tuple, list)) and len(value) == 2 and all(map(_is_whole, value))
    return pair and value[0] <= value[1]


def _is_path(value: Any) -> bool:
    return isinstance(value, (str, os.PathLike))


# What values may be, and how that is said.
_KINDS = {
    "threshold": (lambda v: v is None or _is_within(v, 1), "a number from 0 to 1"),
    "tolerance": (lambda v: _is_within(v, 1e6), "a number of pixels, 0 or more"),
    "every": (_is_whole, "a whole number above 0"),
    "only_uncertain": (lambda v: v is None or _is_whole(v), "a whole number above 0"),
    "shard": (lambda v: v is None or _is_shard(v), "I/N, in Python (I, N), I from 1 to N"),
    "save": (lambda v: isinstance(v, (tuple, list)), "a tuple of names, such as ('coco',)"),
    "style": (lambda v: isinstance(v, DrawingStyle), "a DrawingStyle"),
    "ids_from": (lambda v: v is None or _is_path(v), "a path"),
    "video": (lambda v: v is None or _is_path(v), "a path"),
}


class PredictionOptions(NamedTuple):
    """Options of `predict_files`; those of the command `predict` have the same names."""

    # Lowest score that is chosen, for all but `results.json`. None takes the model's own
    # thresholds, 0.5 where it has none.
    threshold: Optional[float] = None
    batch_size: int = 1  # images that go through the network together
    recursive: bool = False  # folders within folders too
    ids_from: Optional[str] = None  # a COCO JSON with the images' ids and file names
    shard: Optional[Tuple[int, int]] = None  # (I, N): the I-th of N parts of the list, from 1
    resume: bool = False  # go on with what the output folder holds
    save: Tuple[str, ...] = (PICTURES,)
    measure: bool = False  # objects.csv and counts.csv
    pixel_size: Optional[str] = None  # such as "0.32um"
    tile: Union[str, int] = "auto"  # or "none", or the side of a tile in pixels
    overlap: Optional[int] = None  # of tiles, pixels
    only_uncertain: Optional[int] = None  # save the N images most worth labelling alone
    every: int = 1  # frame of a video
    video: Optional[str] = None  # a file for the drawn frames
    style: DrawingStyle = DrawingStyle()
    tolerance: float = 0.5  # pixels by which a polygon may leave its mask
    label_format: str = "png"  # or "tiff"
    model: str = ""  # of `model_digest`: a prediction goes on with the same model alone

    @property
    def formats(self) -> Tuple[str, ...]:
        """What is saved of `FORMATS`, each once."""
        return tuple(dict.fromkeys(name for name in self.save if name in FORMATS))

    @property
    def pictures(self) -> bool:
        """Whether a picture is drawn of each image."""
        return PICTURES in self.save

    def settings(self) -> Dict[str, Any]:
        """What decides about the files of an image, of JSON's types."""
        found = {name: v for name, v in self._asdict().items() if name not in _OF_INPUTS}
        return json.loads(json.dumps({**found, "style": self.style._asdict()}, default=plain))


def checked_options(options: PredictionOptions) -> PredictionOptions:
    """`options` themselves, before anything takes time.

    Raises:
        InputError: a value is none that can be used, or a package that it needs is not installed.
    """
    _check_kinds(options)
    allowed = (PICTURES, NONE, *FORMATS)
    for name in options.save:
        if name not in allowed:
            raise InputError(f"--save is {quoted(name)}; wanted {', '.join(allowed)}.")
    if NONE in options.save and len(set(options.save)) > 1:
        raise InputError("--save none and other formats are asked for; wanted one of the two.")
    for name in options.formats:
        writer(name)
    if options.label_format not in LABEL_FORMATS:
        raise InputError(f"--label-format is {quoted(options.label_format)}; wanted png or tiff.")
    if options.pixel_size and not options.measure:
        raise InputError("--pixel-size is the unit of --measure; give both.")
    if options.measure:
        from tfmaskrcnn.results.measuring import check_installed
        from tfmaskrcnn.support.pixel_size import read_pixel_size

        check_installed()
        if options.pixel_size is not None:
            read_pixel_size(options.pixel_size)
    TileOptions(options.tile, options.overlap, options.batch_size).checked()
    checked_style(options.style)
    return options


def _check_kinds(options: PredictionOptions) -> None:
    """Raise if a value is none that the command line lets through."""
    for name, (fits, wanted) in _KINDS.items():
        value = getattr(options, name)
        if not fits(value):
            option = name.replace("_", "-")
            raise InputError(f"--{option} is {quoted(value)}; wanted {wanted}.")


def model_digest(
    folder: str,
    config: Optional[Config],
    tta: Optional[Sequence[str]] = None,
    runtime: Optional[str] = None,
) -> str:
    """16 hexadecimal digits for a model, the settings it is used with and its thresholds.

    Args:
        folder: a run or an exported model.
        config: what `opening.check_model` gives for it.
        tta, runtime: of `augmented.open_augmented`.
    """
    parts = [repr(tta), *([runtime] if runtime else [])]
    if config is not None:
        run = Run(folder)
        parts += [config.model.model_dump_json(), weights_digest(run.weights)]
        files = [run.thresholds]
    elif is_model_file(folder):
        files = part_paths(folder)  # which are one file but for `--nms host`
    else:
        inside = ("saved_model.pb", "variables/variables.index", "assets/config.json")
        files = [os.path.join(folder, name) for name in (*inside, "assets/thresholds.json")]
    parts += [_file_digest(path) for path in files]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _file_digest(path: str) -> str:
    if not exists(path):
        return ""
    with open_regular(path) as file:
        return hashlib.sha256(file.read()).hexdigest()
