"""Latency and payload of one image with 100 detections, by kind of masks and protocol.

    PYTHONPATH=tests python tests/serving/measure.py --out runs/serving

exports a model with drawn weights (its detections are no objects, but 100 of them), serves it with
the stand-in server in this process and prints a table. What the stock server adds or saves is not
in it; read the rows against each other.
"""

import argparse
import io
import json
import os
import statistics
import sys
import time

import numpy as np
import tensorflow as tf
from PIL import Image

import tfmaskrcnn as mr
from helpers import stand_in
from tfmaskrcnn.config.yaml_files import load_config
from tfmaskrcnn.serving import client

DETECTIONS = 100
# A small network: what is compared is what comes after it.
CONFIG = (
    "model.num_classes=3",
    "input={min_side: 256, max_side: 384}",
    "backbone.name=resnet18",
    "fpn.channels=32",
    "anchors.sizes=[[16], [32], [64], [96], [128]]",
    "box_head={hidden: 64, score_threshold: 0.0, nms_iou: 0.9}",
    "mask_head={channels: 32, num_convs: 1}",
)
KINDS = {"roi": "28 x 28 probabilities", "rle": "COCO RLE", "bitmaps": "full-size bitmaps"}


def photo(height, width):
    """A JPEG file of smooth noise."""
    rng = np.random.default_rng(0)
    small = Image.fromarray(rng.integers(0, 256, (height // 16, width // 16, 3), np.uint8))
    stream = io.BytesIO()
    small.resize((width, height), Image.BICUBIC).save(stream, "JPEG", quality=90)
    return stream.getvalue()


def exports(folder):
    """Kind of masks -> a SavedModel folder; made if it is not there."""
    model = None
    for kind in KINDS:
        path = os.path.join(folder, kind)
        if not os.path.exists(path):
            model = model or mr.MaskRCNN(load_config(None, CONFIG).model)
            mr.export_saved_model(model, path, mr.ExportOptions(masks=kind))
        yield kind, path


def payload(protocol, outputs):
    """Bytes of an answer."""
    if protocol == "rest":
        return len(stand_in.rest_body(outputs))
    from tensorflow_serving.apis import predict_pb2

    response = predict_pb2.PredictResponse()
    for key, value in outputs.items():
        response.outputs[key].CopyFrom(tf.make_tensor_proto(value))
    return response.ByteSize()


def timed(function, repeats):
    """Median milliseconds of `function()` after one call that is not counted."""
    function()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append((time.perf_counter() - start) * 1000)
    return statistics.median(times)


def measured(protocol, model, data, repeats):
    """A table row of one protocol and one model."""
    outputs = model.predict("maskrcnn", "image_bytes", {"image_bytes": [data]})
    assert int(outputs["num_detections"][0]) == DETECTIONS, outputs["num_detections"]
    serve = stand_in.rest_server if protocol == "rest" else stand_in.grpc_server
    kind = client.RestClient if protocol == "rest" else client.GrpcClient
    with serve(model) as address:
        serving = kind(address, "maskrcnn", deadline=300)
        return {
            "payload_bytes": payload(protocol, outputs),
            "graph_ms": timed(
                lambda: model.predict("maskrcnn", "image_bytes", {"image_bytes": [data]}), repeats
            ),
            "answer_ms": timed(lambda: serving.predict([data]), repeats),
            "with_masks_ms": timed(lambda: serving.predict([data])[0].masks, repeats),
        }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", default="runs/serving", help="exports and measurements.json")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--size", type=int, nargs=2, default=(480, 640), metavar=("H", "W"))
    options = parser.parse_args()
    data, rows = photo(*options.size), []
    for kind, path in exports(options.out):
        model = stand_in.Model(path)
        for protocol in ("rest", "grpc"):
            row = measured(protocol, model, data, options.repeats)
            rows.append({"masks": kind, "protocol": protocol, **row})
            print(json.dumps(rows[-1]), file=sys.stderr)
    print(
        f"| masks, one {options.size[0]} x {options.size[1]} image | protocol | answer | graph | ",
        end="",
    )
    print("until the client has it | with bitmaps in NumPy |\n|---|---|---|---|---|---|")
    for row in rows:
        times = " | ".join(f"{row[k]:.0f} ms" for k in ("graph_ms", "answer_ms", "with_masks_ms"))
        name = KINDS[row["masks"]]
        print(f"| {name} | {row['protocol']} | {row['payload_bytes'] / 1e3:.0f} kB | {times} |")
    with open(os.path.join(options.out, "measurements.json"), "w", encoding="utf-8") as file:
        json.dump(rows, file, indent=2)


if __name__ == "__main__":
    main()
