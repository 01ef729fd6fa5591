"""What an import of a whole detector costs."""

import json
import subprocess
import sys

import numpy as np
import pytest

from golden.weights_by_name import weight
from helpers.one_stack import on_stack_a
from helpers.paths import GOLDEN
from helpers.torch_files import whole, write_zip

FILE = GOLDEN / "torchvision_maskrcnn.npz"
# Peak memory is read from the system: what `resource` says may be the parent's.
MEASURED = """
import re, sys, time
from tfmaskrcnn.cli.main import main
code = main(["import-weights", "torchvision", *sys.argv[1:]])
with open("/proc/self/status") as file:
    print("peak", int(re.search(r"VmHWM:\\s+(\\d+) kB", file.read()).group(1)) / 1e6)
print("seconds", time.process_time())
sys.exit(code)
"""


@on_stack_a
@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_a_file_of_178_mb_takes_seconds_and_less_than_2_gb(tmp_path):
    manifest = json.loads(str(np.load(FILE)["manifest"]))
    path = tmp_path / "maskrcnn_resnet50_fpn.pth"
    write_zip(path, {n: whole(weight(n, shape), str(i)) for i, (n, shape) in enumerate(manifest)})
    assert path.stat().st_size > 170e6
    command = [sys.executable, "-c", MEASURED, str(path), str(tmp_path / "run")]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)
    found = dict(line.split() for line in done.stdout.splitlines()[-2:])
    assert 0.3 < float(found["peak"]) < 2.0
    assert float(found["seconds"]) < 30
