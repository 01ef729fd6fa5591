"""The command `configs` of the command line."""

# Nothing here may import TensorFlow before the command runs, see `main`.
from tfmaskrcnn.cli.arguments import command


def add_parser(commands) -> None:
    """`tfmaskrcnn configs`."""
    parser = command(
        commands,
        "configs",
        _configs,
        "List the configurations that come with the package. train, find-rate and show-data take "
        "their names, and so does a YAML file's `base:`. With NAME that file is printed, to be "
        "read or copied.",
    )
    parser.add_argument("name", metavar="NAME", nargs="?", help="print this one")


def _configs(options) -> None:
    from tfmaskrcnn.config.recipes import recipes, summary, unknown

    known = recipes()
    if options.name:
        if options.name not in known:
            raise unknown(options.name)
        with open(known[options.name], encoding="utf-8") as file:
            print(file.read(), end="")
        return
    width = max(map(len, known)) + 2
    for name, path in known.items():
        print(f"{name:{width}}{summary(path)}")
