"""The command `check-data` of the command line."""

import shutil
import sys
from typing import Optional

# Nothing here may import TensorFlow before the command runs, see `main`.
from tfmaskrcnn.cli.arguments import add_data, add_set, command, count

SHOWN_CHANGES = 20  # without --list
SHOWN_LEFT = 5  # likewise, of what stays wrong


def add_parser(commands) -> None:
    """`tfmaskrcnn check-data`."""
    parser = command(
        commands,
        "check-data",
        _check,
        "Read a whole data set before training and report all that is wrong or odd. The exit code "
        "is 0 if nothing is wrong, 1 if something is, 2 if the set cannot be checked at all.",
    )
    add_data(parser)
    parser.add_argument(
        "--config", metavar="CONFIG", help="what it is to be trained with, as for train"
    )
    parser.add_argument(
        "--other", metavar="JSON", help="another split, which should share no image with this one"
    )
    parser.add_argument("--other-images", metavar="FOLDER", help="its folder (IMAGES)")
    parser.add_argument("--html", metavar="FILE", help="also write one page with pictures")
    parser.add_argument("--fix", metavar="FILE", help="write a mended JSON; each change is listed")
    parser.add_argument(
        "--upright",
        metavar="FOLDER",
        help="with --fix: write copies of images that have an EXIF orientation, without it",
    )
    parser.add_argument(
        "--no-crowds",
        action="store_true",
        help="with --fix: make crowd regions objects, which CVAT's masks are meant to be",
    )
    parser.add_argument("--limit", type=count, metavar="N", help="only the first N images")
    parser.add_argument("--list", action="store_true", help="print every finding and change")
    add_set(parser)


def _check(options) -> int:
    from tfmaskrcnn.config.yaml_files import load_config
    from tfmaskrcnn.errors import InputError
    from tfmaskrcnn.support.files import writable_file
    from tfmaskrcnn.support.progress_bar import progress_bar

    for path in filter(None, (options.html, options.fix)):
        writable_file(path)
    if not options.fix and (options.upright or options.no_crowds):
        raise InputError("--upright and --no-crowds say how to mend: give --fix FILE as well.")
    config = load_config(options.config, options.set)

    from tfmaskrcnn.data.checking import check, write_page, write_repaired
    from tfmaskrcnn.data.checking.check_tables import printable

    if config.train.auto:
        config = _with_choices(config, options)
    others = options.other, options.other_images
    with progress_bar("checking") as progress:
        result = check(options.json, options.images, config, *others, options.limit, progress)
    repairs = None
    if options.fix:
        repairs = write_repaired(result, options.fix, not options.no_crowds, options.upright)
    if options.list:
        for finding in result.findings:
            print(printable(f"{finding.rule}: {finding.message}"))
    _print_changes([printable(change.message) for change in repairs or []], options.list)
    print(result.table(_terminal_width()))
    if result.findings and not (options.list or options.html):
        print("--list prints every finding, --html FILE shows them in pictures.")
    if repairs is not None:
        print(f"{'mended' if repairs else 'unchanged':<11} {options.fix}: {repairs.summary()}")
        for finding in repairs.left[: None if options.list else SHOWN_LEFT]:
            print(printable(f"still wrong: {finding.message}"))
    if options.html:
        print(f"page        {write_page(result, options.html, repairs if options.fix else [])}")
    return 1 if result.num_errors else 0


def _with_choices(config, options):
    """What `train` would choose for the set; `config` if the set is too wrong for that."""
    from tfmaskrcnn.errors import InputError
    from tfmaskrcnn.train import auto_config

    paths = {"train_json": options.json, "train_images": options.images, "train_tfrecord": None}
    try:
        data = config.data.model_copy(update=paths)
        return auto_config(config.model_copy(update={"data": data}))
    except InputError:
        return config  # the check says what is wrong


def _terminal_width() -> Optional[int]:
    """Columns of the terminal; None if the output goes elsewhere, where nothing is to be cut."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def _print_changes(lines, all_of_them: bool) -> None:
    shown = lines if all_of_them else lines[:SHOWN_CHANGES]
    for line in shown:
        print(f"changed: {line}")
    if len(lines) > len(shown):
        print(f"changed: {len(lines) - len(shown)} more; --list prints all.")
