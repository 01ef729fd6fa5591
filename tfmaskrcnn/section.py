"""What every section of the configuration is made of: a frozen model, and types of its values."""

from typing import Annotated

import pydantic
from pydantic import Field

Count = Annotated[int, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]  # of a whole; also an IoU or a probability
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Section(pydantic.BaseModel):
    """A frozen part of the configuration that refuses unknown keys."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid", validate_default=True)
