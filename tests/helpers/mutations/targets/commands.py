"""The command line, from its arguments to its exit code and what it prints."""

import contextlib
import io
import json
import os
import shutil

from helpers.mutations.outcomes import expect, fault_of_sentence
from helpers.mutations.targets import tool_files
from helpers.mutations.targets.coco import CocoTarget
from helpers.mutations.values import PATHS, TEXTS
from helpers.tiny import OVERRIDES


class Refusal(Exception):
    """The one sentence that a command ends with."""


class Commands(CocoTarget):
    """`check-data`, `import-data`, `write-tfrecord` and `show-data` with mutated inputs."""

    refusals = (Refusal,)

    def run(self, rng, folder):
        build = rng.choice((self._check, self._check, self._import, self._write, self._show))
        arguments = [str(argument) for argument in build(rng, folder)]
        if rng.random() < 0.15:
            n = rng.randrange(len(arguments))
            odd = rng.choice([t for t in (*PATHS, *TEXTS) if "\0" not in t and "/dev" not in t])
            if not odd.startswith(("/proc", "/etc", "..", "~", "/")):
                arguments[n] = odd
        self.note([" ".join(arguments)[:300]])
        with _inside(folder):
            code, out, err = called(arguments)
        if code == 2 and "--help` has all options." in err:
            raise Refusal("the arguments are refused")
        expect("Traceback" not in err, f"a traceback is printed: {err[-300:]}")
        expect(code in (0, 1, 2), f"the exit code is {code}")
        if code == 2:
            raise Refusal(self._sentence(err))
        for path in folder.glob("out*.json"):
            json.loads(path.read_text())

    @staticmethod
    def _sentence(err: str) -> str:
        last = [line for line in err.split("\n") if line.startswith("tfmaskrcnn: ")]
        expect(len(last) == 1, f"{len(last)} sentences: {err[-300:]!r}")
        fault = fault_of_sentence(last[0])
        expect(not fault, f"a bad sentence ({fault}): {last[0]!r:.300}")
        return last[0]

    def _check(self, rng, folder):
        yield from ("check-data", self.mutated_set(rng, folder), self.images)
        yield from rng.choice(((), ("--list",), ("--html", "page.html"), ("--limit", "2")))
        if rng.random() < 0.6:
            yield from ("--fix", "out.json")
        if rng.random() < 0.3:
            yield from ("--other", self.base / "good.json")

    def _import(self, rng, folder):
        source = rng.choice(sorted(tool_files.FILES))
        path, notes = tool_files.FILES[source](folder, rng)
        self.note(notes)
        yield from ("import-data", source, path, "out.json")
        yield from rng.choice(((), (), ("--skip-invalid",), ("--classes", "leaf")))

    def _write(self, rng, folder):
        yield from ("write-tfrecord", self.mutated_set(rng, folder), self.images, "records/x")
        yield from ("--shards", rng.choice((1, 2)), "--workers", 1)
        yield from rng.choice(((), ("--skip-invalid",)))

    def _show(self, rng, folder):
        skip = rng.choice(("true", "false"))
        data = f"data={{train_json: set.json, train_images: images, skip_invalid: {skip}}}"
        settings = [s for s in OVERRIDES if not s.startswith("data.")]
        self.mutated_set(rng, folder)
        shutil.copytree(self.images, folder / "images")
        yield from ("show-data", "--out", "shown", "--num", 4, "--set", *settings, data)


def called(arguments):
    """(exit code, stdout, stderr) of a command line, in this process."""
    from tfmaskrcnn.cli.main import main

    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
    err = io.TextIOWrapper(io.BytesIO(), "utf-8", "backslashreplace", write_through=True)
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main(arguments)
        except SystemExit as stopped:
            code = stopped.code
    return code, *(stream.buffer.getvalue().decode() for stream in (out, err))


@contextlib.contextmanager
def _inside(folder):
    former = os.getcwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(former)
