"""The command `split` of the command line."""

import shlex

# Nothing here may import TensorFlow before the command runs, see `main`.
from tfmaskrcnn.cli.arguments import add_skip_invalid, command, count, share


def add_parser(commands) -> None:
    """`tfmaskrcnn split`."""
    parser = command(
        commands,
        "split",
        _split,
        "Divide an annotated set into train and val (and test), or into folds. Each part is like "
        "the whole in classes and sizes of objects; copies of a picture, also in another format or "
        "size, lie in one part. NAME.json becomes NAME_train.json and so on, whose file names "
        "start from the same folder of images.",
    )
    parser.add_argument("json", metavar="JSON", help="COCO instance annotations")
    parser.add_argument(
        "--images",
        metavar="FOLDER",
        help="the folder its file names start from (`images` beside JSON, or else its folder)",
    )
    parser.add_argument("--val", type=share, metavar="P", help="share of the images (0.2)")
    parser.add_argument(
        "--test", type=share, default=0.0, metavar="P", help="share of a third part (0, none)"
    )
    parser.add_argument(
        "--folds",
        type=count,
        metavar="K",
        help="K parts, each the val split once, instead of --val",
    )
    parser.add_argument(
        "--group-by",
        metavar="KEY",
        help="keep images together that have one value of this key in JSON, such as patient; "
        "folder: that lie in one folder; 'file:PATTERN': whose names agree in what a regular "
        "expression matches",
    )
    parser.add_argument("--seed", type=seed, default=0, metavar="N", help="another split (0)")
    parser.add_argument("--out", metavar="FOLDER", help="where to write (beside JSON)")
    parser.add_argument("--overwrite", action="store_true", help="replace files that are there")
    add_skip_invalid(parser, "leave wrong annotations out, and say how many")


def seed(text: str) -> int:
    """A whole number, as the `type` of an argument."""
    return 0 if text.strip("0") == "" and text else count(text)


def _split(options) -> None:
    from tfmaskrcnn.data.splitting import part_files, part_names, split
    from tfmaskrcnn.support.progress_bar import progress_bar

    names = ("val", "test", "folds", "group_by", "seed", "skip_invalid")
    chosen = {name: getattr(options, name) for name in names}
    # Refused before the pictures are read.
    part_files(options.json, part_names(**chosen), options.out, options.overwrite)
    with progress_bar("comparing pictures") as progress:
        found = split(options.json, options.images, progress, **chosen)
    paths = found.write(options.out, options.overwrite)
    print("\n".join([found.table(), *found.notes]))
    for path in paths:
        print(f"written     {path}")
    if not options.folds and options.val != 0:
        (train, val), images = map(shlex.quote, paths[:2]), shlex.quote(found.image_dir)
        print(
            f"train with  --set data.train_json={train} data.train_images={images} "
            f"data.val_json={val} data.val_images={images}"
        )
