"""The command `import-weights` of the command line."""

# Nothing here may import TensorFlow before the command runs, see `main`.
from tfmaskrcnn.cli.arguments import add_set, command

_SOURCES = ("torchvision", "detectron2", "matterport")


def add_parser(commands) -> None:
    """`tfmaskrcnn import-weights`."""
    parser = command(
        commands,
        "import-weights",
        _import,
        "Make a run folder of another framework's weights: of a file, or of what `tfmaskrcnn "
        "weights` lists. Its config.json sets all that makes the detections equal to that "
        "framework's.",
    )
    names = ", ".join(_SOURCES)
    parser.add_argument(
        "source", metavar="SOURCE", help=f"{names}; or a name of `tfmaskrcnn weights`, without FILE"
    )
    parser.add_argument("file", metavar="FILE", nargs="?", help="its checkpoint: .pth, .pkl or .h5")
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
    from tfmaskrcnn.errors import InputError

    if options.file is None and options.source in _SOURCES:
        raise InputError(f"import-weights {options.source} FILE FOLDER: FILE or FOLDER is missing.")
    if options.file is not None and options.source not in _SOURCES:
        wanted = f"{', '.join(_SOURCES)} before a file"
        raise InputError(f"There is no source {options.source!r}; wanted one of {wanted}.")

    from tfmaskrcnn.checkpoints.importing import import_weights
    from tfmaskrcnn.support.files import refuse_full

    refuse_full(options.out)
    file, source = options.file, options.source
    if file is None:
        file, source = _fetched(options.source)
    print(f"run         {import_weights(file, source, options.out, options.set, options.skip)}")


def _fetched(name: str):
    """File and source of published weights."""
    from tfmaskrcnn.checkpoints.fetching import fetched
    from tfmaskrcnn.checkpoints.published import BACKBONES, published
    from tfmaskrcnn.errors import InputError

    if name in BACKBONES:
        raise InputError(
            f"{name} is a backbone without a detector's heads; name it as backbone.weights of a "
            "configuration instead."
        )
    return fetched(name), published(name).source
