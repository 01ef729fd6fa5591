"""The commands `import-data` and `write-tfrecord` of the command line."""

# Nothing here may import TensorFlow before a command runs, see `cli`.
from tfmaskrcnn.cli_arguments import command, count

_SOURCES = ("via", "labelme", "cvat", "voc", "png-masks", "yolo")


def add_import_data(commands) -> None:
    """`tfmaskrcnn import-data`."""
    parser = command(
        commands,
        "import-data",
        _import_data,
        "Turn what an annotation tool wrote into COCO instance JSON. INPUT is a file for via "
        "(JSON), cvat (XML) and yolo (data.yaml), a folder for labelme, voc and png-masks.",
    )
    parser.add_argument("source", metavar="SOURCE", choices=_SOURCES, help=", ".join(_SOURCES))
    parser.add_argument("input", metavar="INPUT", help="file or folder, see docs/data.md")
    parser.add_argument("out", metavar="OUT.json", help="the COCO JSON to write")
    parser.add_argument("--images", metavar="FOLDER", help="where the images lie")
    parser.add_argument(
        "--classes", nargs="+", metavar="NAME", help="these only, in this order (all, sorted)"
    )
    parser.add_argument("--attribute", metavar="NAME", help="via: the attribute with the class")
    parser.add_argument("--split", metavar="NAME", help="yolo (train) and voc (all): which part")
    parser.add_argument(
        "--skip-invalid",
        action="store_true",
        help="leave wrong objects out and count them, instead of stopping at the first",
    )


def _import_data(options) -> None:
    from tfmaskrcnn.data.importers import import_data
    from tfmaskrcnn.evaluation.run import progress_bar

    with progress_bar("importing") as progress:
        found = import_data(
            *(options.source, options.input, options.out),
            *(options.images, options.classes, options.skip_invalid, progress),
            attribute=options.attribute,
            split=options.split,
        )
    print(found.summary())
    print(f"written     {options.out}; its file names start from {found.image_dir}")


def add_write_tfrecord(commands) -> None:
    """`tfmaskrcnn write-tfrecord`."""
    parser = command(
        commands,
        "write-tfrecord",
        _write_tfrecord,
        "Write a COCO set as TFRecord shards. data.train_tfrecord takes them; their keys are those "
        "of the TF Object Detection API.",
    )
    parser.add_argument("json", metavar="JSON", help="COCO instance annotations")
    parser.add_argument("images", metavar="IMAGES", help="the folder their file names start from")
    parser.add_argument("out", metavar="OUT", help="folder and beginning of the shards' names")
    parser.add_argument("--shards", type=count, required=True, metavar="N", help="files to write")
    parser.add_argument("--workers", type=count, metavar="N", help="processes (one a core)")
    parser.add_argument(
        "--skip-invalid", action="store_true", help="leave wrong annotations out, and say how many"
    )


def _write_tfrecord(options) -> None:
    from tfmaskrcnn.data import write_tfrecord
    from tfmaskrcnn.evaluation.run import progress_bar

    with progress_bar("writing") as progress:
        found = write_tfrecord(
            *(options.json, options.images, options.out, options.shards),
            *(options.workers, options.skip_invalid, progress),
        )
    print(f"{found.images} images, {found.objects} objects, {found.size / 1e6:.1f} MB")
    print(f"written     {options.out}-*.tfrecord, for data.train_tfrecord")
