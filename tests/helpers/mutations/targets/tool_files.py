"""Good files of annotation tools, mutated: a function a source, which writes into a folder.

Each takes (folder, rng) and returns (what the importer is given, what was done, in words).
"""

import base64
import io
import json
from xml.etree import ElementTree

import numpy as np
from PIL import Image

from helpers.mutations.damage import damaged, damaged_text
from helpers.mutations.targets.good_sets import HEIGHT, WIDTH, write_images
from helpers.mutations.texts import as_json, as_yaml
from helpers.mutations.values import mutated

SQUARE = [[10, 8], [30, 8], [30, 28], [10, 28]]
TRIANGLE = [[4.5, 5], [20, 5], [20, 15.25]]
NAMES = ("a.png", "b.png")
_VIA_SHAPES = (
    {"name": "polygon", "all_points_x": [10, 30, 30, 10], "all_points_y": [8, 8, 28, 28]},
    {"name": "polyline", "all_points_x": [10, 30, 30, 10], "all_points_y": [8, 8, 28, 8]},
    {"name": "rect", "x": 4, "y": 6, "width": 30, "height": 20},
    {"name": "circle", "cx": 30, "cy": 20, "r": 9},
    {"name": "ellipse", "cx": 30, "cy": 20, "rx": 20, "ry": 9, "theta": 0.4},
    {"name": "point", "cx": 3, "cy": 3},
)


def via(folder, rng):
    write_images(folder, NAMES)
    kinds = ("leaf", {"leaf": True, "stem": False}, "stem", "leaf", "stem", "leaf")
    regions = [
        {"shape_attributes": dict(shape), "region_attributes": {"kind": kind}}
        for shape, kind in zip(_VIA_SHAPES, kinds)
    ]
    entries = {
        "a.png1": {"filename": "a.png", "size": 1, "regions": regions, "file_attributes": {}},
        "b.png2": {"filename": "b.png", "size": 2, "regions": {"0": regions[0]}},
    }
    raw = {"_via_settings": {"ui": {}}, "_via_img_metadata": entries, "_via_attributes": {}}
    return _json(folder / "via.json", rng.choice((raw, entries)), rng)


def labelme(folder, rng):
    write_images(folder, NAMES)
    buffer = io.BytesIO()
    Image.fromarray(np.full((20, 20), 255, np.uint8)).save(buffer, "png")
    mask = base64.b64encode(buffer.getvalue()).decode()
    shapes = [
        {"label": "leaf", "points": SQUARE, "shape_type": "polygon", "group_id": None},
        {"label": "stem", "points": [[40, 30], [44, 33]], "shape_type": "circle", "group_id": 1},
        {"label": "leaf", "points": [[4, 4], [20, 20]], "shape_type": "rectangle"},
        {"label": "leaf", "points": TRIANGLE, "shape_type": "polygon", "group_id": 1},
        {"label": "stem", "points": [[10, 8], [29, 27]], "shape_type": "mask", "mask": mask},
        {"label": "stem", "points": [[1, 1]], "shape_type": "point", "flags": {}},
    ]
    raw = {"version": "5.4.1", "flags": {}, "shapes": shapes, "imagePath": "a.png"}
    raw.update(imageData=None, imageHeight=HEIGHT, imageWidth=WIDTH)
    other = {**raw, "shapes": shapes[:1], "imagePath": "b.png"}
    (folder / "b.json").write_text(json.dumps(other))
    _, notes = _json(folder / "a.json", raw, rng)
    return folder, notes


def cvat(folder, rng):
    write_images(folder / "images", NAMES)
    shapes = (
        '<polygon label="leaf" points="10.00,8.00;30.00,8.00;30.00,28.00" group_id="2"/>'
        '<box label="stem" xtl="4" ytl="6" xbr="20" ybr="30" rotation="30.0"/>'
        '<ellipse label="leaf" cx="30" cy="20" rx="20" ry="9" rotation="10"/>'
        '<mask label="stem" rle="1, 2, 3, 1, 1" left="5" top="10" width="4" height="2"/>'
        '<polyline label="leaf" points="1,1;2,2"/><tag label="leaf"/>'
    )
    size = f'width="{WIDTH}" height="{HEIGHT}"'
    labels = "<label><name>leaf</name></label><label><name>stem</name></label>"
    text = (
        '<?xml version="1.0" encoding="utf-8"?><annotations><version>1.1</version>'
        f"<meta><task><labels>{labels}</labels></task></meta>"
        f'<image id="0" name="a.png" {size}>{shapes}</image>'
        f'<image id="1" name="b.png" {size}></image></annotations>'
    )
    path = folder / "annotations.xml"
    if rng.random() < 0.25:
        content, notes = damaged(text.encode(), rng)
        path.write_bytes(content)
        return path, notes
    raw, notes = mutated(_as_value(ElementTree.fromstring(text)), rng)
    path.write_text(_as_xml(raw), encoding="utf-8", errors="replace")
    return path, notes


def _as_value(element):
    children = [_as_value(child) for child in element]
    attributes = {key: _as_number(text) for key, text in element.attrib.items()}
    if "points" in attributes:
        attributes["points"] = [
            [float(v) for v in pair.split(",")] for pair in attributes["points"].split(";")
        ]
    return {"tag": element.tag, "attributes": attributes, "text": element.text, "in": children}


def _as_number(text):
    return int(text) if text.isdigit() else text


def _as_xml(value) -> str:
    """XML of a mutated value; what is no element any more becomes text."""
    if not isinstance(value, dict) or not isinstance(value.get("tag"), str):
        return _escaped(value)
    tag = "".join(c for c in value["tag"] if c.isalnum())[:50] or "x"
    attributes = value.get("attributes")
    pairs = list(attributes.items()) if isinstance(attributes, dict) else []
    text = "".join(f' {_name(k)}="{_escaped(v)}"' for k, v in dict(pairs).items())
    inside = value.get("in")
    children = inside if isinstance(inside, list) else [inside]
    text_inside = _escaped(value.get("text") or "")
    return f"<{tag}{text}>{text_inside}{''.join(map(_as_xml, children))}</{tag}>"


def _name(key) -> str:
    return "".join(c for c in str(key) if c.isalnum())[:50] or "x"


def _escaped(value) -> str:
    if isinstance(value, list) and all(isinstance(v, list) for v in value):
        value = ";".join(",".join(map(_short, pair)) for pair in value)
    text = _short(value)
    for one, other in (("&", "&amp;"), ("<", "&lt;"), ('"', "&quot;"), ("\0", ""), ("\x1b", "")):
        text = text.replace(one, other)
    return text


def _short(value) -> str:
    text = str(value)
    return text[5:-2] if text.startswith("@@RAW") else text


def voc(folder, rng):
    objects, kinds = np.zeros((HEIGHT, WIDTH), np.uint8), np.zeros((HEIGHT, WIDTH), np.uint8)
    objects[4:24, 4:24], kinds[4:24, 4:24] = 1, 12
    objects[30:40, 30:60], kinds[30:40, 30:60] = 2, 15
    objects[4, 4:24] = kinds[4, 4:24] = 255
    write_images(folder / "JPEGImages", ("one.jpg", "two.jpg"))
    files = {}
    for name, numbers in (("SegmentationObject", objects), ("SegmentationClass", kinds)):
        (folder / name).mkdir()
        image = Image.fromarray(numbers, "P")
        image.putpalette([c for v in range(256) for c in (v, v * 7 % 256, v * 13 % 256)])
        for stem in ("one", "two"):
            files[f"{name}/{stem}.png"] = _png(image)
    labels = "# label:color_rgb:parts:actions\nbackground:0,0,0::\nleaf:12,84,156::\n"
    labels += "stem:15,105,195::\n"
    if rng.random() < 0.7:
        files["labelmap.txt"] = labels.encode()
    return folder, _files(folder, files, rng)


def png_masks(folder, rng):
    numbers = np.zeros((HEIGHT, WIDTH), np.uint16)
    numbers[4:24, 4:24], numbers[30:40, 30:60], numbers[0:2, 0:2] = 1, 300, 65535
    small = (numbers % 251).astype(np.uint8)
    if rng.random() < 0.5:  # the layout of the Data Science Bowl
        write_images(folder / "x" / "images", ("x.png",))
        files = {f"x/masks/{k}.png": _png(Image.fromarray(numbers == k)) for k in (1, 300)}
        return folder, _files(folder, files, rng)
    write_images(folder, ("x/images/x.png", "y/images/y.png"))
    ending = rng.choice(("png", "png", "tif", "bmp", "gif"))
    mask = Image.fromarray(numbers) if ending == "png" else Image.fromarray(small)
    buffer = io.BytesIO()
    mask.save(buffer, {"tif": "TIFF"}.get(ending, ending))
    return folder, _files(folder, {f"x/masks/m.{ending}": buffer.getvalue()}, rng)


def yolo(folder, rng):
    write_images(folder / "images" / "train", ("a.jpg", "b.jpg"))
    (folder / "labels" / "train").mkdir(parents=True)
    lines = "0 0.1 0.1 0.4 0.1 0.4 0.5\n1 0.5 0.5 0.25 0.5\n\n0 0.2 0.2 0.9 0.2 0.9 0.9 0.2 0.9\n"
    settings = {"path": ".", "train": "images/train", "val": "images/train"}
    settings["names"] = rng.choice(({0: "leaf", 1: "stem"}, ["leaf", "stem"]))
    settings["nc"] = 2
    notes = []
    if rng.random() < 0.5:
        settings, notes = mutated(settings, rng)
    else:
        lines, notes = damaged_text(lines, rng)
    text = as_yaml(settings)
    if rng.random() < 0.1:
        text, more = damaged_text("\n".join(text.split(", ")), rng)
        notes += more
    label = folder / "labels" / "train" / "a.txt"
    label.write_text(lines, encoding="utf-8", errors="replace")
    (folder / "data.yaml").write_text(text, encoding="utf-8", errors="replace")
    return folder / "data.yaml", notes


def qupath(folder, rng):
    write_images(folder, ("p0.png", "p1.png"))
    ring = [*SQUARE, SQUARE[0]]
    hole = [[14, 12], [20, 12], [20, 20], [14, 12]]

    def feature(kind, coordinates, name):
        about = {"objectType": "annotation", "classification": {"name": name, "color": [1, 2, 3]}}
        shape = {"type": kind, "coordinates": coordinates}
        return {"type": "Feature", "id": name, "geometry": shape, "properties": about}

    features = [
        feature("Polygon", [ring], "leaf"),
        feature("Polygon", [ring, hole], "leaf"),
        feature("MultiPolygon", [[ring], [[[40, 30], [50, 30], [50, 40], [40, 30]]]], "stem"),
        feature("Point", [3, 3], "stem"),
        feature("LineString", [[3, 3], [9, 9]], "stem"),
    ]
    raw = {"type": "FeatureCollection", "features": features}
    (folder / "p1.geojson").write_text(json.dumps({**raw, "features": features[:1]}))
    _, notes = _json(folder / "p0.geojson", raw, rng)
    return folder, notes


def label_studio(folder, rng):
    write_images(folder, NAMES)
    size = {"original_width": WIDTH, "original_height": HEIGHT, "image_rotation": 0}
    common = {**size, "from_name": "label", "to_name": "image"}
    points = [[10.0, 10.0], [50.0, 10.0], [50.0, 60.0]]
    box = {"x": 10, "y": 20, "width": 30, "height": 40, "rotation": 0}
    round_one = {"x": 50, "y": 50, "radiusX": 10, "radiusY": 20, "rotation": 0}
    results = [
        {**common, "id": "a", "type": "polygonlabels", "value": {"points": points}},
        {**common, "id": "b", "type": "rectanglelabels", "value": box},
        {**common, "id": "c", "type": "ellipselabels", "value": round_one},
        {**common, "id": "d", "type": "choices", "value": {"choices": ["good"]}},
    ]
    for result, name in zip(results, ("leaf", "stem", "leaf")):
        result["value"][result["type"]] = [name]
    tasks = [
        {
            "id": n,
            "data": {"image": f"/data/upload/1/{name}"},
            "annotations": [{"id": n, "result": results, "was_cancelled": False}],
        }
        for n, name in enumerate(NAMES)
    ]
    return _json(folder / "export.json", tasks, rng)


def _json(path, raw, rng):
    """Write a mutated value, or now and then a damaged text of the good one."""
    if rng.random() < 0.1:
        content, notes = damaged(json.dumps(raw).encode(), rng)
        path.write_bytes(content)
        return path, notes
    raw, notes = mutated(raw, rng)
    path.write_text(as_json(raw), encoding="utf-8", errors="replace")
    return path, notes


def _png(image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "png")
    return buffer.getvalue()


def _files(folder, files, rng):
    """Write files, one of them damaged or exchanged with another."""
    name, other = rng.choice(sorted(files)), rng.choice(sorted(files))
    if rng.random() < 0.2:
        files[name], notes = files[other], [f"{name} is {other}"]
    else:
        files[name], notes = damaged(files[name], rng, files[other])
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return [name, *notes]


FILES = {
    "via": via,
    "labelme": labelme,
    "cvat": cvat,
    "voc": voc,
    "png-masks": png_masks,
    "yolo": yolo,
    "qupath": qupath,
    "label-studio": label_studio,
}
