"""Runs that end where their model would be made: all before it happens, and nothing is trained."""

from tfmaskrcnn.train import loop


class Untrained(Exception):
    """All is read and chosen, and the model would be made."""


def stopped_runs(monkeypatch):
    """From now on runs raise `Untrained`; a list of the configurations of their models."""
    found = []

    def compiled_model(config, steps):
        found.append(config)
        raise Untrained

    monkeypatch.setattr(loop, "compiled_model", compiled_model)
    return found
