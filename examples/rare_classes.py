"""What helps rare classes: repeat factors, class weights, focal loss, on an imbalanced set.

    python examples/rare_classes.py                 # all runs, then the table
    python examples/rare_classes.py --minutes 5     # as many runs as begin in 5 minutes

Circles, squares and stars, about 100 : 10 : 3 in training and alike in validation, so that a rare
class can be measured. All variants of a seed have the same start and the same number of steps. Each
finished run is a JSON file: start the script again to go on.
"""

import argparse
import json
import os
import statistics
import sys
import time
from typing import Dict, List, Tuple

import ablations

CLASSES = ["circle", "square", "star"]
# (classes that are drawn on an image, images): a rare class is in few images, beside common ones.
TRAIN = ((CLASSES[:1], 185), (CLASSES[:2], 42), (CLASSES[::2], 13))
VAL_IMAGES = 150
BALANCED, FOCAL = "box_head.class_weights=balanced", "box_head.loss=focal"
REPEATED = "data.repeat_threshold=1"
# Cui et al.'s effective numbers: 496, 53 and 15 objects weigh nearly by 1 / n.
EFFECTIVE = "box_head.class_weights={circle: 0.4367, square: 3.308, star: 11.47}"
VARIANTS: Dict[str, Tuple[str, ...]] = {
    "none": (),
    "repeat": (REPEATED,),
    "weights": (BALANCED,),
    "effective": (EFFECTIVE,),
    "focal": (FOCAL,),
    "focal, weights": (FOCAL, BALANCED),
    "repeat, weights": (REPEATED, BALANCED),
}
METRICS = (*CLASSES, "mask_AP", "box_AP")


def main() -> int:
    """Run what is missing, then print and write the table."""
    options = _options()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.makedirs(options.out, exist_ok=True)
    tasks = [(name, seed) for name in VARIANTS for seed in range(options.seeds)]
    missing = [task for task in tasks if not os.path.exists(_result_path(options, *task))]
    began, runner = time.time(), ablations.Runner()
    for number, (name, seed) in enumerate(missing):
        if options.minutes and time.time() - began > 60 * options.minutes:
            print(f"{len(missing) - number} of {len(tasks)} runs left; start again to go on.")
            break
        result = _run(runner, options, name, seed)
        ablations.write(_result_path(options, name, seed), json.dumps(result, indent=2))
        shown = " ".join(f"{metric} {result[metric]:.3f}" for metric in METRICS)
        print(f"seed {seed} {name:<16} {shown}   {result['seconds']:.0f} s", flush=True)
    return _report(options)


def _options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", default=os.path.join("runs", "rare_classes"), help="folder")
    parser.add_argument("--seeds", type=int, default=3, help="runs of each variant (3)")
    parser.add_argument("--steps", type=int, default=200, help="of 8 images, of a run (200)")
    parser.add_argument("--minutes", type=float, help="begin no run after so many")
    return parser.parse_args()


def _result_path(options, name: str, seed: int) -> str:
    stem = name.replace(", ", "-")
    return os.path.join(options.out, f"{stem}-steps{options.steps}-seed{seed}.json")


def _data(options, split: str) -> Tuple[str, str]:
    """(json, image folder), drawn on first use."""
    folder = os.path.join(options.out, "data", split)
    json_path, images = os.path.join(folder, "instances.json"), os.path.join(folder, "images")
    if not os.path.exists(json_path):  # written last
        draw(folder, TRAIN if split == "train" else ((CLASSES, VAL_IMAGES),), split)
    return json_path, images


def draw(folder: str, groups, split: str) -> None:
    """Write one data set of several groups of images, each (classes, number of images)."""
    from PIL import Image

    from tfmaskrcnn.data import make_shapes

    coco: Dict[str, List] = {"images": [], "annotations": [], "categories": []}
    coco["categories"] = [{"id": k, "name": name} for k, name in enumerate(CLASSES, start=1)]
    os.makedirs(os.path.join(folder, "images"), exist_ok=True)
    size = {"height": ablations.SIDE, "width": ablations.SIDE, "num_objects": (1, 4)}
    for number, (classes, count) in enumerate(groups):
        seed = 10 * number + (split == "val")
        drawn, group = make_shapes(count, seed=seed, classes=classes, **size)
        ids = {k: CLASSES.index(name) + 1 for k, name in enumerate(classes, start=1)}
        before, objects = len(coco["images"]), len(coco["annotations"])
        for image, entry in zip(drawn, group["images"]):
            name = f"{number}-{entry['file_name']}"
            Image.fromarray(image).save(os.path.join(folder, "images", name))
            coco["images"].append({**entry, "id": before + entry["id"], "file_name": name})
        for found in group["annotations"]:
            own = {"id": objects + found["id"], "image_id": before + found["image_id"]}
            coco["annotations"].append({**found, **own, "category_id": ids[found["category_id"]]})
    ablations.write(os.path.join(folder, "instances.json"), json.dumps(coco))


def _run(runner, options, name: str, seed: int) -> Dict[str, float]:
    """Train one variant and evaluate it."""
    from tfmaskrcnn.config.yaml_files import load_config
    from tfmaskrcnn.data import from_records, load_coco, with_classes_of
    from tfmaskrcnn.evaluation import evaluate

    budget = (f"train.seed={seed}", "train.epochs=1")
    config = load_config(None, [*ablations.BASE, *budget, *VARIANTS[name]])
    data = load_coco(*_data(options, "train"))
    config = with_classes_of(data, config)
    batches = from_records(data, config, training=True).repeat()
    model = runner.start(name, config, options.steps)
    began = time.time()
    model.fit(batches, steps_per_epoch=options.steps, epochs=1, verbose=0)
    seconds = time.time() - began
    found = evaluate(model, *_data(options, "val"), batch_size=config.evaluation.batch_size)
    each = {name: found.mask_ap_per_class[name] for name in CLASSES}
    whole = {"mask_AP": found.masks["AP"], "box_AP": found.boxes["AP"]}
    return {"variant": name, "seed": seed, "seconds": seconds, **each, **whole}


def _report(options) -> int:
    """Write and print the table of all runs that are there."""
    runs = ablations.finished_runs(VARIANTS, options, _result_path)
    text = "\n".join(_table(runs)) + "\n"
    print("\n" + text, end="")
    ablations.write(os.path.join(options.out, "rare_classes.md"), text)
    return 0


def _table(runs) -> List[str]:
    """Means and standard deviations over seeds in points of AP, and what the rarest class gains."""
    heads = [f"{name} AP" for name in CLASSES] + ["mask AP", "box AP", f"{CLASSES[-1]} gains"]
    lines = [f"| variant | seeds | {' | '.join(heads)} |", "|---" * (2 + len(heads)) + "|"]
    for name, seeds in runs.items():
        values = [[100 * run[metric] for run in seeds.values()] for metric in METRICS]
        cells = [ablations.mean_and_spread(of_seeds) for of_seeds in values]
        cells.append("" if name == "none" else _gain(seeds, runs.get("none", {})))
        lines.append(f"| {name} | {len(seeds)} | {' | '.join(cells)} |")
    return lines


def _gain(runs, plain) -> str:
    """What the rarest class gains over no measure, seed by seed, and whether that can be told."""
    gains = [100 * (runs[s][CLASSES[-1]] - plain[s][CLASSES[-1]]) for s in runs if s in plain]
    if not gains:
        return ""
    told = {"seen": "better", "the reverse": "worse"}.get(ablations.verdict(gains), "cannot tell")
    return f"{statistics.mean(gains):+.1f} ({told})"


if __name__ == "__main__":
    sys.exit(main())
