"""Image files of every format, read for training and looked at by check-data."""

import io

import numpy as np
from PIL import Image

from helpers.mutations.damage import damaged, png_with_sums
from helpers.mutations.outcomes import expect
from helpers.mutations.targets.good_sets import HEIGHT, WIDTH
from helpers.mutations.targets.target import Target
from tfmaskrcnn.errors import InputError


def good_images() -> dict:
    """Name -> content of images of 48 x 64 pixels: each format, and modes that are read apart."""
    rng = np.random.default_rng(0)
    small = rng.integers(0, 256, (HEIGHT // 4, WIDTH // 4, 3), np.uint8)
    picture = Image.fromarray(small).resize((WIDTH, HEIGHT))
    deep = (np.asarray(picture.convert("L")).astype(np.uint16) * 257).astype(np.uint16)
    turned = Image.Exif()
    turned[0x0112] = 6
    found = {
        "rgb.png": _saved(picture, "PNG"),
        "rgba.png": _saved(picture.convert("RGBA"), "PNG"),
        "palette.png": _saved(picture.convert("P"), "PNG"),
        "deep.png": _saved(Image.fromarray(deep), "PNG"),
        "one.png": _saved(picture.convert("1"), "PNG"),
        "rgb.jpg": _saved(picture, "JPEG", quality=90),
        "grey.jpg": _saved(picture.convert("L"), "JPEG"),
        "turned.jpg": _saved(picture, "JPEG", exif=turned),
        "progressive.jpg": _saved(picture, "JPEG", progressive=True),
        "cmyk.jpg": _saved(picture.convert("CMYK"), "JPEG"),
        "raw.tif": _saved(picture, "TIFF"),
        "lzw.tif": _saved(picture, "TIFF", compression="tiff_lzw"),
        "deflate.tif": _saved(Image.fromarray(deep), "TIFF", compression="tiff_deflate"),
        "rgb.bmp": _saved(picture, "BMP"),
        "palette.bmp": _saved(picture.convert("P"), "BMP"),
        "lossy.webp": _saved(picture, "WEBP"),
        "exact.webp": _saved(picture, "WEBP", lossless=True),
        "one.gif": _saved(picture.convert("P"), "GIF"),
        "two.gif": _saved(
            *(picture.convert("P"), "GIF"),
            **{"save_all": True, "append_images": [picture.convert("P").rotate(9)]},
        ),
    }
    for name, array in (("rgb.npy", np.asarray(picture)), ("float.npy", deep.astype(np.float32))):
        buffer = io.BytesIO()
        np.save(buffer, array)
        found[name] = buffer.getvalue()
    return found


def _saved(picture: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


class Images(Target):
    """`read_image` and `image_facts`, which have to agree."""

    def open(self):
        self.good = good_images()

    def run(self, rng, folder):
        from tfmaskrcnn.data.coco.image_files import image_facts, read_image

        name, path, sums = self.damaged_file(rng, folder)
        channels = rng.choice((3, 3, 3, 1, 4))
        read, problem = self._tried(lambda: read_image(str(path), None, channels))
        facts, other = self._tried(lambda: image_facts(str(path), channels))
        expect(
            (read is None) == (facts is None) or read is None and path.suffix == ".jpg",
            f"reading says {problem!r:.200}, check-data says {other!r:.200}",
        )
        if problem or other:
            raise problem or other
        expect(read.dtype == np.uint8 and read.shape[2] == channels, f"{read.dtype} {read.shape}")
        expect(read.shape[:2] == facts[:2], f"{read.shape} is read, {facts[:2]} told")
        if path.suffix == ".png" and not sums:
            self._like_the_good_one(read, name, folder, channels, read_image)

    def damaged_file(self, rng, folder):
        """(name of the good one, path of a damaged one, whether a PNG's sums were mended)."""
        name = rng.choice(sorted(self.good))
        content, notes = damaged(self.good[name], rng, self.good[rng.choice(sorted(self.good))])
        sums = name.endswith(".png") and rng.random() < 0.4
        if sums:
            content = png_with_sums(content)
        self.note([name, *notes, *(["sums mended"] if sums else [])])
        ending = rng.choice((".png", ".jpg", ".npy")) if rng.random() < 0.05 else f".{name[-3:]}"
        ending = ".webp" if ending == ".ebp" else ending
        path = folder / f"image{ending}"
        path.write_bytes(content)
        return name, path, sums

    @staticmethod
    def _tried(read):
        try:
            return read(), None
        except InputError as error:
            return None, error

    def _like_the_good_one(self, read, name, folder, channels, read_image):
        """A PNG has checksums: what they do not hold for must not be learned from."""
        if name[-3:] != "png":
            return
        (folder / name).write_bytes(self.good[name])
        good = read_image(str(folder / name), None, channels)
        same = good.shape == read.shape and (good == read).all()
        expect(same, "other pixels are read than were written, though a PNG has checksums")
