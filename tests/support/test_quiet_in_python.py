"""What TensorFlow says to somebody who uses the package from Python."""

import re
import subprocess
import sys

import pytest

from helpers.paths import ROOT

# TensorFlow's own log stays as it is: it greets and warns as in any other program.
_SCRIPT = """
import sys
import numpy as np
import tfmaskrcnn as mr
from helpers.some_signatures import exported_with
from helpers.tiny import tiny_config, tiny_data

folder = sys.argv[1]
config = tiny_config("train.epochs=1", "backbone.freeze_at=5")
model = mr.MaskRCNN(config.model)
image = np.zeros((60, 80, 3), np.uint8)
model.predict_images([image])
data = tiny_data(folder)
train = mr.data.from_coco(*data, config, training=True)
model.compile(mr.train.make_optimizer(config.train, steps_per_epoch=len(train)))
model.fit(train, epochs=1, verbose=0)
model.evaluate(mr.data.from_coco(*data, config, training=False), verbose=0)
exported = exported_with(["serving_default"], model, folder + "/1")
mr.inference.open_source(exported).predict([image])
"""


@pytest.mark.slow
def test_no_remark_on_the_cost_of_the_network_and_no_warning_of_keras(tmp_path):
    command = [sys.executable, "-c", _SCRIPT, str(tmp_path)]
    env = {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}", "PATH": "/usr/bin:/bin"}
    env["TF_ENABLE_ONEDNN_OPTS"] = "1"  # on CPUs without AVX-512 TensorFlow would not greet
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "oneDNN custom operations" in done.stderr  # nobody's log is switched off
    for word in ("CropAndResize", "PredictCost", "remapper failed", "UserWarning", "`shuffle="):
        assert not re.search(word, done.stderr), done.stderr
    assert done.stdout == ""
