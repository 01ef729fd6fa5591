"""The command `weights` of the command line."""

import os

# Nothing here may import TensorFlow before the command runs, see `main`.
from tfmaskrcnn.cli.arguments import command

_NUMBERS = {
    "box AP": "box_ap",
    "mask AP": "mask_ap",
    "keyp. AP": "keypoint_ap",
    "top 1": "top1",
    "MB": "megabytes",
}


def add_parser(commands) -> None:
    """`tfmaskrcnn weights`."""
    parser = command(
        commands,
        "weights",
        _weights,
        "List the weights that others publish and this program knows by name. predict, evaluate, "
        "export and train.weights take the names of models, model.backbone.weights those of "
        "backbones; a file is fetched at first use and kept. With NAME all is told about one.",
    )
    parser.add_argument("name", metavar="NAME", nargs="?", help="tell about this one")


def _weights(options) -> None:
    if options.name:
        _tell(options.name)
        return
    from rich.console import Console

    from tfmaskrcnn.checkpoints.published import BACKBONES, DETECTORS, LICENCES
    from tfmaskrcnn.support.cache_folder import HOME

    console = Console()
    for source, licence in LICENCES.items():
        models = {name: entry for name, entry in DETECTORS.items() if entry.source == source}
        console.print(_table(f"{source}, trained on COCO", models))
        print(f"Licence: {licence}.\n")
    console.print(_table("torchvision, backbones trained on ImageNet", BACKBONES))
    print(f"AP and accuracy as published. What is here lies in {_place('')}")
    print(f"({HOME} in the environment names another folder for it).")


def _table(title: str, entries):
    """A `rich` table with the columns that some of `entries` have."""
    from tfmaskrcnn.support.tables import new_table

    shown = {
        column: key
        for column, key in _NUMBERS.items()
        if any(getattr(entry, key) is not None for entry in entries.values())
    }
    table = new_table(title, ("name",), (*shown, "here"))
    table.columns[0].no_wrap = True  # it is to be copied
    for name, entry in entries.items():
        table.add_row(name, *(_number(getattr(entry, key)) for key in shown.values()), _here(name))
    return table


def _tell(name: str) -> None:
    """All about one of them."""
    from tfmaskrcnn.checkpoints.published import LICENCES, published

    entry = published(name)
    about = {
        "published by": entry.source,
        "licence": LICENCES[entry.source],
        "address": entry.address,
        **{text: _number(getattr(entry, key)) for text, key in _NUMBERS.items()},
        "checked by": f"{entry.check} {entry.digest.split(':')[1]}",
        "settings": " ".join(entry.settings),
        "file": os.path.join(_place(name), entry.file),
        "here": _here(name) or "no, it is fetched at first use",
    }
    for text, value in about.items():
        if value:
            print(f"{text:<14}{value}")


def _number(value) -> str:
    return "" if value is None else f"{value:.1f}"


def _here(name: str) -> str:
    from tfmaskrcnn.checkpoints.published import published

    return "yes" if os.path.exists(os.path.join(_place(name), published(name).file)) else ""


def _place(name: str) -> str:
    from tfmaskrcnn.checkpoints.fetching import weights_folder

    return weights_folder(name)
