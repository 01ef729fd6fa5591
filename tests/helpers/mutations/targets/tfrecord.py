"""TFRecord: a mutated set written and read again, and mutated shards and indices."""

import json
import shutil
import struct
import zlib
from pathlib import Path

import numpy as np

from helpers.mutations.damage import damaged
from helpers.mutations.outcomes import expect
from helpers.mutations.targets.coco import CocoTarget, check_files, check_records
from helpers.mutations.targets.good_sets import HEIGHT, WIDTH, write_coco
from helpers.mutations.targets.target import Target
from helpers.mutations.texts import as_json
from helpers.mutations.values import mutated


class Writing(CocoTarget):
    """`write_tfrecord` and `load_tfrecord`: what comes out is what `load_coco` gives."""

    def run(self, rng, folder):
        from tfmaskrcnn.data import load_coco, load_tfrecord, write_tfrecord

        path, skip = self.mutated_set(rng, folder), rng.random() < 0.6
        write_tfrecord(
            path, self.images, str(folder / "set"), rng.choice((1, 2)), workers=1, skip_invalid=skip
        )
        masks = rng.random() < 0.7
        found = load_tfrecord(str(folder / "set-*.tfrecord"), masks=masks)
        check_tfrecord(found)
        entries = json.loads(Path(path).read_text())["annotations"]
        entries = [entry for entry in entries if isinstance(entry, dict)]
        whole = any(entry.get("segmentation") for entry in entries)  # as the shards are written
        wanted = load_coco(path, self.images, skip_invalid=skip, masks=whole)
        expect(found.class_names == wanted.class_names, f"classes are {found.class_names}")
        expect(len(found.records) == len(wanted.records), "another number of images")
        check_files(wanted)
        for one, other in zip(found.records, wanted.records):
            expect(one.image_id == other.image_id, "another order of images")
            expect(np.array_equal(one.boxes, other.boxes), "other boxes")
            expect(one.annotation_ids == other.annotation_ids, "other annotations")


class Reading(Target):
    """`load_tfrecord` of damaged shards and indices, and of mutated ones with right checksums."""

    def prepare(self):
        from tfmaskrcnn.data import write_tfrecord

        write_coco(self.base)
        json_path, images = str(self.base / "good.json"), str(self.base / "images")
        write_tfrecord(json_path, images, str(self.base / "set"), 2, workers=1)

    def open(self):
        self.shards = sorted(self.base.glob("set-*.tfrecord"))

    def run(self, rng, folder):
        from tfmaskrcnn.data import load_tfrecord

        for file in self.base.glob("set-*"):
            shutil.copyfile(file, folder / file.name)
        shard = folder / rng.choice(self.shards).name
        how = rng.choice((self._bytes, self._arrays, self._about, self._records))
        self.note([how.__name__])
        how(rng, shard, shard.with_name(shard.name + ".index.npz"))
        check_tfrecord(load_tfrecord(str(folder / "set-*.tfrecord")))

    def _bytes(self, rng, shard, index):
        file = rng.choice((shard, index, index))
        content, notes = damaged(file.read_bytes(), rng)
        self.note([file.suffix, *notes])
        file.write_bytes(content)

    def _arrays(self, rng, shard, index):
        arrays = dict(np.load(index))
        name = rng.choice(sorted(set(arrays) - {"about"}))
        array = arrays[name]
        how = rng.randrange(6)
        if how < 3 and array.size:
            flat = array.astype(np.float64 if array.dtype.kind == "f" else np.int64).reshape(-1)
            value = rng.choice((-1, 0, 1, 10**6, 2**31 - 1, 2**62, -(2**62)))
            flat[rng.randrange(flat.size)] = np.nan if array.dtype.kind == "f" else value
            arrays[name] = flat.reshape(array.shape)
            if how == 0:
                arrays[name] = arrays[name].astype(array.dtype)
        elif how == 3:
            del arrays[name]
        elif how == 4:
            arrays[name] = rng.choice((array[:-1], array[None], np.repeat(array, 2, axis=0)))
        else:
            arrays[name] = array.astype(rng.choice((np.float32, np.bool_, np.int8, "U9")))
        self.note([f"{name}, way {how}"])
        np.savez(index, **arrays)

    def _about(self, rng, shard, index):
        arrays = dict(np.load(index))
        about, notes = mutated(json.loads(arrays["about"].tobytes()), rng)
        self.note(notes)
        arrays["about"] = np.frombuffer(as_json(about).encode("utf-8", "replace"), np.uint8)
        np.savez(index, **arrays)

    def _records(self, rng, shard, index):
        """One record with a mutated annotation, image or feature, framed anew."""
        import tensorflow as tf

        arrays, content = dict(np.load(index)), shard.read_bytes()
        chosen = rng.randrange(len(arrays["offsets"]))
        out, offsets, lengths, sums = b"", [], [], []
        for n, (offset, length) in enumerate(zip(arrays["offsets"], arrays["lengths"])):
            record = content[offset + 12 : offset + 12 + length]
            if n == chosen:
                record = self._mutated_record(tf.train.Example.FromString(record), rng)
            offsets.append(len(out))
            lengths.append(len(record))
            sums.append(zlib.crc32(record))
            out += struct.pack("<Q4x", len(record)) + record + bytes(4)
        about = json.loads(arrays["about"].tobytes())
        about["size"] = len(out)
        arrays["about"] = np.frombuffer(json.dumps(about).encode(), np.uint8)
        new = {"offsets": offsets, "lengths": lengths, "checksums": sums}
        arrays.update({k: np.array(v, arrays[k].dtype) for k, v in new.items()})
        shard.write_bytes(out)
        np.savez(index, **arrays)

    def _mutated_record(self, example, rng) -> bytes:
        features = example.features.feature
        entries = features["tfmaskrcnn/annotation"].bytes_list.value
        how = rng.randrange(4)
        if how == 0 and entries:
            n = rng.randrange(len(entries))
            entry, notes = mutated(json.loads(entries[n]), rng)
            entries[n] = as_json(entry).encode()
        elif how == 1:
            images = features["image/encoded"].bytes_list.value
            images[0], notes = damaged(images[0], rng)
        elif how == 2:
            name = rng.choice(sorted(features))
            del features[name]
            notes = [f"without {name}"]
        else:
            content, notes = damaged(example.SerializeToString(), rng)
            self.note(notes)
            return content
        self.note(notes)
        return example.SerializeToString()


def check_tfrecord(data) -> None:
    """What must hold of records from shards, each of which is read whole, with its image."""
    from tfmaskrcnn.data import read_image

    whole = [data.records[i] for i in range(len(data.records))]
    check_records(data._replace(records=whole), whole=False)
    for known, record in zip(data.records, whole):
        pixels = read_image(record.path, (record.height, record.width))
        expect(pixels.shape == (HEIGHT, WIDTH, 3), f"an image of {pixels.shape}")
        expect(len(record.annotation_ids) == len(record.classes), "objects without annotation")
        expect(np.array_equal(known.boxes, record.boxes), "the index has other boxes")
