"""The command `compare` of the command line."""

# Nothing here may import TensorFlow before the command runs, see `main`.
from tfmaskrcnn.cli.arguments import add_runtime, command, count


def add_parser(commands) -> None:
    """`tfmaskrcnn compare`."""
    parser = command(
        commands,
        "compare",
        _compare,
        "Send the same images through several artefacts and tell how far their detections lie from "
        "the first one's. ARTEFACT is a run folder, a SavedModel, an ONNX or a TFLite file. With "
        "--json also the AP of each.",
    )
    parser.add_argument("artefacts", nargs="+", metavar="ARTEFACT", help="the first is the measure")
    parser.add_argument("--images", required=True, metavar="IMAGES", help="folder, file or 'glob'")
    parser.add_argument(
        "--json", metavar="FILE", help="COCO instance annotations; --images is their folder"
    )
    parser.add_argument("--limit", type=count, metavar="N", help="only the first N images")
    add_runtime(parser, nargs="+", more="; of several each .onnx file has a row of each")
    parser.add_argument("--results", metavar="FILE", help="also write the numbers as JSON")


def _compare(options) -> None:
    import json

    from tfmaskrcnn.checkpoints.named_runs import model_folder
    from tfmaskrcnn.inference.opening import check_artefacts
    from tfmaskrcnn.support.files import replaced, writable_file

    artefacts = [model_folder(text) for text in options.artefacts]
    check_artefacts(artefacts)  # before TensorFlow is imported
    if options.results:
        writable_file(options.results)

    from tfmaskrcnn.export.parity import measure, table

    given = (options.images, options.json, options.limit, options.runtime or ())
    result = measure(artefacts, *given)
    print(table(result))
    if options.results:
        with replaced(options.results, "w") as file:
            json.dump(result, file, indent=2)
        print(f"results     {options.results}")
