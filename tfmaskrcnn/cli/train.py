"""The command `train` of the command line."""

# Nothing here may import TensorFlow before the command runs, see `main`.
from tfmaskrcnn.cli.arguments import add_config, add_out, add_set, add_trust_code, command, count


def add_parser(commands) -> None:
    """`tfmaskrcnn train`."""
    parser = command(
        commands,
        "train",
        _train,
        "Train a model. The folder gets config.json, weights.npz (the best epoch by AP; without a "
        "val split the last), states/ "
        "(to resume), history.csv, curves.png, first_batch.png (what the network is fed) and "
        "tensorboard/.",
    )
    add_config(parser)
    add_trust_code(parser)
    add_out(parser, "the run's folder")
    parser.add_argument("--resume", action="store_true", help="go on with the run, or begin it")
    parser.add_argument(
        "--limit",
        type=count,
        metavar="N",
        help="a trial before a long run: two epochs, evaluated, on N images of each split (at "
        "least one batch)",
    )
    add_set(parser)


def _train(options) -> None:
    from tfmaskrcnn.checkpoints.training_config import training_config

    given = options.config, options.out, options.set, options.trust_code, options.limit
    config = training_config(*given)

    from tfmaskrcnn.train import train

    train(config, options.out, options.resume)
