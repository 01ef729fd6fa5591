"""The rules that a data set is checked against, and what a broken one looks like."""

from typing import Dict, NamedTuple, Optional

WRONG, ODD, NOTE = "wrong", "odd", "note"
LEVELS = (WRONG, ODD, NOTE)


class Rule(NamedTuple):
    """What is checked; `data.annotations.Fault` names the first ones."""

    level: str  # wrong: training stops or learns nonsense. odd: look at it. note: good to know
    title: str
    advice: str = ""  # what to do about it


class Finding(NamedTuple):
    """One place where a rule is broken."""

    rule: str  # a key of `RULES`
    message: str  # a sentence that names file, ids and values
    file_name: str = ""
    image_id: Optional[int] = None
    annotation_id: Optional[int] = None


_FIX = "--fix does it."
RULES: Dict[str, Rule] = {
    # In another form than COCO's, but clear.
    "list-form": Rule(WRONG, "lists in another form than COCO's", _FIX),
    "id-form": Rule(WRONG, "ids that are no integers", _FIX),
    "name-form": Rule(WRONG, "category names that are no texts", _FIX),
    "file-name": Rule(WRONG, "file names that lead elsewhere", f"The files were found; {_FIX}"),
    "box-form": Rule(WRONG, "boxes in another form than COCO's", _FIX),
    "crowd-form": Rule(WRONG, "crowd flags that are no integers", _FIX),
    "mask-form": Rule(WRONG, "masks in another form than COCO's", _FIX),
    "mask-is-box": Rule(
        WRONG, "boxes in the place of masks", f"The mask becomes the rectangle; {_FIX}"
    ),
    "rle-rows": Rule(WRONG, "RLEs counted along rows", f"COCO counts along columns; {_FIX}"),
    # Found by `load_coco`, which stops at the first.
    "entry": Rule(WRONG, "entries that are not as COCO has them"),
    "category-id": Rule(WRONG, "category ids used twice", "Number the categories anew."),
    "image-id": Rule(WRONG, "image ids used twice", "Number the images anew."),
    "image-missing": Rule(WRONG, "image files that do not exist", "Look at the image folder."),
    "annotation-id": Rule(WRONG, "annotation ids used twice", f"Number them anew; {_FIX}"),
    "unknown-image": Rule(WRONG, "annotations of images that do not exist", f"Drop them; {_FIX}"),
    "unknown-category": Rule(WRONG, "annotations of categories that do not exist"),
    "box": Rule(WRONG, "boxes that are not four finite numbers", f"Take the mask's; {_FIX}"),
    "box-area": Rule(WRONG, "boxes without area", f"Take the mask's or drop them; {_FIX}"),
    "box-outside": Rule(
        WRONG, "boxes outside their image", f"Take the mask's or drop them; {_FIX}"
    ),
    "segmentation": Rule(
        WRONG, "objects without a mask", "mask_head.enabled=false trains on boxes alone."
    ),
    "polygon": Rule(WRONG, "polygons that are none", f"Drop them; {_FIX}"),
    "mask-area": Rule(WRONG, "masks without area", f"Drop them; {_FIX}"),
    "polygon-outside": Rule(WRONG, "polygons outside their image", f"Drop them; {_FIX}"),
    "rle": Rule(WRONG, "RLEs that cannot be decoded"),
    "rle-size": Rule(WRONG, "RLEs of another size than their image's"),
    "far": Rule(
        WRONG,
        "coordinates far outside their image",
        "--fix mends boxes alone.",
    ),
    "outline": Rule(WRONG, "polygons with an endless outline", "Draw them anew."),
    "keypoints": Rule(WRONG, "wrong keypoints"),
    # Of image files.
    "image-unreadable": Rule(WRONG, "image files that cannot be read", "Copy or save them anew."),
    "image-size": Rule(
        WRONG, "images of another size than the JSON's", f"Correct the JSON if it is wrong; {_FIX}"
    ),
    "exif": Rule(
        ODD,
        "images that viewers turn (EXIF)",
        "Compare the pictures of --html; --fix FILE --upright FOLDER writes copies without a turn.",
    ),
    "exif-view": Rule(
        ODD,
        "masks that fit the other view (EXIF)",
        "Compare pictures (--html); set input.exif.",
    ),
    "image-mode": Rule(ODD, "images of 16 bits, with alpha, palette or CMYK"),
    "grey": Rule(NOTE, "grey images", "Grey is repeated to three channels."),
    "file-case": Rule(ODD, "file names that differ in upper and lower case only"),
    "same-file": Rule(ODD, "files that belong to several images"),
    "duplicate-image": Rule(ODD, "image files of the same content", "Keep one of them."),
    "leak": Rule(
        ODD, "images that are in the other set too", "AP says nothing; `split` divides anew."
    ),
    # Of objects.
    "box-xyxy": Rule(
        WRONG, "boxes that seem to be x1, y1, x2, y2", f"COCO's are x, y, width, height; {_FIX}"
    ),
    "box-edge": Rule(ODD, "boxes over their image's edge", f"Training clips them; {_FIX}"),
    "box-mask": Rule(ODD, "boxes that do not fit their mask", f"Take the mask's; {_FIX}"),
    "polygon-edge": Rule(ODD, "polygons over their image's edge", f"Clip them; {_FIX}"),
    "crossing": Rule(
        ODD, "polygons that cross themselves", "Parts may be counted as outside: draw them anew."
    ),
    "hole": Rule(
        ODD, "polygons inside another of the same object", "A hole needs an RLE or a mask."
    ),
    "area": Rule(ODD, "areas that do not fit their mask", f"COCO's APs, APm, APl go by it; {_FIX}"),
    "duplicate-object": Rule(ODD, "objects annotated twice", f"Drop one; {_FIX}"),
    "vanishing": Rule(ODD, "objects that vanish in resizing", "Training leaves them out."),
    "anchor": Rule(
        ODD, "objects far from every anchor", "Change anchors.sizes, or input.min_side."
    ),
    "ratio": Rule(ODD, "objects more than twice as thin as any anchor", "Change anchors.ratios."),
    "crowd": Rule(NOTE, "crowd regions", "They are no objects; background in them is not used."),
    # Of the set.
    "foreign": Rule(ODD, "another program's COCO", "Its importer knows more than the JSON tells."),
    "many-crowds": Rule(
        ODD, "a set with many crowd regions", "--fix FILE --no-crowds makes them objects."
    ),
    "no-objects": Rule(WRONG, "no object to train on"),
    "empty": Rule(NOTE, "images without objects", "They are used, as background."),
    "instances": Rule(
        ODD, "images of more than data.max_instances objects", "A random choice is used."
    ),
    "detections": Rule(
        ODD, "images with more objects than can be found", "Raise the limits: see the proposals."
    ),
    "same-name": Rule(ODD, "categories of the same name"),
    "unused-class": Rule(ODD, "classes without objects", "Take them out, or annotate some."),
    "rare-class": Rule(ODD, "classes of few objects", "Little can be learned from so few."),
}
