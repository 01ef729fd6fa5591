"""The command `check-data` of the command line."""

# Nothing here may import TensorFlow before the command runs, see `main`.
from tfmaskrcnn.cli.arguments import add_data, add_set, command, count

SHOWN_CHANGES = 20  # without --list


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
    parser.add_argument("--limit", type=count, metavar="N", help="only the first N images")
    parser.add_argument("--list", action="store_true", help="print every finding and change")
    add_set(parser)


def _check(options) -> int:
    from tfmaskrcnn.config.yaml_files import load_config
    from tfmaskrcnn.support.files import writable_file
    from tfmaskrcnn.support.progress_bar import progress_bar

    for path in filter(None, (options.html, options.fix)):
        writable_file(path)
    config = load_config(options.config, options.set)

    from tfmaskrcnn.data.checking import check, write_page, write_repaired
    from tfmaskrcnn.data.checking.check_result import printable

    others = options.other, options.other_images
    with progress_bar("checking") as progress:
        result = check(options.json, options.images, config, *others, options.limit, progress)
    changes = write_repaired(result, options.fix) if options.fix else []
    if options.list:
        for finding in result.findings:
            print(printable(f"{finding.rule}: {finding.message}"))
    _print_changes([printable(change.message) for change in changes], options.list)
    print(result.table())
    if result.findings and not (options.list or options.html):
        print("--list prints every finding, --html FILE shows them in pictures.")
    if options.fix:
        print(f"mended      {options.fix} ({len(changes)} changes)")
    if options.html:
        print(f"page        {write_page(result, options.html, changes)}")
    return 1 if result.num_errors else 0


def _print_changes(lines, all_of_them: bool) -> None:
    shown = lines if all_of_them else lines[:SHOWN_CHANGES]
    for line in shown:
        print(f"changed: {line}")
    if len(lines) > len(shown):
        print(f"changed: {len(lines) - len(shown)} more; --list prints all.")
