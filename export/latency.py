"""Latency, throughput and memory of exported models, alternated with torchvision's in one run.

`tfmaskrcnn benchmark exported/1 model.onnx --against torchvision --size 800x1216 --threads 2`

or, without this package, `python latency.py` and the same. Each artefact runs in a process of its
own, one at a time, in turns, so that whatever else the machine does falls on all alike. Copy
`latency*.py` and `tfmaskrcnn/ops/paste.py` to the machine that is to be measured: they need
TensorFlow and NumPy alone (ONNX, TFLite and torchvision their own runtimes, if asked for).
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from typing import Any, Dict, List, Optional

import numpy as np
from latency_arguments import RUNTIMES, add_arguments
from latency_runners import Refused
from latency_stages import AROUND
from latency_worker import HERE

COLUMNS = ("batch", "median", "p90", "p99", "images/s", "peak MB", "found", "ratio")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(prog="latency.py", description=__doc__.splitlines()[0])
    add_arguments(p)
    return p


class Worker:
    """A process that holds one artefact."""

    def __init__(self, spec: Dict[str, Any], python: str = sys.executable):
        self.spec = spec
        self.name = spec["name"]
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
        if spec["threads"]:
            environment["OMP_NUM_THREADS"] = str(spec["threads"])
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115
        self.process = subprocess.Popen(
            [python, os.path.join(HERE, "latency_worker.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            env=environment,
        )
        self.ask(spec)

    def ask(self, request: Dict[str, Any]) -> Dict[str, Any]:
        """The answer to `request`; waits for it."""
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            self.errors.seek(0)
            last = (self.errors.read().strip().splitlines() or ["no message"])[-1]
            raise Refused(f"{self.name}: its process ended ({last}).")
        found = json.loads(line)
        if "error" in found:
            raise Refused(f"{self.name}: {found['error']}")
        return found

    def close(self) -> None:
        """End the process."""
        self.process.stdin.close()
        self.process.wait()


def kind_of(path: str) -> str:
    """run, SavedModel, TF-TRT, ONNX or TFLite, by what lies at `path`."""
    if not os.path.exists(path):
        raise Refused(f"There is no {path}.")
    graph = os.path.join(path, "saved_model.pb")
    if os.path.exists(graph):
        with open(graph, "rb") as file:
            return "TF-TRT" if b"TRTEngineOp" in file.read() else "SavedModel"
    for ending, kind in ((".onnx", "ONNX"), (".tflite", "TFLite")):
        if path.endswith(ending):
            return kind
    if path.endswith(".tfmaskrcnn") or os.path.exists(os.path.join(path, "config.json")):
        return "run"
    raise Refused(f"{path} is neither a run or SavedModel folder nor an .onnx or .tflite file.")


def specifications(args) -> List[Dict[str, Any]]:
    """What each worker is told, in the order of the table; torchvision comes last."""
    common = {
        "size": _numbers(args.size, "x", "--size", 2),
        "batches": _numbers(args.batch, ",", "--batch"),
        "threads": args.threads,
        "masks": args.masks,
        "score_threshold": args.score_threshold,
        "weights": args.weights,
        "precision": "float32",
    }
    specs = []
    for path in args.paths:
        kind, name = kind_of(path), path.rstrip("/")
        rule = _exported(path, args, kind)
        spec = {**common, "path": path, "kind": kind, "name": name, "paste_rule": rule}
        specs += _by_runtime(spec, args.runtime) if kind == "ONNX" else [spec]
        if args.bfloat16 and kind == "SavedModel":
            specs.append({**spec, "precision": "bfloat16", "name": f"{name} bfloat16"})
    if args.against:
        specs.append({**common, "path": "", "kind": "torchvision", "name": "torchvision"})
    return specs


def _by_runtime(spec: Dict[str, Any], runtimes: List[str]) -> List[Dict[str, Any]]:
    """An ONNX file's specification for each runtime, named by it if it is not the default alone."""
    if runtimes == RUNTIMES[:1]:
        return [{**spec, "runtime": runtimes[0]}]
    return [{**spec, "runtime": each, "name": f"{spec['name']} {each}"} for each in runtimes]


def _exported(path: str, args, kind: str) -> str:
    """The paste rule inside a run or SavedModel; refuses one with another score threshold."""
    place = ("config.json",) if kind == "run" else ("assets", "config.json")
    try:
        with open(os.path.join(path, *place), encoding="utf-8") as file:
            config = json.load(file)
        config = config["model"] if kind == "run" else config
    except (OSError, ValueError):  # of another program, or one file
        return "aligned"
    threshold = config.get("box_head", {}).get("score_threshold")
    if args.against and threshold is not None and threshold != args.score_threshold:
        raise Refused(
            f"{path} was exported with the score threshold {threshold}; give "
            f"--score-threshold {threshold}, so that {args.against} does the same work."
        )
    return config.get("mask_head", {}).get("paste_rule", "aligned")


def _numbers(text: str, separator: str, option: str, count: Optional[int] = None) -> List[int]:
    try:
        numbers = [int(part) for part in text.split(separator)]
    except ValueError:
        numbers = []
    if not numbers or min(numbers) < 1 or len(numbers) != (count or len(numbers)):
        wanted = "HEIGHTxWIDTH, such as 800x1216" if separator == "x" else "numbers, such as 1,4"
        raise Refused(f"{option} is {text!r}; wanted {wanted}.")
    return numbers


def measure(args) -> Dict[str, Any]:
    """Run everything; all numbers, of JSON's types, times in seconds."""
    if args.repeats < 1 or args.warmup < 0 or args.threads < 0:
        raise Refused("--repeats must be at least 1, --warmup and --threads at least 0.")
    if args.json and os.path.isdir(args.json):
        raise Refused(f"{args.json} is a folder; give the name of the file to write.")
    workers = []
    try:
        for spec in specifications(args):
            own = args.python if spec["kind"] == "torchvision" else sys.executable
            workers.append(Worker(spec, own))
        rows = [row for batch in workers[0].spec["batches"] for row in turns(workers, batch, args)]
        result = {"options": vars(args), "threads": args.threads, "rows": rows}
        if args.bfloat16:
            result["convolution_ms"] = workers[0].ask({"do": "convolutions"})
        summaries = {worker.name: worker.ask({"do": "summary"}) for worker in workers}
        for row in rows:
            row.update(summaries[row["artefact"]])
        if args.profile:  # after the memory was read: it holds a second copy of the model
            kinds = ("SavedModel", "TF-TRT")
            timed = [w for w in workers if w.spec["kind"] in kinds]
            result["profiles"] = {w.name: w.ask({"do": "profile"}) for w in timed}
        return result
    finally:
        for worker in workers:
            worker.close()


def turns(workers: List[Worker], batch: int, args) -> List[Dict[str, Any]]:
    """A row for each worker, timed in turns on `batch` images.

    `ratio` is its median in that of torchvision if that is asked for, else in the first artefact's.
    """
    calls: List[List[Dict[str, Any]]] = [[] for _ in workers]
    for i in range(args.warmup + args.repeats):
        for worker, own in zip(workers, calls):
            own.append(worker.ask({"do": "time", "batch": batch}))
            done = f"batch {batch}, call {i + 1} of {args.warmup + args.repeats}: {worker.name}"
            _progress(done)
    _progress("", end="\r")
    rows = []
    for worker, own in zip(workers, calls):
        own = own[args.warmup :]
        seconds = [call["seconds"] for call in own]
        row = {"artefact": worker.name, "kind": worker.spec["kind"], "batch": batch}
        row["precision"], row["seconds"] = worker.spec["precision"], seconds
        row.update({f"p{p}": float(np.percentile(seconds, p)) for p in (50, 90, 99)})
        row["images_per_second"] = batch / row["p50"]
        row["paste_seconds"] = float(np.median([call["paste_seconds"] for call in own]))
        row["detections"] = own[-1]["detections"]
        rows.append(row)
    reference = rows[-1 if args.against else 0]
    for row in rows:
        row["ratio"] = row["p50"] / reference["p50"]
    return rows


def _progress(text: str, end: str = "") -> None:
    if sys.stderr.isatty():
        print(f"\r{text[:78]:78}", end=end, file=sys.stderr, flush=True)


def table(result: Dict[str, Any]) -> str:
    """The numbers as text for a terminal."""
    rows, width = result["rows"], max(len(row["artefact"]) for row in result["rows"])
    threads = f"{result['threads']} threads" if result["threads"] else "threads as each chooses"
    lines = [f"{' and '.join(sorted({row['device'] for row in rows}))}, {threads}", ""]
    lines.append(f"  {'':{width}}" + "".join(f"{name:>9}" for name in COLUMNS))
    for row in rows:
        numbers = [f"{row['batch']}", *(f"{row[p]:.3f}s" for p in ("p50", "p90", "p99"))]
        peak = row.get("peak_gpu_mb", row["peak_rss_mb"])
        numbers += [f"{row['images_per_second']:.2f}", f"{peak:.0f}", f"{row['detections']}"]
        numbers.append(f"{row['ratio']:.2f}")
        lines.append(f"  {row['artefact']:{width}}" + "".join(f"{text:>9}" for text in numbers))
    for name, found in result.get("profiles", {}).items():
        lines += ["", *stage_table(name, found["stages"])]
    if "convolution_ms" in result:
        each = result["convolution_ms"]
        lines += ["", _verdict(each["float32"], each["bfloat16"])]
    return "\n".join(lines)


def stage_table(name: str, stages: Dict[str, float]) -> List[str]:
    """Lines of milliseconds and shares, the longest first."""
    total = sum(stages.values())
    lines = [f"  {name}, by stage"]
    for stage, seconds in sorted(stages.items(), key=lambda item: -item[1]):
        lines.append(f"    {stage:20}{1e3 * seconds:9.1f} ms{seconds / total:8.1%}")
    share = sum(stages.get(stage, 0.0) for stage in AROUND) / total
    return [*lines, f"    {', '.join(AROUND)} together: {share:.1%}"]


def _verdict(single: float, half: float) -> str:
    better = "gains" if half < single else "loses"
    return (
        f"On this CPU a 3x3 convolution takes {single:.1f} ms in float32 and {half:.1f} ms in "
        f"bfloat16:\nwhoever converts to bfloat16 {better} ({single / half:.2f} times the speed)."
    )


def report(args) -> None:
    """Measure, print the table and write the numbers; `Refused` if something given is wrong."""
    result = measure(args)
    print(table(result))
    if args.json:
        with open(args.json, "w", encoding="utf-8") as file:
            json.dump(result, file, indent=2)


def main(argv: Optional[List[str]] = None) -> int:
    """Run the command line; 2 for something wrong with what was given."""
    try:
        report(parser().parse_args(argv))
    except Refused as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
