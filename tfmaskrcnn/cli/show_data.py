"""The command `show-data` of the command line."""

import os
from typing import Iterator, Tuple

# Nothing here may import TensorFlow before the command runs, see `main`.
from tfmaskrcnn.cli.arguments import add_config, add_out, add_set, add_trust_code, command, count

_ON_SHEET = 36
_CELL = 560  # side of the largest picture on the sheet


def add_parser(commands) -> None:
    """`tfmaskrcnn show-data`."""
    parser = command(
        commands,
        "show-data",
        _show,
        "Draw what the model is fed. The folder gets a picture an image, after augmentation and "
        f"with its boxes, masks and classes, and a sheet of the first {_ON_SHEET}.",
    )
    add_config(parser)
    add_trust_code(parser)
    add_out(parser)
    parser.add_argument("--num", type=count, default=16, metavar="N", help="images (16)")
    parser.add_argument(
        "--split",
        choices=("train", "val"),
        default="train",
        help="images as in training, from its first epoch on, or as in evaluation (train)",
    )
    add_set(parser)


def _show(options) -> None:
    from tfmaskrcnn.checkpoints.named_runs import with_network_of_weights
    from tfmaskrcnn.config.run_paths import with_paths_found
    from tfmaskrcnn.config.yaml_files import load_config
    from tfmaskrcnn.errors import explained
    from tfmaskrcnn.support.files import replaced, writable_folder

    config = load_config(options.config, options.set, options.trust_code)
    config = with_paths_found(config, options.config)
    folder = writable_folder(options.out)
    config = with_network_of_weights(config, options.config, options.set)

    import numpy as np
    import tensorflow as tf
    from PIL import Image

    from tfmaskrcnn.drawing.batch import contact_sheet

    shown, names = [], []
    dataset, config = _dataset(config, options.split)
    try:
        for name, picture in _pictures(dataset, config, options.num):
            number, stem = len(names) + 1, os.path.splitext(os.path.basename(name))[0]
            with replaced(os.path.join(folder, f"{number:04d}_{stem}.png")) as file:
                Image.fromarray(picture).save(file, "PNG")
            if number <= _ON_SHEET:
                small = Image.fromarray(picture)
                small.thumbnail((_CELL, _CELL), Image.Resampling.LANCZOS)
                shown.append(np.asarray(small))
            names.append(name)
    except tf.errors.OpError as error:
        raise explained(error, dataset.image_names) from None
    sheet = os.path.join(folder, "sheet.png")
    with replaced(sheet) as file:
        Image.fromarray(contact_sheet(shown, names[:_ON_SHEET], _CELL)).save(file, "PNG")
    print(f"pictures    {folder}\nsheet       {sheet}")


def _dataset(config, split: str):
    """The data set of single images of a split, and the configuration with its classes."""
    from tfmaskrcnn.config.yaml_files import override
    from tfmaskrcnn.data import from_records
    from tfmaskrcnn.data.labels import with_classes_of
    from tfmaskrcnn.train.auto.auto_config import settled
    from tfmaskrcnn.train.splits import training_data, validation_data

    config = settled(config)
    data = training_data(config) if split == "train" else validation_data(config)
    single = ["train.batch_size=1", "evaluation.batch_size=1"]
    config = override(with_classes_of(data, config), single)
    return from_records(data, config, training=split == "train"), config


def _pictures(dataset, config, number: int) -> Iterator[Tuple[str, object]]:
    """(file name, picture) of so many images; of several epochs if one has not as many."""
    from tfmaskrcnn.drawing.batch import draw_batch

    done = 0
    while True:
        for batch in dataset.as_numpy_iterator():
            (picture,) = draw_batch(batch, config)
            yield dataset.image_names[int(batch["image_id"][0])], picture
            done += 1
            if done == number:
                return
