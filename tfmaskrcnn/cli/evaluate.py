"""The command `evaluate` of the command line."""

import os

# Nothing here may import TensorFlow before the command runs, see `main`.
from tfmaskrcnn.cli.arguments import (
    USE_SET_HELP,
    add_model,
    add_runtime,
    add_set,
    add_tiles,
    add_tta,
    class_pair,
    command,
    count,
    share,
)
from tfmaskrcnn.cli.outputs import check_outputs

# What is read of a model's folder.
MODEL_FILES = ("config.json", "weights.npz", "thresholds.json", "saved_model.pb")


def add_parser(commands) -> None:
    """`tfmaskrcnn evaluate`."""
    parser = command(
        commands,
        "evaluate",
        _evaluate,
        "Box, mask and keypoint AP of a model, why they are what they are, and which score to take "
        "as the threshold. Without --json and --images a run's own val split is taken.",
    )
    add_model(parser)
    parser.add_argument("--json", metavar="FILE", help="COCO instance annotations")
    parser.add_argument("--images", metavar="FOLDER", help="the folder their file names start from")
    parser.add_argument("--limit", type=count, metavar="N", help="only the first N images")
    _add_judging(parser.add_argument_group("how it is judged"))
    add_runtime(parser, more="; that of --against is run by onnxruntime")
    _add_outputs(parser.add_argument_group("what is written"))
    add_set(parser, USE_SET_HELP)


def _add_judging(parser) -> None:
    parser.add_argument(
        "--max-detections",
        type=count,
        nargs=3,
        metavar="N",
        help="COCO's maxDets (default: the run's, else 1 10 100); AP uses the last",
    )
    parser.add_argument(
        "--classes",
        nargs="+",
        type=class_pair,
        default=[],
        metavar="CLASS",
        help="judge these categories only, by name; car=vehicle judges the model's cars as the "
        "file's vehicles",
    )
    parser.add_argument(
        "--iou",
        type=share,
        default=0.5,
        metavar="P",
        help="IoU from which on a detection is right, of all but AP (0.5)",
    )
    parser.add_argument(
        "--against", metavar="MODEL", help="another model on the same images: is MODEL better?"
    )
    parser.add_argument(
        "--kaggle",
        type=share,
        nargs="?",
        const=0.5,
        metavar="P",
        help="also the Data Science Bowl's score, of detections with a score from P (0.5) on",
    )
    add_tta(parser)
    add_tiles(parser)


def _add_outputs(parser) -> None:
    parser.add_argument("--html", metavar="FILE", help="the report as one page, with pictures")
    parser.add_argument("--results", metavar="FILE", help="all numbers as JSON")
    parser.add_argument("--csv", metavar="FOLDER", help="all numbers as tables")
    parser.add_argument(
        "--save-thresholds",
        action="store_true",
        help="keep each class's score of the best F1 in the run: `predict` and `export` take it",
    )


def _evaluate(options) -> None:
    # First what takes no time.
    names = _label(options), options.against
    config, other = _check(options)

    # Then what takes little.
    _check_classes(options, config, other)

    from tfmaskrcnn.evaluation.class_choice import ClassChoice
    from tfmaskrcnn.evaluation.reporting.summary import summary, verdict
    from tfmaskrcnn.inference.augmented import open_augmented
    from tfmaskrcnn.inference.score_thresholds import save_for_run
    from tfmaskrcnn.inference.tiling.tiled_prediction import tiled

    source = tiled(
        open_augmented(options.model, config, options.tta, options.runtime), _tiles(options)
    )
    report = _report(options, names[0], source, source)
    print(f"{report.result.table()}\n\n{summary(report)}")
    if options.against:
        report = report.compared_with(_second(options, names[1], other, source))
        print(f"\n{verdict(report)}")
    if options.save_thresholds:
        choice = ClassChoice.of(options.classes)
        found = report.score_thresholds(source.class_names, choice)
        print(f"\nthresholds  {save_for_run(found, options.model)}")
    _write(options, report)


def _tiles(options):
    """How large pictures are seen.

    Raises:
        InputError: they cannot be seen so.
    """
    from tfmaskrcnn.inference.tiling.tile_plan import TileOptions

    return TileOptions(options.tile, options.overlap).checked()


def _label(options) -> str:
    """The model with what it was told to do otherwise."""
    tta = [] if options.tta is None else ["--tta", *options.tta]
    return " ".join([options.model, *tta, *(["--set"] if options.set else []), *options.set])


def _check(options):
    """Configurations of the model and of that of --against, None where it is no run.

    Finds without TensorFlow what is wrong.
    """
    from tfmaskrcnn.config.run_paths import looked_for
    from tfmaskrcnn.errors import InputError
    from tfmaskrcnn.inference.augmented import check_augmentation
    from tfmaskrcnn.inference.opening import check_model
    from tfmaskrcnn.support import storage

    _tiles(options)
    if not 0.1 < options.iou < 1:
        raise InputError(f"--iou is {options.iou:g}; wanted a number above 0.1 and below 1.")
    limits = options.max_detections
    if limits and not limits[0] < limits[1] < limits[2]:
        given = " ".join(map(str, limits))
        raise InputError(f"--max-detections is {given}; wanted three ascending numbers.")
    needs_data = not (options.json and options.images)
    _find_models(options, needs_data)
    config = check_model(options.model, needs_data, options.set, options.runtime)
    check_augmentation(options.model, config, options.tta)
    other = check_model(options.against) if options.against else None
    if options.save_thresholds:
        _check_saving(options, config)
    json_path, images = _data(options, config)
    if not storage.is_file(json_path):
        where = "" if options.json else looked_for(json_path, options.model)
        wanted = _wanted(options.json, "--json FILE")
        raise InputError(f"There is no file {json_path}{where}; {wanted}.")
    if not storage.is_folder(images):
        where = "" if options.images else looked_for(images, options.model)
        wanted = _wanted(options.images, "--images FOLDER")
        raise InputError(f"There is no folder {images}{where}; {wanted}.")
    models = [model for model in (options.model, options.against) if model]
    read = [json_path, *models, *(os.path.join(m, n) for m in models for n in MODEL_FILES)]
    check_outputs((options.html, options.results, options.csv), options.csv, read)
    return config, other


def _find_models(options, needs_data: bool) -> None:
    """Put the runs of published weights in the place of their names."""
    from tfmaskrcnn.checkpoints.named_runs import is_published, model_folder
    from tfmaskrcnn.errors import InputError

    if is_published(options.model):
        if needs_data:
            raise InputError(
                f"{options.model} has no val split; give --json FILE, --images FOLDER."
            )
        if options.save_thresholds:
            raise InputError(
                f"{options.model} has no folder of your own to keep thresholds in: `tfmaskrcnn "
                f"import-weights {options.model} FOLDER` makes one."
            )
    options.model = model_folder(options.model)
    options.against = options.against and model_folder(options.against)


def _data(options, config):
    """Path of the annotations and of the image folder."""
    own = None if config is None else config.data
    return options.json or own.val_json, options.images or own.val_images


def _wanted(given, option: str) -> str:
    return (
        "wanted COCO annotations and their images" if given else f"the run names it; give {option}"
    )


def _check_classes(options, config, other) -> None:
    """Find before a model is opened which classes it, or the other one, does not know."""
    from tfmaskrcnn.evaluation.analysis.comparison import check_same_classes
    from tfmaskrcnn.evaluation.class_choice import judged

    json_path, _ = _data(options, config)
    merged = None if config is None else config.data.classes
    first = judged(json_path, options.classes, _class_names(options.model, config), merged)
    if options.against:
        names = _class_names(options.against, other)
        check_same_classes(first, judged(json_path, options.classes, names, merged))


def _class_names(model: str, config):
    """Of a run with this configuration, or an exported model; none where it does not tell."""
    from tfmaskrcnn.inference.exported import exported_config

    if config is not None:
        return config.model.class_names
    return exported_config(model).get("class_names", ())


def _check_saving(options, config) -> None:
    """Thresholds are of the scores that the run gives as it is."""
    from tfmaskrcnn.errors import InputError
    from tfmaskrcnn.inference.opening import a_kind_of
    from tfmaskrcnn.support.storage import is_folder

    if config is None or not is_folder(options.model):
        kind = a_kind_of(options.model) if config is None else "a file"
        raise InputError(f"{options.model} is {kind}; --save-thresholds is for run folders.")
    for name, given in (("--tta", options.tta is not None), ("--set", options.set)):
        if given:
            raise InputError(
                f"With {name} scores differ from the run's; leave --save-thresholds out."
            )


def _report(options, name: str, source, first):
    """The report on `source`, judged on the data and by the rules of `first`."""
    from tfmaskrcnn.evaluation.runner import report
    from tfmaskrcnn.support.progress_bar import progress_bar

    with progress_bar(f"evaluating {name}" if options.against else "evaluating") as progress:
        return report(
            source.predict,
            options.json or first.val_json,
            options.images or first.val_images,
            name,
            options.iou,
            max_detections=options.max_detections or first.max_detections,
            limit=options.limit,
            progress=progress,
            channels=source.channels,
            exif=source.exif,
            keypoint_sigmas=source.keypoint_sigmas,
            kaggle_threshold=options.kaggle,
            classes=options.classes,
            data_classes=first.data_classes,
        )


def _second(options, name: str, config, first):
    """The report on the model of --against, on the same data."""
    from tfmaskrcnn.inference.opening import open_checked
    from tfmaskrcnn.inference.tiling.tiled_prediction import tiled

    source = tiled(open_checked(options.against, config), _tiles(options))
    return _report(options, name, source, first)


def _write(options, report) -> None:
    from tfmaskrcnn.evaluation.reporting.html_page import write_page
    from tfmaskrcnn.evaluation.reporting.sheets import to_json, write_csv
    from tfmaskrcnn.support.files import replaced, writable_file
    from tfmaskrcnn.support.progress_bar import progress_bar

    if options.results:
        with replaced(writable_file(options.results), "w") as file:
            file.write(to_json(report))
        print(f"results     {options.results}")
    if options.csv:
        write_csv(report, options.csv)
        print(f"tables      {options.csv}")
    if options.html:
        with progress_bar("drawing") as progress:
            print(f"report      {write_page(report, writable_file(options.html), progress)}")
