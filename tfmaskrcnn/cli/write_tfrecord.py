"""The command `write-tfrecord` of the command line."""

# Nothing here may import TensorFlow before the command runs, see `main`.
from tfmaskrcnn.cli.arguments import add_data, add_skip_invalid, command, count


def add_parser(commands) -> None:
    """`tfmaskrcnn write-tfrecord`."""
    parser = command(
        commands,
        "write-tfrecord",
        _write_tfrecord,
        "Write a COCO set as TFRecord shards. data.train_tfrecord takes them; their keys are those "
        "of the TF Object Detection API.",
    )
    add_data(parser)
    parser.add_argument("out", metavar="OUT", help="folder and beginning of the shards' names")
    parser.add_argument("--shards", type=count, required=True, metavar="N", help="files to write")
    parser.add_argument("--workers", type=count, metavar="N", help="processes (one a core)")
    add_skip_invalid(parser, "leave wrong annotations out, and say how many")


def _write_tfrecord(options) -> None:
    from tfmaskrcnn.data import write_tfrecord
    from tfmaskrcnn.support.progress_bar import progress_bar

    with progress_bar("writing") as progress:
        found = write_tfrecord(
            *(options.json, options.images, options.out, options.shards),
            *(options.workers, options.skip_invalid, progress),
        )
    print(f"{found.images} images, {found.objects} objects, {found.size / 1e6:.1f} MB")
    print(f"written     {options.out}-*.tfrecord, for data.train_tfrecord")
