"""The command `find-rate` of the command line."""

# Nothing here may import TensorFlow before the command runs, see `main`.
from tfmaskrcnn.cli.arguments import add_config, add_out, add_set, add_trust_code, command, count


def add_parser(commands) -> None:
    """`tfmaskrcnn find-rate`."""
    parser = command(
        commands,
        "find-rate",
        _find_rate,
        "Suggest a learning rate by a short run in which it rises. Writes rate.png and rate.csv; "
        "the weights of that run are not kept.",
    )
    add_config(parser)
    add_trust_code(parser)
    add_out(parser)
    parser.add_argument("--steps", type=count, default=100, metavar="N", help="of the run (100)")
    add_set(parser)


def _find_rate(options) -> None:
    from tfmaskrcnn.checkpoints.named_runs import with_network_of_weights
    from tfmaskrcnn.config.run_paths import with_paths_found
    from tfmaskrcnn.config.yaml_files import load_config
    from tfmaskrcnn.support.files import writable_folder
    from tfmaskrcnn.support.progress_bar import progress_bar

    config = load_config(options.config, options.set, options.trust_code)
    config = with_paths_found(config, options.config)
    folder = writable_folder(options.out)
    config = with_network_of_weights(config, options.config, options.set)

    from tfmaskrcnn.train.auto.auto_config import settled
    from tfmaskrcnn.train.rate_finder import find_rate, suggestion, write_curve

    config = settled(config)
    with progress_bar("finding a rate") as progress:
        curve = find_rate(config, options.steps, progress)
    picture = write_curve(curve, folder, config.train.learning_rate)
    print(f"curve       {picture}")
    print(f"suggested   train.learning_rate={suggestion(curve):g}")
