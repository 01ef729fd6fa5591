"""What every section of the configuration is made of: a frozen model, and types of its values."""

from typing import Annotated, Literal, Tuple

import pydantic
from pydantic import Field

Count = Annotated[int, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]  # of a whole; also an IoU or a probability
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
FourFactors = Tuple[Positive, Positive, Positive, Positive]
# none: a bias alone; frozen_bn: fixed statistics and scale; bn and sync_bn: batch normalisation
# that is trained, over the batches of all replicas together; gn: group norm of 32 groups.
Norm = Literal["none", "frozen_bn", "bn", "sync_bn", "gn"]


class Section(pydantic.BaseModel):
    """A frozen part of the configuration that refuses unknown keys."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid", validate_default=True)
