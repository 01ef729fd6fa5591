"""The paper's ablations in miniature: tables 2b, 2c, 2d, class-agnostic masks, and table 3.

    python examples/ablations.py                    # all runs, then the table
    python examples/ablations.py --minutes 5        # as many runs as begin in 5 minutes
    python examples/ablations.py --timing           # what the mask branch costs

Every variant is trained from the same start on the same batches of synthetic shapes, for several
seeds. Each finished run is a JSON file: start the script again to go on.
"""

import argparse
import json
import os
import statistics
import sys
import time
from typing import Dict, List, NamedTuple, Tuple

import numpy as np

SHAPES = ["circle", "square", "star"]
SIDE, TRAIN_IMAGES, VAL_IMAGES = 64, 240, 200
# ImageNet weights and few steps: a smaller network from scratch learns nothing in this time.
BASE = (
    "model.num_classes=3",
    f"input={{fixed_size: [{SIDE}, {SIDE}], mean: [127, 127, 127], std: [128, 128, 128]}}",
    "backbone={name: efficientnet_lite0, norm: bn, freeze_at: 1, weights: imagenet}",
    "fpn.channels=64",
    "anchors.sizes=[[10], [20], [40], [48], [64]]",
    "rpn={post_nms_top_k_training: 200, post_nms_top_k: 100, samples_per_image: 128}",
    "box_head={hidden: 128, samples_per_image: 32, max_detections: 20}",
    "mask_head={channels: 32, num_convs: 2}",
    "data.max_instances=4",
    "train={batch_size: 8, optimizer: adamw, learning_rate: 0.002, weight_decay: 0.01}",
    "train.schedule={kind: cosine, warmup_steps: 30, warmup_factor: 0.05}",
    "evaluation.batch_size=10",
)
# RoIs of 16 to 32 pixels read stride 8 and larger ones stride 16, instead of stride 4.
COARSE = ("roi.canonical_size=32",)
VARIANTS: Dict[str, Tuple[str, ...]] = {
    "base": (),
    "roi_pool": ("roi.method=roi_pool",),
    "softmax": ("mask_head.loss=softmax",),
    "class_agnostic": ("mask_head.class_agnostic=true",),
    "no_mask": ("mask_head.enabled=false",),
    "coarse": COARSE,
    "coarse_roi_pool": (*COARSE, "roi.method=roi_pool"),
}
METRICS = ("mask_AP", "mask_AP50", "mask_AP75", "box_AP", "box_AP50", "box_AP75")


class Comparison(NamedTuple):
    """Two variants of which the paper says that the first is better."""

    where: str  # in the paper
    better: str  # variant
    worse: str
    names: str  # of the two, for the reader
    metrics: Tuple[str, ...]
    paper: str  # its gain on COCO in points, as many numbers as metrics


MASK, BOX = ("mask_AP", "mask_AP75"), ("box_AP", "box_AP75")
COARSE_NAMES = "RoIAlign / RoIPool, strides 8 and 16"
COMPARISONS = (
    Comparison("2b", "base", "softmax", "sigmoid / softmax", MASK, "+5.5 +6.4"),
    Comparison("2c", "base", "roi_pool", "RoIAlign / RoIPool", MASK, "+3.4 +5.1"),
    Comparison("2d", "coarse", "coarse_roi_pool", COARSE_NAMES, MASK + BOX, "+7.3 +10.5 +5.8 +9.5"),
    Comparison(
        "4.2", "base", "class_agnostic", "class-specific / agnostic masks", MASK[:1], "+0.6"
    ),
    Comparison("3", "base", "no_mask", "with / without mask branch", BOX[:1], "+0.9"),
)


def main() -> int:
    """Run what is missing, then print and write the tables."""
    options = _options()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.makedirs(options.out, exist_ok=True)
    if options.timing:
        return _timing(options)
    tasks = [(name, seed) for name in options.variants for seed in range(options.seeds)]
    missing = [task for task in tasks if not os.path.exists(_result_path(options, *task))]
    began, spent, runner = time.time(), [], Runner()
    for number, (name, seed) in enumerate(missing, start=1):
        left = len(missing) - number + 1
        if options.minutes and time.time() - began > 60 * options.minutes:
            print(f"{left} of {len(tasks)} runs left; start again to go on.")
            break
        start = time.time()
        result = runner.run(options, name, seed)
        spent.append(time.time() - start)
        write(_result_path(options, name, seed), json.dumps(result, indent=2))
        shown = " ".join(f"{m} {result[m]:.3f}" for m in ("mask_AP", "box_AP") if m in result)
        rest = (left - 1) * statistics.mean(spent) / 60
        times = f"{spent[-1]:.0f} s, {rest:.0f} min left"
        print(f"seed {seed} {name:<16} {shown}   {times}", flush=True)
    return _report(options)


def _options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", default=os.path.join("runs", "ablations"), help="folder")
    parser.add_argument("--seeds", type=int, default=3, help="runs of each variant (3)")
    parser.add_argument("--epochs", type=int, default=6, help=f"of {TRAIN_IMAGES} images (6)")
    parser.add_argument("--minutes", type=float, help="begin no run after so many")
    parser.add_argument("--variants", nargs="+", choices=list(VARIANTS), default=list(VARIANTS))
    parser.add_argument("--timing", action="store_true", help="time the mask branch instead")
    parser.add_argument("--size", type=int, nargs=2, default=(800, 1216), help="of the timed image")
    parser.add_argument("--rounds", type=int, default=15, help="of the timing (15)")
    return parser.parse_args()


def _result_path(options, name: str, seed: int) -> str:
    return os.path.join(options.out, f"{name}-epochs{options.epochs}-seed{seed}.json")


def _data(options, split: str) -> Tuple[str, str]:
    """(json, image folder), drawn on first use."""
    from tfmaskrcnn.data import write_shapes

    folder = os.path.join(options.out, "data", split)
    json_path, images = os.path.join(folder, "instances.json"), os.path.join(folder, "images")
    if not os.path.exists(json_path):  # written last
        count, seed = {"train": (TRAIN_IMAGES, 1), "val": (VAL_IMAGES, 2)}[split]
        write_shapes(
            folder, count, height=SIDE, width=SIDE, num_objects=(1, 4), seed=seed, classes=SHAPES
        )
    return json_path, images


class Runner:
    """Trains variants, all seeds of one in the same graph: making it takes as long as 90 steps."""

    def __init__(self):
        self._name = self._model = self._optimizer_start = None

    def run(self, options, name: str, seed: int) -> Dict[str, float]:
        """Train one variant and evaluate it."""
        from tfmaskrcnn.config.yaml_files import load_config
        from tfmaskrcnn.data import from_coco
        from tfmaskrcnn.evaluation import evaluate

        budget = (f"train.seed={seed}", f"train.epochs={options.epochs}")
        config = load_config(None, [*BASE, *budget, *VARIANTS[name]])
        batches = from_coco(*_data(options, "train"), config, training=True)
        model = self.start(name, config, len(batches))
        began = time.time()
        fitted = model.fit(batches, epochs=options.epochs, shuffle=False, verbose=0)
        result = {"variant": name, "seed": seed, "training_seconds": time.time() - began}
        val, batch_size = _data(options, "val"), config.evaluation.batch_size
        found = evaluate(model, *val, batch_size=batch_size)
        for kind, numbers in (("mask", found.masks), ("box", found.boxes)):
            if numbers["AP"] >= 0:
                result.update({f"{kind}_{key}": numbers[key] for key in ("AP", "AP50", "AP75")})
        result["losses"] = {key: float(values[-1]) for key, values in fitted.history.items()}
        return result

    def start(self, name: str, config, steps: int):
        """A compiled model with the seed's weights and an optimizer that has seen nothing."""
        import keras

        from tfmaskrcnn import compat
        from tfmaskrcnn.checkpoints import load_backbone
        from tfmaskrcnn.model.mask_rcnn import MaskRCNN
        from tfmaskrcnn.model.weights import load_weights, named_weights
        from tfmaskrcnn.train import make_optimizer

        keras.utils.set_random_seed(config.train.seed)
        model = MaskRCNN(config.model)
        load_backbone(model.backbone, config.model.backbone)
        if name == self._name:
            load_weights(self._model, {n: v.numpy() for n, v in named_weights(model).items()})
            variables = compat.optimizer_variables(self._model.optimizer)
            for variable, value in zip(variables, self._optimizer_start):
                variable.assign(value)
            return self._model
        model.compile(make_optimizer(config.train, steps))
        self._name, self._model = name, model
        variables = compat.optimizer_variables(model.optimizer)
        self._optimizer_start = [np.array(variable) for variable in variables]
        return model


def finished_runs(variants, options, result_path) -> Dict[str, Dict[int, Dict]]:
    """Variant -> seed -> the result in `result_path(options, variant, seed)`, if it is there."""
    runs: Dict[str, Dict[int, Dict]] = {}
    for name in variants:
        for seed in range(options.seeds):
            path = result_path(options, name, seed)
            if os.path.exists(path):
                with open(path, encoding="utf-8") as file:
                    runs.setdefault(name, {})[seed] = json.load(file)
    return runs


def _report(options) -> int:
    """Write and print the tables of all runs that are there."""
    runs = finished_runs(VARIANTS, options, _result_path)
    rows = [_compared(c, runs) for c in COMPARISONS if c.better in runs and c.worse in runs]
    rows = [row for row in rows if row["seeds"]]
    text = "\n".join([*_variant_table(runs), "", *_comparison_table(rows)]) + "\n"
    print("\n" + text, end="")
    write(os.path.join(options.out, "ablations.md"), text)
    found = {"epochs": options.epochs, "runs": runs, "comparisons": rows}
    write(os.path.join(options.out, "ablations.json"), json.dumps(found, indent=2))
    return 0


def write(path: str, text: str) -> None:
    """Write a file, which appears whole."""
    from tfmaskrcnn.support.files import replaced

    with replaced(path, "w") as file:
        file.write(text)


def _variant_table(runs) -> List[str]:
    """Mean and standard deviation over the seeds, in points of AP."""
    heads = [m.replace("_", " ") for m in METRICS]
    lines = [f"| variant | seeds | {' | '.join(heads)} |", "|---" * (2 + len(heads)) + "|"]
    for name, seeds in runs.items():
        cells = []
        for metric in METRICS:
            values = [100 * run[metric] for run in seeds.values() if metric in run]
            cells.append(mean_and_spread(values) if values else "")
        lines.append(f"| {name} | {len(seeds)} | {' | '.join(cells)} |")
    return lines


def _compared(comparison: Comparison, runs) -> Dict:
    """The gains of one comparison, seed by seed."""
    better, worse = runs[comparison.better], runs[comparison.worse]
    seeds = sorted(set(better) & set(worse))
    gains = {
        m: [100 * (better[seed][m] - worse[seed][m]) for seed in seeds] for m in comparison.metrics
    }
    verdicts = {m: verdict(values) for m, values in gains.items() if values}
    return {**comparison._asdict(), "seeds": seeds, "gains": gains, "verdicts": verdicts}


def verdict(gains: List[float]) -> str:
    """Whether the paper's direction is seen in the gains of several seeds."""
    mean = statistics.mean(gains)
    spread = statistics.stdev(gains) if len(gains) > 1 else float("inf")
    if len({gain > 0 for gain in gains}) > 1 or abs(mean) <= spread:
        return "cannot tell"
    return "seen" if mean > 0 else "the reverse"


def _comparison_table(rows) -> List[str]:
    head = "| paper | compared | measure | gain here | gain in the paper | its direction |"
    lines = [head, "|---" * 6 + "|"]
    for row in rows:
        paper = row["paper"].split()
        for metric, expected in zip(row["metrics"], paper):
            gains = row["gains"][metric]
            cells = (row["where"], row["names"], metric.replace("_", " "))
            cells += (mean_and_spread(gains, "+"), expected, row["verdicts"][metric])
            lines.append(f"| {' | '.join(cells)} |")
    return lines


def mean_and_spread(values: List[float], sign: str = "") -> str:
    """Mean ± standard deviation, as a cell of a table; `sign` "+" shows that of gains."""
    spread = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):{sign}.1f}{spread}"


def _timing(options) -> int:
    """Mask R-CNN and Faster R-CNN with the same weights, alternately: the ratio of medians."""
    import tensorflow as tf

    from tfmaskrcnn.config.yaml_files import load_config
    from tfmaskrcnn.model.mask_rcnn import MaskRCNN
    from tfmaskrcnn.model.weights import load_weights, named_weights

    size = [side + -side % 32 for side in options.size]
    models = {}
    for name, enabled in (("Mask R-CNN", "true"), ("Faster R-CNN", "false")):
        config = load_config(None, [f"mask_head.enabled={enabled}", f"input.fixed_size={size}"])
        models[name] = MaskRCNN(config.model)
    weights = {n: np.asarray(v.numpy()) for n, v in named_weights(models["Mask R-CNN"]).items()}
    load_weights(models["Faster R-CNN"], weights, skip=["mask_head"])
    image = tf.random.stateless_normal([1, *size, 3], [0, 0])
    sizes = tf.constant([size], tf.float32)
    graphs = {name: tf.function(model.detect) for name, model in models.items()}
    boxes = [graph(image, sizes).boxes.numpy() for graph in graphs.values()]  # also the warm-up
    np.testing.assert_array_equal(*boxes)
    seconds: Dict[str, List[float]] = {name: [] for name in graphs}
    for number in range(options.rounds):
        for name, graph in graphs.items():
            start = time.perf_counter()
            graph(image, sizes).boxes.numpy()
            seconds[name].append(time.perf_counter() - start)
        print(f"\rround {number + 1} of {options.rounds}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    mask, faster = (statistics.median(values) for values in seconds.values())
    text = f"ResNet-50-FPN, {size[0]} x {size[1]}, batch 1, 100 detections, medians of "
    text += f"{options.rounds} alternate runs: Mask R-CNN {mask:.3f} s, Faster R-CNN {faster:.3f} s"
    print(f"{text}, ratio {mask / faster:.2f} (pasting masks into the image not included)")
    found = {"size": size, "seconds": seconds, "ratio": mask / faster}
    write(os.path.join(options.out, "timing.json"), json.dumps(found, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
