"""`train auto` against `train finetune` on three small sets, several seeds each.

    python examples/auto_against_finetune.py --data ../shared/data    # all runs, then the table
    python examples/auto_against_finetune.py --minutes 30    # as many as begin in that time
    python examples/auto_against_finetune.py --table         # of what is finished

Both train as many epochs on the same images, so as many image passes, and are evaluated once, at
their end; all else is as either configuration has it. `auto` would choose more epochs: these are
few, so that the 18 runs take some 170 CPU minutes. Two processes share them best, with a core each
(`taskset -c 0`, `taskset -c 1`): `--sets nuclei`, and `--sets fruits_nuts coco_persons`.

A run is a folder; what is finished is not run again, what was interrupted goes on.
`--seeds 5` adds two of each.
"""

import argparse
import csv
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from typing import Dict, List, NamedTuple, Tuple

CONFIGS = ("auto", "finetune")
METRICS = ("mask_ap", "mask_ap50", "box_ap", "box_ap50")
# Student's factor for a difference of two means of three runs each, two-sided 95 %.
_STUDENT = {2: 4.30, 3: 2.78, 4: 2.45, 5: 2.31}
_HERE = os.path.dirname(os.path.abspath(__file__))


class Set(NamedTuple):
    """A data set and how long it is trained on."""

    json: str  # with {split}
    images: str
    epochs: int
    category: str = ""  # only this one, and images that show it


SETS = {
    "nuclei": Set(os.path.join(_HERE, "nuclei", "{split}.json"), "", 10),
    "fruits_nuts": Set("fruits_nuts/annotations/instances_{split}.json", "fruits_nuts/images", 30),
    # A part of coco_mini: 80 categories in 92 images teach nothing; 45 images show persons.
    "coco_persons": Set(
        "coco_mini/annotations/instances_{split}.json", "coco_mini/images", 8, "person"
    ),
}


def main() -> int:
    """Run what is missing, then print and write the table."""
    options = _options()
    os.makedirs(options.out, exist_ok=True)
    tasks = [(s, c, seed) for seed in range(options.seeds) for s in options.sets for c in CONFIGS]
    missing = [task for task in tasks if not os.path.exists(_result_path(options, *task))]
    began = time.time()
    for number, task in enumerate([] if options.table else missing):
        if options.minutes and time.time() - began > 60 * options.minutes:
            print(f"{len(missing) - number} of {len(tasks)} runs left; start again to go on.")
            break
        result = _run(options, *task)
        shown = " ".join(f"{m} {result[m]:.3f}" for m in METRICS if m in result)
        minutes = f"{result['cpu_minutes']:.1f} CPU minutes"
        print(f"{' '.join(map(str, task))}: {shown}  {minutes}", flush=True)
    text = "\n".join(table(_results(options))) + "\n"
    print(text, end="")
    _write(os.path.join(options.out, "table.md"), text)
    return 0


def _options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="data", help="folder of fruits_nuts and coco_mini")
    parser.add_argument("--out", default=os.path.join("runs", "auto"), help="folder")
    parser.add_argument("--seeds", type=int, default=3, help="runs of each (3)")
    parser.add_argument("--sets", nargs="+", choices=list(SETS), default=list(SETS))
    parser.add_argument("--epochs", type=int, help="instead of each set's own")
    parser.add_argument("--minutes", type=float, help="begin no run after so many")
    parser.add_argument("--table", action="store_true", help="run nothing")
    return parser.parse_args()


def _folder(options, name: str, config: str, seed: int) -> str:
    epochs = options.epochs or SETS[name].epochs
    return os.path.join(options.out, f"{name}-epochs{epochs}-{config}-seed{seed}")


def _result_path(options, name: str, config: str, seed: int) -> str:
    return _folder(options, name, config, seed) + ".json"


def _run(options, name: str, config: str, seed: int) -> Dict:
    """Train once, or go on, in a process of its own; the last epoch's AP and the time it took."""
    folder = _folder(options, name, config, seed)
    epochs = options.epochs or SETS[name].epochs
    settings = [f"train.{key}" for key in (f"epochs={epochs}", f"evaluate_every={epochs}")]
    settings += [f"train.seed={seed}", "train.tensorboard=false", "train.early_stop=null"]
    settings += ["evaluation.max_detections=[1,100,1000]", *_data_settings(options, name)]
    command = [sys.executable, "-m", "tfmaskrcnn", "train", config, "--out", folder, "--resume"]
    before = _cpu_seconds()
    subprocess.run([*command, "--set", *settings], check=True)
    with open(os.path.join(folder, "history.csv"), encoding="utf-8") as file:
        last = list(csv.DictReader(file))[-1]
    result = {"set": name, "config": config, "seed": seed, "epochs": epochs}
    # Of a run that was interrupted, the time of its last part.
    result["cpu_minutes"] = (_cpu_seconds() - before) / 60
    result.update({m: float(last[f"val_{m}"]) for m in METRICS if last.get(f"val_{m}")})
    _write(_result_path(options, name, config, seed), json.dumps(result, indent=2))
    return result


def _data_settings(options, name: str) -> List[str]:
    settings = []
    for split in ("train", "val"):
        json_path, images = _data(options, name, split)
        settings += [f"data.{split}_json={json_path}", f"data.{split}_images={images}"]
    return settings


def _data(options, name: str, split: str) -> Tuple[str, str]:
    """(json, image folder); the part of a set is written at its first use."""
    about = SETS[name]
    source = os.path.join(options.data, about.json.format(split=split))
    images = os.path.join(options.data, about.images)
    if not about.images:
        return source, os.path.join(_HERE, name, "images")
    if not about.category:
        return source, images
    path = os.path.join(options.out, f"{name}_{split}.json")
    if not os.path.exists(path):
        with open(source, encoding="utf-8") as file:
            _write(path, json.dumps(part(json.load(file), about.category)))
    return path, images


def part(coco: Dict, name: str) -> Dict:
    """The images of a COCO set that show a category, with its objects alone."""
    (category,) = (c for c in coco["categories"] if c["name"] == name)
    kept = [a for a in coco["annotations"] if a["category_id"] == category["id"]]
    shown = {a["image_id"] for a in kept if not a.get("iscrowd")}
    images = [image for image in coco["images"] if image["id"] in shown]
    kept = [a for a in kept if a["image_id"] in shown]
    return {**coco, "images": images, "annotations": kept, "categories": [category]}


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _results(options) -> List[Dict]:
    found = []
    for seed in range(options.seeds):
        for name in options.sets:
            for config in CONFIGS:
                path = _result_path(options, name, config, seed)
                if os.path.exists(path):
                    with open(path, encoding="utf-8") as file:
                        found.append(json.load(file))
    return found


def table(results: List[Dict]) -> List[str]:
    """Mean and standard deviation over the seeds in points of AP, and what can be said of them."""
    heads = ["set", "epochs", "", "seeds", *(m.replace("_", " ") for m in METRICS), "CPU minutes"]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for name in dict.fromkeys(r["set"] for r in results):
        of_set = [r for r in results if r["set"] == name]
        by_config = {c: [r for r in of_set if r["config"] == c] for c in CONFIGS}
        for config, runs in by_config.items():
            if not runs:
                continue
            cells = [name, str(runs[0]["epochs"]), f"`{config}`", str(len(runs))]
            cells += [_shown([100 * r[m] for r in runs if m in r]) for m in METRICS]
            cells.append(_shown([r["cpu_minutes"] for r in runs]))
            lines.append(f"| {' | '.join(cells)} |")
        masks = ([100 * r["mask_ap"] for r in by_config[c] if "mask_ap" in r] for c in CONFIGS)
        lines.append(f"| {name} | | {verdict(*masks)} |" + " |" * (len(heads) - 3))
    return lines


def verdict(auto: List[float], finetune: List[float]) -> str:
    """Which is better in mask AP, if that is beyond the noise of the seeds."""
    count = min(len(auto), len(finetune))
    if count < 2:
        return "too few runs to compare"
    gain = statistics.mean(auto) - statistics.mean(finetune)
    variance = sum(statistics.variance(v) / len(v) for v in (auto, finetune))
    noise = _STUDENT.get(count, 2.2) * variance**0.5
    said = "within the noise" if abs(gain) <= noise else "better" if gain > 0 else "worse"
    return f"auto is {said}: {gain:+.1f}, noise ± {noise:.1f}"


def _shown(values: List[float]) -> str:
    spread = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.1f}{spread}" if values else ""


def _write(path: str, text: str) -> None:
    temporary = f"{path}.tmp"
    with open(temporary, "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(temporary, path)


if __name__ == "__main__":
    sys.exit(main())
