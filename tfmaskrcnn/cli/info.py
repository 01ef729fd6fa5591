"""The command `info` of the command line."""

import os

# Nothing here may import TensorFlow before the command runs, see `main`.
from tfmaskrcnn.cli.arguments import MODEL_HELP, command

_CONFIG_ENDINGS = (".yaml", ".yml", ".json")


def add_parser(commands) -> None:
    """`tfmaskrcnn info`."""
    parser = command(
        commands,
        "info",
        _info,
        "What a run folder or SavedModel holds, or a configuration asks for: settings, the memory "
        "that it takes by estimate; and the versions in use.",
    )
    parser.add_argument(
        "model", metavar="MODEL", nargs="?", help=f"{MODEL_HELP}; or a configuration"
    )


def _without_settings_of_what_is_off(model):
    """A model's configuration, which reads the same: a head that is off is one line."""
    off = {"enabled": False}
    return {
        name: off if isinstance(section, dict) and section.get("enabled") is False else section
        for name, section in model.items()
    }


def _described(text: str):
    from tfmaskrcnn.checkpoints.named_runs import model_folder
    from tfmaskrcnn.config.recipes import recipes
    from tfmaskrcnn.config.yaml_files import load_config
    from tfmaskrcnn.inference.description import describe, describe_config

    recipe = text in recipes() and not os.path.exists(text)
    if recipe or text.endswith(_CONFIG_ENDINGS):
        return describe_config(load_config(text))
    return describe(model_folder(text))


def _info(options) -> None:
    import yaml

    from tfmaskrcnn.support.versions import versions

    about = _described(options.model) if options.model else {}
    config = about.get("config", about)
    if "model" in config:
        config["model"] = _without_settings_of_what_is_off(config["model"])
    about["versions"] = versions()
    # Short lists on one line; the configuration can be pasted into a file.
    text = yaml.safe_dump(
        about, sort_keys=False, default_flow_style=None, width=100, allow_unicode=True
    )
    print(text, end="")
