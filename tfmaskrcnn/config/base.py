"""What every section of the configuration is made of: a frozen model, and types of its values."""

from typing import Annotated, Literal, Tuple

import pydantic
from pydantic import Field

from tfmaskrcnn.config.refusals import refusal
from tfmaskrcnn.errors import InputError

# Every number has an end beyond which nobody can mean it. What is built or read from a number is
# bounded by these, so that a slip of the finger ends in a sentence and not in a full memory.
Count = Annotated[int, Field(gt=0, le=1_000_000)]
Side = Annotated[int, Field(gt=0, le=1 << 16)]  # pixels; JPEG ends there
Few = Annotated[int, Field(gt=0, le=100)]  # layers one after the other, images at a time, ...
Channels = Annotated[int, Field(gt=0, le=1 << 14)]  # of a layer
Objects = Annotated[int, Field(gt=0, le=100_000)]  # in or of an image, before and after NMS
Finite = Annotated[float, Field(ge=-1e9, le=1e9, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]  # of a whole; also an IoU or a probability
Positive = Annotated[float, Field(gt=0, le=1e9, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]
FourFactors = Tuple[Positive, Positive, Positive, Positive]
Id = Annotated[int, Field(ge=-(1 << 53), le=1 << 53)]  # of a data set; JSON's readers go so far
MAX_CLASSES = 100_000
MAX_PIXELS = 1 << 27  # of the network's input; 11585 x 11585
MAX_NUMBERS = 1 << 30  # in one tensor: 4 GB of float32
# none: a bias alone; frozen_bn: fixed statistics and scale; bn and sync_bn: batch normalisation
# that is trained, over the batches of all replicas together; gn: group norm of 32 groups.
Norm = Literal["none", "frozen_bn", "bn", "sync_bn", "gn"]


class _Told(type(pydantic.BaseModel)):
    """Makes of what pydantic finds wrong, when a section is made in Python, one sentence."""

    def __call__(cls, *args, **values):
        try:
            return super().__call__(*args, **values)
        except pydantic.ValidationError as error:
            raise refusal(error, cls, cls.__name__) from None


class Section(pydantic.BaseModel, metaclass=_Told):
    """A frozen part of the configuration that refuses unknown keys.

    Raises:
        InputError: a value is wrong, or a key is unknown.
    """

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid", validate_default=True)

    def __setattr__(self, name, value):
        """Private notes alone may be set."""
        if not name.startswith("_"):
            raise InputError(
                f"{type(self).__name__}.{name:.60} cannot be set: a configuration does not change. "
                "Make another, such as mr.load_config(path, ['train.epochs=5'])."
            )
        super().__setattr__(name, value)
