"""Stages that the golden tests look at; each file has its own `model` and `batch`."""

import pytest


@pytest.fixture(scope="module")
def pyramid(model, batch):
    return model.features(batch)


@pytest.fixture(scope="module")
def rpn(model, pyramid):
    return model.rpn_output(pyramid)
