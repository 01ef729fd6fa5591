"""How fast the input pipeline is, alone, and how much memory it takes.

    python examples/input_speed.py                   # rates, beside those of training
    python examples/input_speed.py --no-training     # without building the network
    python examples/input_speed.py --memory          # peak memory against images and objects

Images are synthetic JPEG files with 30 objects each, drawn at 640 x 1066 pixels (COCO's size) and
resized to 800 x 1333. Training is the step of Mask R-CNN with ResNet-50 and FPN on a batch that is
in memory already. JPEG files, TFRecord and training are timed in turns, because other work on the
machine changes all of them alike.
"""

import argparse
import functools
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from typing import NamedTuple

SIZE = (640, 1066)  # (height, width) of the files
SIDES = (800, 1333)  # input.min_side, input.max_side
PICTURES = 20  # different files; images beyond that repeat them
READ = 200  # images that a process reads whose memory is measured
NAMES = ("JPEG files", "TFRecord")


def main() -> None:
    """Run what the arguments ask for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=4, metavar="N", help="turns of each (4)")
    parser.add_argument("--seconds", type=float, default=15, metavar="S", help="of a turn (15)")
    parser.add_argument("--objects", type=int, default=30, metavar="N", help="an image (30)")
    parser.add_argument("--images", type=int, default=200, metavar="N", help="of the set (200)")
    parser.add_argument("--batch-size", type=int, default=2, metavar="N", help="images (2)")
    parser.add_argument("--no-training", action="store_true", help="the pipeline alone")
    parser.add_argument("--memory", action="store_true", help="peak memory, in processes")
    parser.add_argument("--peak", metavar="SOURCE", help=argparse.SUPPRESS)  # of one process
    options = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with tempfile.TemporaryDirectory() as folder:
        if options.memory:
            show_memory(options)
        elif options.peak:
            print(peak_memory(folder, options))
        else:
            show_rates(folder, options)


def configuration(options):
    """The paper's network on three classes, with its usual augmentation, the flip."""
    from tfmaskrcnn.config.yaml_files import load_config

    return load_config(
        None,
        [
            "model.num_classes=3",
            f"model.input={{min_side: {SIDES[0]}, max_side: {SIDES[1]}}}",
            f"data.max_instances={max(options.objects, 100)}",
            f"train={{batch_size: {options.batch_size}, learning_rate: 1e-6}}",
        ],
    )


def write_set(folder: str, options):
    """(JSON, image folder) of `options.images` images, of which some share a file."""
    from PIL import Image

    from tfmaskrcnn.data import make_shapes

    os.makedirs(os.path.join(folder, "images"))
    count = min(PICTURES, options.images)
    number = (options.objects, options.objects)
    drawn, coco = make_shapes(count, *SIZE, number)
    for n, image in enumerate(drawn):
        Image.fromarray(image).save(os.path.join(folder, "images", f"{n}.jpg"), quality=90)
    by_image = [[a for a in coco["annotations"] if a["image_id"] == n + 1] for n in range(count)]
    images, annotations = [], []
    for n in range(options.images):
        name = {"file_name": f"{n % count}.jpg", "height": SIZE[0], "width": SIZE[1]}
        images.append({"id": n + 1, **name})
        for found in by_image[n % count]:
            annotations.append({**found, "id": len(annotations) + 1, "image_id": n + 1})
    path = os.path.join(folder, "set.json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump({**coco, "images": images, "annotations": annotations}, file)
    return path, os.path.join(folder, "images")


def write_source(name: str, folder: str, options) -> None:
    """Write the set into `folder`, for TFRecord as shards besides."""
    from tfmaskrcnn.data import write_tfrecord

    paths = write_set(folder, options)
    if name == NAMES[1]:
        write_tfrecord(*paths, os.path.join(folder, "shard"), min(4, options.images), workers=1)


def opened(name: str, folder: str, options):
    """The batches of what `write_source` wrote."""
    from tfmaskrcnn.data import from_records, load_coco, load_tfrecord

    if name == NAMES[1]:
        data = load_tfrecord(os.path.join(folder, "shard-*.tfrecord"))
    else:
        data = load_coco(os.path.join(folder, "set.json"), os.path.join(folder, "images"))
    return from_records(data, configuration(options), training=True)


class Rate(NamedTuple):
    """How fast something is."""

    speed: float  # images a second
    work: float  # seconds of all cores together an image, whatever else the machine does


def measured(step, seconds: float, batch_size: int) -> Rate:
    """Call `step` for so long; each call handles a batch."""
    begin, work, count = time.perf_counter(), time.process_time(), 0
    while time.perf_counter() - begin < seconds:
        step()
        count += batch_size
    return Rate(count / (time.perf_counter() - begin), (time.process_time() - work) / count)


def show_rates(folder: str, options) -> None:
    """Rates of both sources and of training, in turns."""
    write_source(NAMES[1], folder, options)
    datasets = {name: opened(name, folder, options) for name in NAMES}
    step = None if options.no_training else training_step(datasets[NAMES[0]], options)
    rates = {name: [] for name in (*NAMES, "training")[: 2 if step is None else 3]}
    for turn in range(options.rounds):
        for name in rates:
            batches = None if name == "training" else iter(datasets[name].repeat())
            for _ in range(4 if batches else 0):  # the batches that are kept ready, and the start
                next(batches)
            call = step if batches is None else functools.partial(next, batches)
            rates[name].append(measured(call, options.seconds, options.batch_size))
            del batches, call
        shown = "   ".join(
            f"{name} {found[-1].speed:.3g} ({found[-1].work:.3f})" for name, found in rates.items()
        )
        print(f"turn {turn + 1}, images/s (CPU seconds an image): {shown}", flush=True)
    middle = {
        name: [sorted(numbers)[len(numbers) // 2] for numbers in zip(*found)]
        for name, found in rates.items()
    }
    print(f"\n{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; medians:")
    for name, (speed, work) in middle.items():
        line = f"{name:12s} {speed:7.2f} images/s   {work:7.3f} CPU seconds an image"
        if step is not None and name != "training":
            own = middle["training"]
            line += f"   training x {speed / own[0]:.0f} by rate, x {own[1] / work:.0f} by CPU time"
        print(line)


def training_step(dataset, options):
    """A function that trains a step, on the same batch again and again."""
    import tensorflow as tf

    import tfmaskrcnn as mr

    config = configuration(options)
    model = mr.MaskRCNN(config.model)
    model.compile(mr.train.make_optimizer(config.train, 100))
    batch = tf.data.Dataset.from_tensors(next(iter(dataset)))
    model.fit(batch, verbose=0)  # traces the graph
    return lambda: model.fit(batch, verbose=0)


def show_memory(options) -> None:
    """Peak memory of processes that read some images of sets of several sizes."""
    few, many = options.images, 10 * options.images
    print("source       images  objects each   peak MB   of it before reading", flush=True)
    for name in NAMES:
        for images, objects in ((few, 5), (many, 5), (few, 30), (few, 100)):
            words = ["--images", str(images), "--objects", str(objects), "--peak", name]
            words += ["--batch-size", str(options.batch_size)]
            command = [sys.executable, __file__, *words]
            found = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
            row = f"{name:12s} {images:6d} {objects:13d} {found['peak']:9.0f}"
            print(f"{row} {found['before']:22.0f}", flush=True)


def peak_memory(folder: str, options) -> str:
    """JSON of one process: megabytes at the peak, and before the first image."""
    if os.fork() == 0:  # what writing takes is not to count
        write_source(options.peak, folder, options)
        os._exit(0)
    if os.wait()[1]:
        raise SystemExit("The set could not be written.")
    dataset = opened(options.peak, folder, options)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    for _ in dataset.take(READ // options.batch_size):
        pass
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return json.dumps({"peak": peak, "before": before})


if __name__ == "__main__":
    main()
