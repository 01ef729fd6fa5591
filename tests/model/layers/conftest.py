"""What the tests of several layers share."""

import keras
import pytest


@pytest.fixture
def mixed_bfloat16():
    """Layers made in the test compute in bfloat16."""
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    yield
    keras.mixed_precision.set_global_policy("float32")
