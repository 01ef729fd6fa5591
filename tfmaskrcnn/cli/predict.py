"""The command `predict` of the command line."""

# Nothing here may import TensorFlow before the command runs, see `main`.
from tfmaskrcnn.cli.arguments import (
    USE_SET_HELP,
    add_model,
    add_out,
    add_set,
    add_tta,
    command,
    count,
    share,
)


def add_parser(commands) -> None:
    """`tfmaskrcnn predict`."""
    parser = command(
        commands,
        "predict",
        _predict,
        "Find objects in images. Writes a picture for each image and results.json (COCO results "
        "format, with each image's file name).",
    )
    add_model(parser)
    parser.add_argument("inputs", metavar="INPUT", nargs="+", help="image, folder or 'glob'")
    add_out(parser)
    parser.add_argument(
        "--threshold",
        type=share,
        metavar="P",
        help="lowest score drawn (the model's own thresholds of its classes if it has any, else "
        "0.5); results.json holds all",
    )
    parser.add_argument("--batch-size", type=count, default=1, metavar="N", help="images at a time")
    add_tta(parser)
    add_set(parser, USE_SET_HELP)


def _predict(options) -> None:
    from tfmaskrcnn.inference.augmented import check_augmentation, open_augmented
    from tfmaskrcnn.inference.opening import check_model
    from tfmaskrcnn.support.files import writable_folder

    # First what takes no time.
    config = check_model(options.model, overrides=options.set)
    check_augmentation(options.model, config, options.tta)

    from tfmaskrcnn.inference.prediction_files import find_images, predict_files

    paths, folder = find_images(options.inputs), writable_folder(options.out)
    source = open_augmented(options.model, config, options.tta)
    results = predict_files(source, paths, folder, options.threshold, options.batch_size)
    print(f"results     {results}")
