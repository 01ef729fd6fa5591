"""How `Instances` show themselves in a notebook: they have no image, so on plain ground."""

import base64
import html
import io

import numpy as np
from PIL import Image

from tfmaskrcnn.drawing.drawing_style import DrawingStyle, picture_size
from tfmaskrcnn.drawing.overlays import draw
from tfmaskrcnn.instances import Instances

ROWS = 10  # of the table
DRAWN = 1000  # of objects at most: more take seconds, and cannot be told apart in so few pixels
_SIDES = (320, 640)  # pixels, least and most, of the picture's longer side
_GROUND = 58  # grey that both dark and bright pages leave room for


def as_html(found: Instances) -> str:
    """A sentence, a picture of the objects, and the first rows of a table of them."""
    text = html.escape(repr(found)[1:-1])  # without its angle brackets
    picture = base64.b64encode(as_png(found)).decode("ascii")
    image = f'<img alt="{text}" src="data:image/png;base64,{picture}">'
    if not len(found):
        return f"<p>{text}</p>{image}"
    first = found[:ROWS]
    head = "".join(f"<th>{h}</th>" for h in ("number", "class", "score", "y1", "x1", "y2", "x2"))
    lines = []
    rows = zip(found.numbers[:ROWS], first.names, first.scores, first.boxes.tolist())
    for number, name, score, box in rows:
        cells = [str(number), html.escape(name), f"{score:.3f}", *(f"{side:.1f}" for side in box)]
        lines.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    more = len(found) - len(first)
    rest = f"<p>... and {more} more</p>" if more else ""
    return f"<p>{text}</p>{image}<table><tr>{head}</tr>{''.join(lines)}</table>{rest}"


def as_png(found: Instances) -> bytes:
    """The bytes of a PNG file, of masks, boxes and keypoints on grey, numbered where few."""
    side = int(np.clip(max(found.size), *_SIDES))
    few = len(found) <= ROWS
    style = DrawingStyle(side=side, numbers=few, labels=False, scores=False)
    height, width = picture_size(found.size, style)
    ground = np.full((height, width, 3), _GROUND, np.uint8)
    file = io.BytesIO()
    Image.fromarray(draw(ground, found, 0.0, DRAWN, style=style)).save(file, "PNG")
    return file.getvalue()
