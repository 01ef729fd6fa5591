"""`box_head.class_weights` as a person writes it, and as numbers of classes 0..K."""

from typing import Any, Dict, Literal, Mapping, Optional, Sequence, Tuple, Union

from tfmaskrcnn.errors import InputError, listed, quoted
from tfmaskrcnn.support.suggestions import did_you_mean

BALANCED = "balanced"
# Class name -> factor of its objects' loss, 1 where a class is not named; or `BALANCED`, which the
# training data turn into such numbers (`data.batches.balanced_weights`).
ClassWeights = Union[Literal["balanced"], Dict[str, float]]
MOST = 1e9


def checked_weights(value: Any) -> ClassWeights:
    """`value` if it is "balanced" or a mapping of names to numbers above 0.

    Raises:
        ValueError: it is neither, or a name or a number is wrong.
    """
    if value == BALANCED:
        return BALANCED
    if not isinstance(value, Mapping):
        raise ValueError("wanted balanced, or the names of classes with a number above 0 each")
    for name, weight in value.items():
        if not isinstance(name, str) or not name:
            hint = "" if name == "" else "; put names that YAML takes for something else in quotes"
            raise ValueError(f"{quoted(name)} is no name{hint}")
        number = isinstance(weight, (int, float)) and not isinstance(weight, bool)
        if not number or not 0 < weight <= MOST:  # nor NaN
            why = "; data.classes leaves a class out of training" if weight == 0 else ""
            raise ValueError(
                f"{quoted(name)} wants a number above 0, {quoted(weight)} is none{why}"
            )
    return dict(value)


def check_weighed(weights: ClassWeights, names: Sequence[str]) -> None:
    """Refuse weights of classes that are not among `names`, if these are known.

    Raises:
        ValueError: one is not.
    """
    if weights == BALANCED or not names:
        return
    for name in weights:
        if name not in names:
            hint = did_you_mean(name, names) or f"the classes are {listed(names)}."
            raise ValueError(f"box_head.class_weights: there is no class {quoted(name)}; {hint}")


def weights_by_class(weights: ClassWeights, names: Sequence[str]) -> Optional[Tuple[float, ...]]:
    """K + 1 factors of the loss, 1 for the background; None where nothing is weighed.

    Args:
        weights: `box_head.class_weights`.
        names: `model.class_names`, K of them.

    Raises:
        InputError: the training data have not turned them into numbers, or the classes have no
            names, or others.
    """
    if not weights:
        return None
    if weights == BALANCED:
        raise InputError(
            "box_head.class_weights is balanced, which counts the objects of the training data: "
            "config = mr.data.with_classes_of(mr.data.load_coco(JSON, IMAGES), config), or give "
            "numbers by name."
        )
    if not names:
        raise InputError(
            f"box_head.class_weights weighs {listed(weights)}, but the model's classes have no "
            "names: set model.class_names, or config = mr.data.with_classes_of(JSON, config)."
        )
    try:
        check_weighed(weights, names)
    except ValueError as error:
        raise InputError(str(error)) from None
    return (1.0, *(float(weights.get(name, 1.0)) for name in names))
