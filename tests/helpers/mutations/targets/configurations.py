"""Configuration files of both kinds with their bases, and overrides."""

import json
import math

from helpers.mutations.damage import damaged_text
from helpers.mutations.outcomes import expect
from helpers.mutations.targets.target import Target
from helpers.mutations.texts import as_json, as_yaml
from helpers.mutations.values import NUMBERS, PATHS, TEXTS, mutated

# Values of --set as a shell hands them on: YAML's own traps too.
_VALUES = [
    *("2020-99-99", "2020-01-01", "!!bool x", "!!int a", "!!float x", "!!timestamp x", "!!set {a}"),
    *("!!python/object/apply:os.system [true]", "!!binary =", "!!omap [a]", "&a [*a]", "*a"),
    *("{<<: 1}", "{<<: *a}", "<<: 1", "{? [1] : 2}", "{[1]: 2}", "[", "{", "'", "- 1", "a: b: c"),
    *("0x10", "0b1", "0o7", "1_000", "1:30", ".inf", "-.inf", ".nan", "~", "null", "yes", "no"),
    *("1e400", "1e-400", "9" * 400, "9" * 5000, "[1, 2", "{a: 1}", "[[[[1]]]]", "[" * 2000),
    *("1000000000", "-1", "0", "2147483648", "9223372036854775808", "0.5", "1.5", "true", "on"),
    *("\t1", "\ud800", "%TAG", "|"),
    "[&a [x, x, x, x, x, x, x, x, x], &b [*a, *a, *a, *a, *a, *a, *a, *a, *a], *b, *b, *b, *b, *b]",
]


def alias_bomb(levels: int = 9) -> str:
    """YAML of some hundred bytes that stands for 9^levels texts."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    for n in range(1, levels):
        lines.append(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]")
    return "\n".join(lines) + "\n"


def _without_defaults() -> dict:
    """The tiny configuration of the tests as nested dictionaries."""
    from helpers.tiny import tiny_config

    return json.loads(tiny_config().model_dump_json(exclude_unset=True))


class Files(Target):
    """`load_config` of mutated YAML and JSON files, alone or as the base of another."""

    def open(self):
        from tfmaskrcnn.config.run import Config

        self.good = [_without_defaults(), json.loads(Config().model_dump_json())]

    def run(self, rng, folder):
        from tfmaskrcnn.config.yaml_files import load_config

        raw, notes = mutated(rng.choice(self.good), rng)
        ending, write = rng.choice((("yaml", as_yaml), ("json", as_json)))
        text = write(raw)
        if rng.random() < 0.1:
            text, more = damaged_text(text.replace(", ", ",\n "), rng)
            notes += more
        if rng.random() < 0.05:
            text, ending, notes = alias_bomb(rng.choice((3, 9, 30))), "yaml", ["aliases"]
        path = folder / f"config.{ending}"
        path.write_text(text, encoding="utf-8", errors="replace")
        if rng.random() < 0.3:
            base = rng.choice((path.name, path.name, str(path), rng.choice(PATHS)))
            notes.append(f"base {base!r:.60}")
            path = folder / "above.yaml"
            path.write_text(as_yaml({"base": base}), encoding="utf-8", errors="replace")
        self.note(notes)
        check_config(load_config(str(path)), folder)


class Models(Target):
    """`MaskRCNN` of a tiny configuration with other numbers, which must not take the memory."""

    def open(self):
        self.values = {
            key: value
            for key, value in _keys(_without_defaults()["model"])
            if not isinstance(value, (dict, str))
        }

    def run(self, rng, folder):
        import numpy as np

        import tfmaskrcnn as mr

        settings = []
        for _ in range(rng.choice((1, 1, 2))):
            key = rng.choice(list(self.values))
            value, _ = mutated(self.values[key], rng)
            settings.append(f"model.{key}={as_yaml(value)}")
        self.note([setting[:200] for setting in settings])
        from helpers.tiny import tiny_config

        model = mr.MaskRCNN(tiny_config(*settings).model)
        expect(all(np.isfinite(array).all() for array in model.get_weights()), "not finite")


class Overrides(Target):
    """`load_config` with texts of `--set`."""

    def open(self):
        from tfmaskrcnn.config.run import Config

        self.values = dict(_keys(json.loads(Config().model_dump_json())))

    def run(self, rng, folder):
        from tfmaskrcnn.config.yaml_files import load_config

        settings = [self._setting(rng) for _ in range(rng.choice((1, 1, 1, 2)))]
        self.note([repr(setting)[:200] for setting in settings])
        check_config(load_config(None, settings), folder)

    def _setting(self, rng) -> str:
        key = rng.choice(list(self.values))
        kind = rng.random()
        if kind > 0.5:
            value, _ = mutated(self.values[key], rng)
            return f"{key}={as_yaml(value)}"
        if kind < 0.05:
            key = rng.choice((key + ".x", key[:-1], "", ".", "..", key.upper(), *TEXTS, "model"))
        if kind < 0.3:
            value = rng.choice(_VALUES)
        else:
            numbers = [n for n in NUMBERS if not isinstance(n, str)]
            value = rng.choice((str(rng.choice(numbers)), rng.choice(TEXTS), rng.choice(PATHS)))
        return f"{key}={value}" if rng.random() < 0.97 else rng.choice((key, value, "="))


def _keys(section: dict, prefix: str = ""):
    for name, value in section.items():
        yield prefix + name, value
        if isinstance(value, dict):
            yield from _keys(value, f"{prefix}{name}.")


def check_config(config, folder) -> None:
    """A configuration has finite numbers, and comes back from its file as it was."""
    from tfmaskrcnn.config.yaml_files import load_config, save_config

    _check_numbers(config.model_dump(), "config")
    path = str(folder / "saved.json")
    save_config(config, path)
    expect(load_config(path) == config, "the saved configuration reads as another")


def _check_numbers(value, where: str) -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            _check_numbers(item, f"{where}.{key}")
    elif isinstance(value, (list, tuple)):
        for item in value:
            _check_numbers(item, where)
    elif isinstance(value, float):
        expect(math.isfinite(value), f"{where} is {value}")
