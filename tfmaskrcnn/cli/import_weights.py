"""The command `import-weights` of the command line."""

# Nothing here may import TensorFlow before the command runs, see `main`.
from tfmaskrcnn.cli.arguments import add_set, add_source, command

_SOURCES = ("torchvision", "detectron2", "matterport")


def add_parser(commands) -> None:
    """`tfmaskrcnn import-weights`."""
    parser = command(
        commands,
        "import-weights",
        _import,
        "Make a run folder of another framework's weights. Its config.json sets all that makes the "
        "detections equal to that framework's.",
    )
    add_source(parser, _SOURCES)
    parser.add_argument("file", metavar="FILE", help="its checkpoint: .pth, .pkl or .h5")
    parser.add_argument("out", metavar="FOLDER", help="new run folder")
    parser.add_argument(
        "--skip",
        nargs="+",
        default=[],
        metavar="LAYER",
        help="leave at random: 'heads' for all layers that depend on the classes, or a path",
    )
    add_set(parser)


def _import(options) -> None:
    from tfmaskrcnn.checkpoints.importing import import_weights

    files = options.file, options.source, options.out
    print(f"run         {import_weights(*files, options.set, options.skip)}")
