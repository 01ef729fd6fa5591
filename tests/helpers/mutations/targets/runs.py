"""What lies in a run's folder: states, configuration, thresholds, weights."""

import json
import shutil
import zipfile

import numpy as np

from helpers.mutations.damage import damaged
from helpers.mutations.outcomes import expect
from helpers.mutations.targets.configurations import check_config
from helpers.mutations.targets.target import Target
from helpers.mutations.targets.weights import small_model, write_bomb, write_mutated_npz
from helpers.mutations.texts import as_json
from helpers.mutations.values import mutated
from helpers.tiny import tiny_config

_PROGRESS = {
    "epoch": 3,
    "step": 0,
    "means": {"loss": [1.5, 2.0]},
    "best": 0.25,
    "best_epoch": 2,
    "stopped": False,
    "history": [{"epoch": 1, "loss": 1.5}, {"epoch": 2, "loss": 1.25}],
}


def _compiled(config):
    """A small model with an optimizer that has a state."""
    from tfmaskrcnn import compat
    from tfmaskrcnn.train import make_optimizer

    model = small_model()
    model.compile(make_optimizer(config.train, 10), jit_compile=False)
    compat.build_optimizer(model.optimizer, model.trainable_variables)
    return model


class States(Target):
    """`load_state` of one state: the checksum has to hold for all that it gives."""

    def prepare(self):
        from tfmaskrcnn.train.state import save_state

        config = tiny_config()
        save_state(str(self.base / "good.npz"), _compiled(config), config, _PROGRESS)
        write_bomb(self.base / "bomb.npz", "weights/first/kernel")

    def open(self):
        from tfmaskrcnn.train.state import load_state

        self.config = tiny_config()
        self.model = _compiled(self.config)
        self.good = dict(np.load(self.base / "good.npz"))
        self._wanted = load_state(str(self.base / "good.npz"), self.model, self.config)
        self._weights = [w.copy() for w in self.model.get_weights()]

    def run(self, rng, folder):
        from tfmaskrcnn.train.state import load_state

        path = folder / "0000000001.npz"
        if rng.random() < 0.5:
            self.note(self._mutated_about(path, rng))
        else:
            self.note(write_mutated_npz(path, self.good, rng, self.base / "bomb.npz"))
        try:
            progress = load_state(str(path), self.model, self.config)
            found = self.model.get_weights()
        finally:
            self.model.set_weights(self._weights)
        same = json.dumps(progress, sort_keys=True) == json.dumps(self._wanted, sort_keys=True)
        expect(same, f"other progress is taken: {str(progress)[:200]}")
        same = all(np.array_equal(a, b) for a, b in zip(found, self._weights))
        expect(same, "other weights are taken")

    def _mutated_about(self, path, rng):
        about = json.loads(str(self.good["about"]))
        part = rng.choice((*about, *about, "all"))
        value, notes = mutated(about if part == "all" else about[part], rng)
        about = value if part == "all" else {**about, part: value}
        text = as_json(about).encode("ascii", "replace").decode().replace("\0", "")
        np.savez(path, **{**self.good, "about": np.array(text)})
        return [part, *notes]


class Folders(Target):
    """A run's folder, as `load`, `open_source` and `--resume` take it."""

    def prepare(self):
        import tfmaskrcnn as mr
        from tfmaskrcnn.config.yaml_files import save_config
        from tfmaskrcnn.inference.score_thresholds import ScoreThresholds, save_for_run
        from tfmaskrcnn.model.weights import save_weights

        folder = self.base / "run"
        folder.mkdir()
        config = tiny_config()
        save_config(config, str(folder / "config.json"))
        save_weights(mr.MaskRCNN(config.model), str(folder / "weights.npz"))
        save_for_run(ScoreThresholds((0.5, None, 0.25), 0.4, 0.5, "mask", 9), str(folder))

    def run(self, rng, folder):
        run = folder / "run"
        shutil.copytree(self.base / "run", run)
        name = rng.choice(("config.json", "config.json", "thresholds.json", "weights.npz"))
        self._mutate(run / name, rng)
        self._open(run, name == "weights.npz" or (name == "config.json" and rng.random() < 0.3))

    def _open(self, run, whole: bool):
        from tfmaskrcnn.inference.opening import check_model, run_config
        from tfmaskrcnn.inference.score_thresholds import run_thresholds, stored_thresholds

        config = run_config(str(run))
        check_config(config, run.parent)
        check_model(str(run))
        for read in (stored_thresholds, run_thresholds):
            self._check_thresholds(read(str(run), config.model.num_classes))
        if whole:
            self._load(str(run))

    def _mutate(self, path, rng):
        if rng.random() < 0.05:
            path.unlink()
            self.note([f"without {path.name}"])
        elif path.suffix == ".npz":
            self._weights(path, rng)
        elif rng.random() < 0.15:
            content, notes = damaged(path.read_bytes(), rng)
            path.write_bytes(content)
            self.note([path.name, *notes])
        else:
            value, notes = mutated(json.loads(path.read_text()), rng)
            path.write_text(as_json(value), encoding="utf-8", errors="replace")
            self.note([path.name, *notes])

    def _weights(self, path, rng):
        """One array of the file exchanged; the others are copied as they are."""
        with zipfile.ZipFile(path) as archive:
            parts = {name: archive.read(name) for name in archive.namelist()}
        name, other = rng.choice(sorted(parts)), rng.choice(sorted(parts))
        how = rng.randrange(3)
        parts[name], notes = damaged(parts[name], rng, parts[other])
        if how == 0:
            del parts[name]
        elif how == 1:
            parts[name] = parts[other]
        with zipfile.ZipFile(path, "w") as archive:
            for part, content in parts.items():
                archive.writestr(part, content)
        self.note([name, f"way {how} ({other})", *notes])

    @staticmethod
    def _load(run: str):
        import tfmaskrcnn as mr

        model = mr.load(run)
        finite = all(np.isfinite(array).all() for array in model.get_weights())
        expect(finite, "a weight of the loaded model is not finite")

    @staticmethod
    def _check_thresholds(found):
        if found is not None:
            values = [value for value in (*found.scores, found.overall) if value is not None]
            expect(all(0 <= value <= 1 for value in values), f"thresholds are {values}")
            found.short(), found.about(), found.to_json()
