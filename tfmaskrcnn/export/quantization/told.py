"""What is told of a file in eight bits, and what it is made of."""

import re
from typing import Sequence

from tfmaskrcnn.errors import InputError
from tfmaskrcnn.inference.exported import exported_json


def refuse_other_precisions(folder: str) -> None:
    """Raise `InputError` unless the SavedModel in `folder` is of float32."""
    made_in = exported_json(folder, "export.json").get("options", {}).get("precision", "float32")
    if made_in != "float32":
        raise InputError(f"{folder} is of {made_in}; eight bits are made of a model of float32.")


def summary_text(integer: int, last: Sequence[str], kinds: Sequence[str]) -> str:
    """Lines for a terminal.

    Args:
        integer: how many nodes multiply by weights in eight bits.
        last: names of nodes that do so in float32.
        kinds: of other nodes that are worth telling, in float32.
    """
    layers = list(dict.fromkeys(layer_name(name) for name in last))
    return (
        f"eight bits  {integer} convolutions and matrix products, and what lies between them\n"
        f"float32     {', '.join([*layers, *kinds])}, and the arithmetic of boxes and masks"
    )


def layer_name(node: str) -> str:
    """The layer of a node: ".../rpn_1/objectness_1/BiasAdd_3;..." -> "rpn/objectness"."""
    parts = [re.sub(r"_\d+$", "", part) for part in node.split(";")[0].split("/")[:-1]]
    parts = [part for part in parts if part not in ("StatefulPartitionedCall", "part")]
    return "/".join(parts[-2:]) or node
