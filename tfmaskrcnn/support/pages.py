"""What our HTML pages have in common: each is one file that loads nothing and runs nothing."""

import base64
import io

from PIL import Image

# Content-Security-Policy of a page: whatever the data say, no script runs and nothing is fetched.
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_QUALITIES = (82, 65, 45, 25)  # of JPEG, until a picture is small enough

LOOK = """
:root { color-scheme: light; --wrong: #c62828; --odd: #b26a00; --note: #5f6b76; --good: #2e7d32 }
body { font: 15px/1.45 system-ui, sans-serif; color: #1d232a; max-width: 1060px;
  margin: 2em auto; padding: 0 1em }
h1 { font-size: 1.3em; overflow-wrap: anywhere } h2 { margin-top: 1.8em; font-size: 1.15em }
h3 { font-size: 0.95em; font-weight: 600; margin: 1.4em 0 0.3em }
table { border-collapse: collapse } td, th { padding: 0.2em 1em 0.2em 0; text-align: left;
  vertical-align: top; overflow-wrap: anywhere }
.number { text-align: right; white-space: nowrap }
summary { cursor: pointer } summary span { color: var(--note) }
figure { margin: 0 }
figcaption { font-size: 0.78em; line-height: 1.3; color: var(--note); overflow-wrap: anywhere;
  margin-top: 0.3em }
svg { font: 11px system-ui, sans-serif }
.share { background: #8db4de; height: 0.8em; margin-top: 0.35em; min-width: 1px }
"""


def encodable(text: str) -> str:
    """The text with "?" for halves of characters, which a JSON may hold and no file can."""
    return text.encode("utf-8", "replace").decode("utf-8")


def jpeg_uri(image: Image.Image, most: int = 300_000) -> str:
    """A data URI of an RGB picture as JPEG, coarser where it would have more than `most` bytes."""
    for quality in _QUALITIES:
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=quality)
        if buffer.tell() <= most:
            break
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
