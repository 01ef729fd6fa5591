"""From a list of pictures to their results, so that nothing is lost on the way."""

import contextlib
import dataclasses
import hashlib
import json
import logging
import os
from types import MappingProxyType
from typing import Callable, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np

from tfmaskrcnn.errors import InputError
from tfmaskrcnn.inference.clip_results import ClipResults
from tfmaskrcnn.inference.image_sources import Picture
from tfmaskrcnn.inference.journal import NAME as JOURNAL
from tfmaskrcnn.inference.journal import Journal
from tfmaskrcnn.inference.journal_records import record_of, with_rle
from tfmaskrcnn.inference.looking import Look, Looker, Pixels, reason
from tfmaskrcnn.inference.opening import Source
from tfmaskrcnn.inference.prediction_options import PredictionOptions
from tfmaskrcnn.inference.prediction_outputs import Outputs
from tfmaskrcnn.inference.score_thresholds import limits_of
from tfmaskrcnn.inference.tiling.tile_plan import TileOptions
from tfmaskrcnn.instances import Instances
from tfmaskrcnn.results.uncertainty import most_uncertain, uncertainty
from tfmaskrcnn.support.files import is_full, remove_leftovers, writable_folder
from tfmaskrcnn.support.folder_lock import locked_folder
from tfmaskrcnn.support.progress_bar import progress_bars
from tfmaskrcnn.support.storage import on_this_machine

_LOG = logging.getLogger(__name__)
# The score from which on each of a picture's objects is chosen: one for all, or [D].
Limits = Callable[[Instances], Union[float, np.ndarray]]


class Outcome(NamedTuple):
    """What has become of a prediction."""

    results: str  # path of `results.json`
    images: int  # that were looked at, of this and former times
    detections: int
    failed: Tuple[Tuple[str, str], ...] = ()  # (name, reason) of those that could not be
    objects: int = 0  # detections at or above their thresholds
    written: Mapping[str, str] = MappingProxyType({})  # from "results", "coco", ... to its place


def run(
    source: Source, pictures: Sequence[Picture], folder: str, options: PredictionOptions
) -> Outcome:
    """Predict on `pictures` (the whole list, whatever the shard) and write into `folder`.

    What is found in an image is in the journal as soon as its own files are written; the files of
    all images are made of the journal, now and then, at the end, and whatever stops the run.

    Raises:
        InputError: `folder` is in use or holds another prediction; or it cannot be written.
        KeyboardInterrupt: of Ctrl-C, with a sentence on what is kept.
    """
    part = of_shard(pictures, options.shard)
    count = ahead = sum(not _is_end(picture) for picture in part)
    limits = _limits(source, options.threshold)
    with contextlib.ExitStack() as stack:
        stack.enter_context(locked_folder(writable_folder(on_this_machine(folder))))
        header = journal_header(part, options)
        before = os.path.exists(os.path.join(folder, JOURNAL))
        journal = stack.enter_context(Journal(folder, header, options.resume))
        outputs = Outputs(folder, options, part, source.class_names, source.category_ids)
        if before:  # a time before may have been killed
            _remove_leftovers(folder)
        if journal.resumed:
            _LOG.info("%d of %d images are done already.", journal.resumed, count)
        bars = progress_bars("predicting", "tiles")
        with _kept(journal, outputs, count), bars as (progress, tick):
            tiles = TileOptions(options.tile, options.overlap, options.batch_size)
            clips = stack.enter_context(ClipResults(options.video, part))
            work = _Work(Looker(source, tiles, tick), options, journal, outputs, clips, limits)
            progress(0, count)
            for start in range(0, len(part), options.batch_size):
                chunk = part[start : start + options.batch_size]
                work.on(chunk)
                ahead -= sum(not _is_end(picture) for picture in chunk)
                progress(count - ahead, count)
            work.finish()
        return _outcome(part, journal, outputs)


def of_shard(pictures: Sequence[Picture], shard: Optional[Tuple[int, int]]) -> List[Picture]:
    """Every N-th picture from the I-th on, for the shard (I, N); all of them without one."""
    return list(pictures if shard is None else pictures[shard[0] - 1 :: shard[1]])


def _is_end(picture: Picture) -> bool:
    """Whether it stands for what comes after the last frame of a video."""
    return bool(picture.frame and picture.frame.is_end)


def journal_header(pictures: Sequence[Picture], options: PredictionOptions) -> dict:
    """What tells one prediction from another."""
    names = json.dumps([[p.index, p.image_id, p.name, p.file_name] for p in pictures])
    inputs = f"{len(pictures)} images, {hashlib.sha256(names.encode()).hexdigest()[:8]}"
    return {"model": options.model, "inputs": inputs, "settings": options.settings()}


def _remove_leftovers(folder: str) -> None:
    """Remove the half files of those that were killed while they wrote."""
    for below, _, _ in os.walk(folder):
        remove_leftovers(below)


class _Work:
    """Looks at pictures and hands on what is found."""

    def __init__(self, looker: Looker, options, journal, outputs, clips, limits: Limits):
        self._looker, self._options, self._limits = looker, options, limits
        self._journal, self._outputs, self._clips = journal, outputs, clips

    def on(self, chunk: Sequence[Picture]) -> None:
        """Look at those of a chunk that are not done.

        All of it goes through the network, as it would have without an interruption: beside other
        images an image may be padded, which changes numbers in their last digits.
        """
        if all(picture.index in self._journal for picture in chunk):
            for picture in chunk:
                self._again(picture)
            return
        for look in self._looker.look(chunk):
            if look.picture.index in self._journal:
                self._again(look.picture, look.pixels)
                continue
            failure = self._done(look) if look.pixels else look.failure
            if failure is not None:
                _LOG.warning("%s", failure)
                self._journal.add_failure(look.picture.index, failure)
        self._outputs.write_now_and_then(self._journal)

    def _done(self, look: Look) -> Optional[str]:
        """Write down what was found in a picture; returns why, if that is not possible."""
        if look.failure is not None:
            return look.failure
        picture, found = look.picture, with_rle(look.found)
        limits = self._limits(found)
        rows, more = np.flatnonzero(found.scores >= limits), {}
        try:
            chosen = self._clips.numbered(picture, found[rows])
            drawn = self._shown(picture, chosen, look.pixels)
            if drawn is None and self._options.pictures and not self._options.only_uncertain:
                smooth = dataclasses.replace(look.found[rows], ids=chosen.ids)
                drawn = self._outputs.drawn(smooth, look.pixels)
            if self._options.only_uncertain:
                more["uncertainty"] = uncertainty(found, limits)
            else:
                self._outputs.add(picture, chosen, look.pixels, drawn)
            if self._options.measure:
                measured = self._outputs.measured(picture, chosen, look.pixels)
                more["measured"] = self._clips.rows(picture, measured)
        except (InputError, MemoryError, OSError) as error:
            # What goes wrong with the first image may do so with all, and a full disk does.
            if is_full(error) or not len(self._journal):
                raise
            return reason(picture, error)
        record = {"image_id": picture.image_id, "file_name": picture.name}
        record.update(self._clips.place(picture))
        self._journal.add(picture.index, {**record, **record_of(found, rows, chosen.ids, **more)})
        return None

    def _again(self, picture: Picture, pixels: Optional[Pixels] = None) -> None:
        """Take a frame that was done before: numbers go on from it, and a video begins anew."""
        if picture.frame is None:
            return
        (record,) = self._journal.records([picture.index])
        chosen = self._outputs.chosen(record)
        self._clips.recall(picture, chosen)
        if self._clips.draws:
            self._shown(picture, chosen, pixels or self._looker.pixels(picture))

    def _shown(self, picture: Picture, chosen: Instances, pixels: Pixels) -> Optional[np.ndarray]:
        """A frame as it is drawn into the video; None where there is none.

        Of masks as RLE, as the journal has them: a video that goes on is the same.
        """
        if not (self._clips.draws and picture.frame):
            return None
        drawn = self._outputs.drawn(chosen, pixels)
        self._clips.show(picture, drawn)
        return drawn

    def finish(self) -> None:
        """Write the files of all images; or of those that are most worth labelling."""
        if self._options.only_uncertain:
            self._save_uncertain()
        else:
            self._outputs.write_all(self._journal)
        self._journal.finish()

    def _save_uncertain(self) -> None:
        values = [(r["index"], r["uncertainty"]) for r in self._journal.records()]
        best = most_uncertain([value for _, value in values], self._options.only_uncertain)
        only = [values[i][0] for i in best]
        self._outputs.write_chosen(self._journal, only, self._looker.pixels)


@contextlib.contextmanager
def _kept(journal: Journal, outputs: Outputs, count: int) -> Iterator[None]:
    """Makes the files of all images whole where something stops the block."""
    try:
        yield
    except KeyboardInterrupt:
        outputs.write_so_far(journal)
        raise KeyboardInterrupt(
            f"{len(journal)} of {count} images are in {outputs.path}; the same command with "
            "--resume goes on."
        ) from None
    except Exception:
        with contextlib.suppress(Exception):  # the first error is the one to tell
            outputs.write_results(journal)
        raise


def _limits(source: Source, threshold: Optional[float]) -> Limits:
    """What tells from which score on objects are chosen."""
    own = source.thresholds
    if threshold is None and own is not None:
        text = "The model's own score thresholds hold (%s), chosen on %d images."
        _LOG.info(text, own.short(), own.images)
    return limits_of(own, threshold)


def _outcome(pictures, journal: Journal, outputs: Outputs) -> Outcome:
    by_index = {picture.index: picture for picture in pictures}
    failed = tuple((by_index[i].name, reason) for i, reason in sorted(journal.failed.items()))
    images = "1 image" if len(journal) == 1 else f"{len(journal)} images"
    text = "%s, %d objects at or above the threshold; %d detections of any score."
    _LOG.info(text, images, outputs.objects, outputs.detections)
    done = (outputs.path, len(journal), outputs.detections, failed)
    return Outcome(*done, outputs.objects, outputs.written())
