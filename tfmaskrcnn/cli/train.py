"""The command `train` of the command line."""

import os
from typing import List

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
    from tfmaskrcnn.checkpoints.named_runs import with_network_of_weights
    from tfmaskrcnn.config.run_paths import check_paths, with_paths_found
    from tfmaskrcnn.config.trust import check_code
    from tfmaskrcnn.config.yaml_files import load_config
    from tfmaskrcnn.errors import InputError
    from tfmaskrcnn.support.files import DiskFull
    from tfmaskrcnn.support.run_folder import Run

    overrides, run = options.set, Run(options.out)
    config = load_config(options.config, overrides, options.trust_code)
    if options.limit:
        overrides = [*overrides, *_trial(config, options.limit)]
        config = load_config(options.config, overrides, options.trust_code)
    config = with_paths_found(config, options.config, options.out)
    check_paths(config, options.config, options.out)
    check_code(config)
    config = with_network_of_weights(config, options.config, overrides)

    from tfmaskrcnn.data.coco.annotations import Fault
    from tfmaskrcnn.train import train

    try:
        train(config, options.out, options.resume)
    except Fault as fault:
        raise InputError(f"{fault} tfmaskrcnn check-data lists all that is wrong.") from None
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            "Add --resume to go on." if os.path.exists(run.states) else ""
        ) from None
    except DiskFull as error:
        if not os.path.exists(run.states):
            raise
        raise DiskFull(
            f"{error} The states in {run.states} are whole: make room and go on with --resume."
        ) from None
    kept = "" if config.data.val_json else " (of the last epoch: there is no val split)"
    print(f"checkpoint  {run.weights}{kept}")
    print(f"curves      {run.curves}\nhistory     {run.history}")


def _trial(config, limit: int) -> List[str]:
    """Overrides that make a run short, but leave out nothing that a long one does."""
    images = max(limit, config.train.batch_size)
    epochs = min(2, config.train.epochs)
    return [f"data.limit={images}", f"train.epochs={epochs}", "train.evaluate_every=1"]
