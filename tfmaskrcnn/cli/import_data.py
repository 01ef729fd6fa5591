"""The command `import-data` of the command line."""

# Nothing here may import TensorFlow before the command runs, see `main`.
from tfmaskrcnn.cli.arguments import add_skip_invalid, add_source, command

_SOURCES = ("via", "labelme", "cvat", "voc", "png-masks", "yolo", "label-studio", "qupath")


def add_parser(commands) -> None:
    """`tfmaskrcnn import-data`."""
    parser = command(
        commands,
        "import-data",
        _import_data,
        "Turn what an annotation tool wrote into COCO instance JSON. INPUT is a file for via "
        "(JSON or CSV), cvat (XML), label-studio (JSON) and yolo (data.yaml), a folder for "
        "labelme, voc and png-masks, and either for qupath (GeoJSON).",
    )
    add_source(parser, _SOURCES)
    parser.add_argument("input", metavar="INPUT", help="file or folder, see docs/data.md")
    parser.add_argument("out", metavar="OUT.json", help="the COCO JSON to write")
    parser.add_argument("--images", metavar="FOLDER", help="where the images lie")
    parser.add_argument(
        "--classes", nargs="+", metavar="NAME", help="these only, in this order (all, sorted)"
    )
    parser.add_argument("--attribute", metavar="NAME", help="via: the attribute with the class")
    parser.add_argument("--split", metavar="NAME", help="yolo (train) and voc (all): which part")
    add_skip_invalid(
        parser, "leave wrong objects out and count them, instead of stopping at the first"
    )


def _import_data(options) -> None:
    from tfmaskrcnn.data.importers import import_data
    from tfmaskrcnn.support.progress_bar import progress_bar

    with progress_bar("importing") as progress:
        found = import_data(
            *(options.source, options.input, options.out),
            *(options.images, options.classes, options.skip_invalid, progress),
            attribute=options.attribute,
            split=options.split,
        )
    print(found.summary())
    print(f"written     {options.out}; its file names start from {found.image_dir}")
