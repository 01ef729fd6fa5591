"""The command `evaluate` of the command line."""

# Nothing here may import TensorFlow before the command runs, see `main`.
from tfmaskrcnn.cli.arguments import USE_SET_HELP, add_model, add_set, command, count, share


def add_parser(commands) -> None:
    """`tfmaskrcnn evaluate`."""
    parser = command(
        commands,
        "evaluate",
        _evaluate,
        "Box, mask and keypoint AP of a model. MODEL is a run folder or an exported SavedModel; "
        "without --json and --images a run's own val split is taken.",
    )
    add_model(parser)
    parser.add_argument("--json", metavar="FILE", help="COCO instance annotations")
    parser.add_argument("--images", metavar="FOLDER", help="the folder their file names start from")
    parser.add_argument("--limit", type=count, metavar="N", help="only the first N images")
    parser.add_argument("--results", metavar="FILE", help="also write the numbers as JSON")
    parser.add_argument(
        "--max-detections",
        type=count,
        nargs=3,
        metavar="N",
        help="COCO's maxDets (default: the run's, else 1 10 100); AP uses the last",
    )
    parser.add_argument(
        "--kaggle",
        type=share,
        nargs="?",
        const=0.5,
        metavar="P",
        help="also the Data Science Bowl's score, of detections with a score from P (0.5) on",
    )
    add_set(parser, USE_SET_HELP)


def _evaluate(options) -> None:
    from tfmaskrcnn.inference.opening import open_source
    from tfmaskrcnn.support.files import replaced, writable_file
    from tfmaskrcnn.support.progress_bar import progress_bar

    if options.results:
        writable_file(options.results)
    # Before TensorFlow is imported: it looks at the folder first.
    source = open_source(options.model, not (options.json and options.images), options.set)

    from tfmaskrcnn.evaluation import evaluate

    with progress_bar() as progress:
        result = evaluate(
            source.predict,
            options.json or source.val_json,
            options.images or source.val_images,
            options.max_detections or source.max_detections,
            limit=options.limit,
            progress=progress,
            channels=source.channels,
            keypoint_sigmas=source.keypoint_sigmas,
            kaggle_threshold=options.kaggle,
        )
    print(result.table())
    if options.results:
        with replaced(options.results, "w") as file:
            file.write(result.to_json())
        print(f"results     {options.results}")
