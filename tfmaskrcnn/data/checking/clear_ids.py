"""Lists, ids, references and names of categories, as integers and texts wherever it is clear."""

from collections import Counter
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Sequence

import msgspec

from tfmaskrcnn.data.checking.notes import Notes, Place, is_plain_id
from tfmaskrcnn.data.coco.file import INT64_MAX
from tfmaskrcnn.data.coco.lazy_entries import LazyEntries
from tfmaskrcnn.data.coco.meaning import clear_category_name, clear_id
from tfmaskrcnn.errors import quoted

LISTS = ("images", "annotations", "categories")
_ENTRY = {"images": "image", "annotations": "annotation", "categories": "category"}


class _Ids(msgspec.Struct, gc=False):
    """Those of an annotation."""

    id: int
    image_id: int
    category_id: int


_IDS_OF = msgspec.json.Decoder(_Ids).decode


class Known(NamedTuple):
    """The ids of a list, and what else may stand for one."""

    ids: frozenset  # of integers
    other: Dict[str, int]  # texts that were ids, or are names that occur once


def clear_lists(raw: Dict[str, Any], notes: Notes) -> Dict[str, Any]:
    """`raw` with lists where objects hold the entries by their ids or names."""
    changed = {}
    for key in LISTS:
        value = raw.get(key)
        entries = _listed(key, value, raw) if value else None
        if entries is not None:
            kind = "an object" if isinstance(value, dict) else "a list of names"
            found = f"it is {kind}, wanted a list of {len(entries)} objects with 'id'."
            notes.add("list-form", Place(f"'{key}'"), found, "it is a list of objects now.")
            changed[key] = entries
    return {**raw, **changed}


def clear_categories(entries: List[Any], notes: Notes) -> List[Any]:
    """Categories with integers for ids and texts for names."""
    done = []
    for n, entry in enumerate(_with_ids(entries, "categories", notes)):
        name = clear_category_name(entry.get("name")) if isinstance(entry, dict) else None
        if name is not None:
            place = Place(f"entry {n} of 'categories'")
            found = f"its name is the number {quoted(entry['name'])}, wanted a text."
            notes.add("name-form", place, found, f"its name is {name!r} now.")
            entry = {**entry, "name": name}
        done.append(entry)
    return done


def clear_image_ids(entries: List[Any], notes: Notes) -> List[Any]:
    """Images with integers for ids."""
    return _with_ids(entries, "images", notes)


def known(before: List[Any], after: List[Any], name_key: str) -> Known:
    """What annotations may refer to: the ids of now, those of before, and the names."""
    ids = frozenset(e["id"] for e in after if isinstance(e, dict) and is_plain_id(e.get("id")))
    other: Dict[str, int] = {}
    pairs = [(b, a) for b, a in zip(before, after) if isinstance(a, dict)]
    pairs = [(b, a) for b, a in pairs if is_plain_id(a.get("id"))]
    names = Counter(a.get(name_key) for _, a in pairs if isinstance(a.get(name_key), str))
    for _, a in pairs:
        if isinstance(a.get(name_key), str) and names[a[name_key]] == 1:
            other[a[name_key]] = a["id"]
    for b, a in pairs:  # an id goes before a name
        if isinstance(b.get("id"), str):
            other[b["id"]] = a["id"]
    return Known(ids, other)


def clear_annotation_ids(
    entries: Sequence[Any], images: Known, categories: Known, notes: Notes
) -> Sequence[Any]:
    """Annotations with an id of their own each, and integers that refer to image and category."""
    if isinstance(entries, LazyEntries) and _are_clear(entries):
        return entries
    fresh, seen, done = _fresh(entries), set(), []
    for n, entry in enumerate(entries):
        if not isinstance(entry, dict):
            done.append(entry)
            continue
        image_id = _reference(entry.get("image_id"), images, False)
        shown = _plain(entry.get("image_id") if image_id is None else image_id)
        category_id = _reference(entry.get("category_id"), categories, "category_id" in entry)
        changes = {"image_id": image_id, "category_id": category_id}
        changes = {key: new for key, new in changes.items() if new is not None}
        own = _own_id(n, entry, shown, seen, fresh, notes)
        for key, new in changes.items():
            place = Place(f"annotation {quoted(own)}", "", shown, _plain(own))
            text = f"'{key}' is {quoted(entry.get(key))}, wanted the integer {new}."
            notes.add("id-form", place, text, f"'{key}' is {new} now.")
        if own is not entry.get("id"):
            changes["id"] = own
        if is_plain_id(own):
            seen.add(own)
        done.append({**entry, **changes} if changes else entry)
    return done


def _are_clear(entries: LazyEntries) -> bool:
    """Whether all ids of annotations are integers, and their own."""
    own = set()
    for raw in entries.raws:
        try:
            own.add(_IDS_OF(raw).id)
        except (ValueError, RecursionError):
            return False
    return len(own) == len(entries) and all(abs(one) <= INT64_MAX for one in own)


def _own_id(n: int, entry: Dict, image_id: Any, seen: set, fresh: Iterator[int], notes: Notes):
    """The id of an annotation, which no other has; as it is if it is nobody's."""
    before, own = entry.get("id"), clear_id(entry.get("id"))
    if image_id is None or (is_plain_id(before) and own is not None and own not in seen):
        return before
    repeats, own = own in seen, next(fresh) if own is None or own in seen else own
    done, place = f"its id is {own} now.", Place(f"entry {n} of 'annotations'", "", image_id, own)
    if repeats:
        where = f"annotation {quoted(before)} of image {quoted(image_id)}"
        sentence = f"{where} repeats the annotation id {quoted(before)}."
        shown = before if is_plain_id(before) else own
        place = place._replace(where=where, annotation_id=shown)
        notes.add_sentence("annotation-id", place, sentence, done)
    elif before is None:
        notes.add("annotation-id", place, "'id' is missing, wanted an integer.", done)
    else:
        notes.add("id-form", place, f"its id is {quoted(before)}, wanted an integer.", done)
    return own


def _listed(key: str, value: Any, raw: Dict[str, Any]) -> Optional[List[Any]]:
    """The entries of an object, or of categories that are names; None if they are unclear."""
    if isinstance(value, dict):
        pairs = list(value.items())
        if all(isinstance(v, dict) for _, v in pairs):
            return [{"id": _key_id(k), **v} for k, v in pairs]
        if key == "categories" and all(isinstance(v, str) for _, v in pairs):
            return [{"id": _key_id(k), "name": v} for k, v in pairs]  # {"1": "leaf"}
        if key == "categories" and all(is_plain_id(v) for _, v in pairs):
            return [{"id": v, "name": k} for k, v in pairs]  # {"leaf": 1}
    elif key == "categories" and isinstance(value, list) and _all_names(value):
        first = _first_category(raw.get("annotations"), len(value))
        if first is not None:
            return [{"id": first + k, "name": name} for k, name in enumerate(value)]
    return None


def _all_names(value: List[Any]) -> bool:
    return all(isinstance(v, str) and v for v in value) and len(set(value)) == len(value)


def _first_category(annotations: Any, count: int) -> Optional[int]:
    """0 or 1: where `count` names begin to be counted, if the annotations tell."""
    entries = annotations if isinstance(annotations, (list, LazyEntries)) else []
    used = {clear_id(e.get("category_id")) for e in entries if isinstance(e, dict)}
    fits = [first for first in (0, 1) if used and used <= set(range(first, first + count))]
    return fits[0] if len(fits) == 1 else None


def _key_id(key: str) -> Any:
    found = clear_id(key)
    return key if found is None else found


def _with_ids(entries: List[Any], key: str, notes: Notes) -> List[Any]:
    """`entries` with integers for ids; those that repeat another's stay for the reader to name."""
    ids = [e.get("id") if isinstance(e, dict) else None for e in entries]
    taken = {i for i in ids if is_plain_id(i)}
    new: Dict[int, int] = {}
    for n, value in enumerate(ids):  # digits go before names, which take what is left
        number = None if is_plain_id(value) else clear_id(value)
        if number is not None and number not in taken:
            new[n] = number
            taken.add(number)
    texts = Counter(v for v in ids if isinstance(v, str))
    free = (k for k in range(1, len(ids) + len(taken) + 2) if k not in taken)
    for n, value in enumerate(ids):
        named = isinstance(value, str) and value.strip() and texts[value] == 1
        if named and n not in new and clear_id(value) is None:
            new[n] = next(free)
    done = list(entries)
    for n, number in new.items():
        place = Place(f"entry {n} of '{key}'", *_image_place(key, entries[n], number))
        found = f"its id is {quoted(ids[n])}, wanted an integer."
        notes.add("id-form", place, found, f"its id is {number} now.")
        done[n] = {**entries[n], "id": number}
    return done


def _image_place(key: str, entry: Dict, number: int):
    if key != "images":
        return ()
    name = entry.get("file_name")
    return (name if isinstance(name, str) else "", number)


def _reference(value: Any, to: Known, only_one: bool) -> Optional[int]:
    """The id that a value clearly refers to; None if it is an integer as it is, or unclear."""
    if is_plain_id(value):
        return None
    if isinstance(value, str) and value in to.other:
        return to.other[value]
    if value is None and only_one and len(to.ids) == 1:
        return next(iter(to.ids))
    return clear_id(value)


def _fresh(entries: List[Any]) -> Iterator[int]:
    """Ids that no annotation has."""
    ids = {clear_id(e.get("id")) for e in entries if isinstance(e, dict)} - {None}
    start = max(ids, default=0) + 1
    if start + len(entries) >= 2**63:
        start = 1
    while True:
        if start not in ids:
            yield start
        start += 1


def _plain(value: Any) -> Optional[int]:
    return value if is_plain_id(value) else None
