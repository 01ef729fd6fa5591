"""The paths that a configuration names: found, also from where a run was trained, or told apart."""

import os
from typing import Callable, Dict, Iterator, List, Optional, Tuple

from tfmaskrcnn.config.run import Config
from tfmaskrcnn.errors import InputError, quoted
from tfmaskrcnn.support import storage
from tfmaskrcnn.support.run_folder import read_origin

# Keys of `data` -> what they name, and whether it is there.
_KINDS: Dict[str, Tuple[str, Callable]] = {
    "train_json": ("file", storage.is_file),
    "train_images": ("folder", storage.is_folder),
    "train_tfrecord": ("file", storage.matching),
    "val_json": ("file", storage.is_file),
    "val_images": ("folder", storage.is_folder),
}


def with_paths_found(config: Config, *folders: str) -> Config:
    """`config` with its relative paths of data found from where one of the runs was trained.

    A path that is there from the current folder stays, and so does one that is found nowhere.

    Args:
        config: the whole configuration.
        folders: of runs, which have noted where they were trained.
    """
    found = {}
    for key, path, is_there in _missing(config):
        for place in _places(folders):
            if not storage.is_absolute(path) and is_there(os.path.join(place, path)):
                found[key] = os.path.join(place, path)
                break
    return config.model_copy(update={"data": config.data.model_copy(update=found)})


def check_paths(config: Config, *folders: str) -> None:
    """Refuse paths of data that do not exist, without reading anything.

    Raises:
        InputError: one is missing; the sentence names where it was looked for.
    """
    for key, path, _ in _missing(config):
        raise InputError(
            f"There is no {_KINDS[key][0]} {quoted(path, 150)}, which data.{key} names"
            f"{looked_for(path, *folders)}; give its place with --set data.{key}=PATH."
        )


def looked_for(path: str, *folders: str) -> str:
    """Where else than in the current folder a missing path was looked for; empty if nowhere."""
    places = [] if storage.is_absolute(path) else _places(folders)
    places = [place for place in places if os.path.realpath(place) != os.path.realpath(".")]
    if not places:
        return ""
    return f" (neither here nor in {quoted(places[0], 120)}, where the run was trained)"


def _missing(config: Config) -> Iterator[Tuple[str, str, Callable]]:
    """Key of `data`, path, and how one sees whether it is there, of those that are not."""
    for key, (_, is_there) in _KINDS.items():
        path: Optional[str] = getattr(config.data, key)
        if path and not is_there(path):
            yield key, path, is_there


def _places(folders: Tuple[str, ...]) -> List[str]:
    folders = [os.path.dirname(f) if f.endswith(".json") else f for f in map(os.fspath, folders)]
    origins = map(read_origin, folders)
    return list(dict.fromkeys(origin.folder for origin in origins if origin))
