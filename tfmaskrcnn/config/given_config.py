"""A configuration of whatever somebody hands to the model for one."""

from typing import Any, Union

import pydantic

from tfmaskrcnn.config.model import ModelConfig
from tfmaskrcnn.config.refusals import refusal
from tfmaskrcnn.config.run import Config
from tfmaskrcnn.errors import InputError


def as_config(given: Any) -> Union[ModelConfig, Config]:
    """`given` itself, or checked if it is a dict, of the model or, with the key "model", the whole.

    Raises:
        InputError: it is no configuration.
    """
    if isinstance(given, dict):
        section = Config if "model" in given else ModelConfig
        try:
            return section.model_validate(given)
        except pydantic.ValidationError as error:
            raise refusal(error, section, "The configuration") from None
    if not isinstance(given, (ModelConfig, Config)):
        raise InputError(f"MaskRCNN takes a ModelConfig, found {type(given).__name__}.")
    return given
