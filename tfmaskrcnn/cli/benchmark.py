"""The command `benchmark` of the command line: `export/latency.py`, which runs without it too."""

# Nothing here may import TensorFlow before the command runs, see `main`.
from tfmaskrcnn.cli.arguments import command
from tfmaskrcnn.support.shipped import script


def add_parser(commands) -> None:
    """`tfmaskrcnn benchmark`."""
    parser = command(
        commands,
        "benchmark",
        _benchmark,
        "Latency, throughput and memory of exported models. Each runs in a process of its own, in "
        "turns, so that whatever else the machine does falls on all alike.",
    )
    script("latency_arguments").add_arguments(parser)


def _benchmark(options) -> None:
    import argparse

    from tfmaskrcnn.errors import InputError

    latency = script("latency")
    ours = ("command", "run", "verbose")
    given = {name: value for name, value in vars(options).items() if name not in ours}
    try:
        latency.report(argparse.Namespace(**given))
    except latency.Refused as error:
        raise InputError(str(error)) from None
